"""Webhook intake: how many signed notifications a second become rows, and how soon each is answered."""

from bench.intake.stage import course

__all__ = ["course"]
