"""The migrations of the tables, and the way to run them."""

from models.migrations.run import downgrade, is_current, matches_models, upgrade

__all__ = ["downgrade", "is_current", "matches_models", "upgrade"]
