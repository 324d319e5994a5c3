"""Sabotage: the system is broken on purpose, and the storm must see it."""
