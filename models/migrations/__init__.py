"""The migrations of the tables, and the way to run them."""

from models.migrations.run import Standing, downgrade, matches_models, standing, upgrade

__all__ = ["Standing", "downgrade", "matches_models", "standing", "upgrade"]
