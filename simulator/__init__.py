"""A Nylas that runs on your machine: the auth part of the v3 API, its webhooks, and its bad days.

    python -m simulator --port 9000          # or: await start() inside a test

What Nylas serves is under `/v3`; what only a simulator can do is under `/_sim`.
Nothing here knows the product that is tried against it.
"""

from simulator.connectors import READY_MADE
from simulator.serve import Running, serve, start

__all__ = ["READY_MADE", "Running", "serve", "start"]
