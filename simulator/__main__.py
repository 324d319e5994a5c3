"""The command line: `python -m simulator --port 9000`."""

import argparse

from simulator.connectors import READY_MADE
from simulator.serve import serve


def main() -> None:
    """Read the options and serve until told to stop."""
    parser = argparse.ArgumentParser(prog="simulator", description="A Nylas that runs on your machine.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0 picks a free one")
    parser.add_argument("--latency-ms", type=int, default=0, help="every /v3 answer takes at least this long")
    parser.add_argument("--api-key", help="take only this key (default: any)")
    parser.add_argument("--client-id", help="take only this client id (default: any)")
    parser.add_argument("--webhook-secret", help="give every webhook this secret (default: a fresh one each)")
    parser.add_argument("--seed", type=int, help="the same seed and the same calls give the same ids")
    parser.add_argument("--rate", type=int, help="calls a second that each group of the API takes, 50 at Nylas")
    bare = parser.add_argument("--bare", action="store_const", const=(), dest="connectors", default=READY_MADE)
    bare.help = "start without connectors, as a fresh application at Nylas (default: one for each provider)"
    serve(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
