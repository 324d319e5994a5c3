"""Asks Evergrant for a campaign when it is told to: a process that has imported all that the command needs."""

import importlib
import sys

from ingress.cli import app

IMPORTED_WHEN_CALLED = ("ingress.commands", "ingress.reauthenticating")


def main() -> None:
    """Say that all is imported, wait for a line, run the command, and stay until stdin ends."""
    for module in IMPORTED_WHEN_CALLED:
        importlib.import_module(module)
    print("ready", flush=True)
    sys.stdin.readline()
    app(sys.argv[1:], standalone_mode=False)
    print("sent", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
