"""Who goes first on a machine that is busy: webhooks, then work."""

import os

NICER = 5
"""How much nicer than web are those whom nobody waits for while the machine is busy."""


def after_web() -> None:
    """Let web go first from here on.

    To be called before what takes long to load, and before there are threads: Linux counts for each how nice it is.
    """
    if hasattr(os, "nice"):
        os.nice(NICER)
