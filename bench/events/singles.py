"""Single events on an idle system: from the webhook that is sent to the notice that the product gets."""

import time
from collections.abc import Sequence

import httpx

from bench.events.installation import WEBHOOK_SECRET, Installation
from bench.intake.bodies import PATH, notification
from nylas_api import sign

KIND, NOTICE = "grant.created", "grant.valid"
BETWEEN = 0.2  # seconds: so few a second are no storm, and each is looked at by itself


class Singles:
    """Webhooks of grants that Evergrant has not known: it looks at each, and tells the product of it at once."""

    def __init__(self, there: Installation, notices_port: int, grants: Sequence[str]) -> None:
        """`grants` are valid at Nylas; the product answers at `notices_port`."""
        self._there, self._notices_port, self._grants = there, notices_port, grants

    def run(self) -> list[float]:
        """Send one after the other; return how many milliseconds each took."""
        web, product = f"http://127.0.0.1:{self._there.web_port}", f"http://127.0.0.1:{self._notices_port}"
        took = []
        with httpx.Client(timeout=15) as client:
            client.get(f"{web}/healthz")  # so that no event waits for a connection
            client.delete(f"{product}/told").raise_for_status()
            for number, grant_id in enumerate(self._grants):
                body = notification(number, KIND, grant_id)
                headers = {"x-nylas-signature": sign(WEBHOOK_SECRET, body)}
                time.sleep(BETWEEN)
                began = time.monotonic()
                client.post(f"{web}{PATH}", content=body, headers=headers).raise_for_status()
                told = client.get(f"{product}/told/{NOTICE}/{grant_id}").raise_for_status()
                took.append((float(told.json()) - began) * 1000)
        return took
