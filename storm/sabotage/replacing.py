"""Replacing a function of the product by name: one that is not there any more is told of, and nothing runs then."""

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

Change = Callable[[Any], Any]
"""From a function to what takes its place."""


class Gone(Exception):
    """What was to be broken is not there, or takes other arguments than it did."""


def found(target: str) -> tuple[Any, str]:
    """Find what a target such as `worker.doorbell:Doorbell.ring` names: who holds it, and its name there."""
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    try:
        owner: Any = import_module(module)
        for step in owners:
            owner = getattr(owner, step)
        if not inspect.isfunction(getattr(owner, name)):
            raise Gone(f"{target} is no function")
    except (ImportError, AttributeError) as error:
        raise Gone(f"{target} is not there: {error}") from error
    return owner, name


def replacement(target: str, change: Change) -> Any:
    """Make what takes the place of a function; it must take the same arguments, by the same names."""
    owner, name = found(target)
    there = getattr(owner, name)
    new = change(there)
    ours, theirs = ([*inspect.signature(one).parameters] for one in (new, there))
    if ours != theirs or inspect.iscoroutinefunction(new) != inspect.iscoroutinefunction(there):
        raise Gone(f"{target} takes {theirs} now, and what replaces it takes {ours}")
    return new


def replace(target: str, change: Change) -> None:
    """Put something else in the place of a function: in its module or class, and wherever it was imported by name."""
    new = replacement(target, change)
    owner, name = found(target)
    there = getattr(owner, name)
    for holder in (owner, *(module for module in list(sys.modules.values()) if vars(module).get(name) is there)):
        setattr(holder, name, new)
