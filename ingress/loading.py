"""Loading what a server is made of."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


@contextmanager
def loading() -> Iterator[None]:
    """Look for no garbage within the block, and never among what was made in it: what is loaded stays."""
    gc.disable()
    try:
        _load_structlog_alone()
        yield
    finally:
        gc.freeze()
        gc.enable()


def _load_structlog_alone() -> None:
    """Load structlog without rich: its tracebacks show what variables hold, so nobody is to see them.

    They would bring some 160 modules, a fifteenth of what a worker loads.
    """
    modules: dict[str, Any] = sys.modules
    rich = modules.get("rich")
    modules["rich"] = None  # so that importing it fails
    try:
        import_module("structlog")
    finally:
        del modules["rich"]
        if rich:
            modules["rich"] = rich
