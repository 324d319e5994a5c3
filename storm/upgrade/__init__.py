"""The rolling upgrade: the release before the last migration and this one at work on the same database."""
