"""Who goes first on a machine that is busy: webhooks, then work."""

import os

NICER = 5


def nicer(*, uses_sqlite: bool) -> int:
    """How much nicer than web those are whom nobody waits for; with SQLite web waits for whoever writes."""
    return 0 if uses_sqlite else NICER


def after_web(*, uses_sqlite: bool) -> None:
    """Let web go first from here on.

    To be called before what takes long to load, and before there are threads: Linux counts for each how nice it is.
    """
    if hasattr(os, "nice"):
        os.nice(nicer(uses_sqlite=uses_sqlite))
