"""How soon Evergrant is there: its first word on the command line, and a whole small installation."""

from bench.starting.stage import course

__all__ = ["course"]
