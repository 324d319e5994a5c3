"""From an event to what has become of it: a flood that is settled, and single ones that are told at once."""

from bench.events.stage import course

__all__ = ["course"]
