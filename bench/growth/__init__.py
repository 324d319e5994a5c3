"""Growth: what the recurring work costs with a thousand grants, and with a million."""

from bench.growth.growing import course

__all__ = ["course"]
