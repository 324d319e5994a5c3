"""The acts of the demo: users sign in, grants die and come back, five hundred are renewed."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from ingress.demo_books import all_settled, grant_of, reason_of_expiry_hint, stands, totals
from ingress.stage import WEBHOOK_SECRET, Stage
from lifecycle import GrantStatus

CREDENTIAL = "workspace-service-account"
SERVICE_ACCOUNT_GRANTS = 500
PATIENCE = 20.0


class NotAsItShouldBe(Exception):
    """The demo did not see what it should have seen."""


@dataclass(frozen=True, slots=True)
class Person:
    """One who signs in, and the grant that came of it."""

    email: str
    grant_id: str = ""


async def sign_in(there: Stage, console: Console) -> list[Person]:
    """Three users connect their mailboxes through hosted OAuth."""
    console.print("\n[bold]1. Three users sign in[/] [dim](hosted OAuth, PKCE)[/]")
    await there.simulator("POST", "webhooks", {"url": f"{there.web}/webhooks/nylas", "secret": WEBHOOK_SECRET})
    await there.simulator("POST", "delivery", {"mode": "normal", "parallel": 16})
    people = []
    for name in ("ada", "grace", "emmy"):
        person = Person(f"{name}@example.com")
        hops, title = await _browse(f"{there.web}/connect/google?login_hint={person.email}")
        grant = await _until(partial(grant_of, there.database_url, person.email), f"no grant for {person.email}")
        console.print(f"   {' → '.join(hops)} → “{title}” [dim]{person.email}[/] [green]{grant.status.value}[/]")
        people.append(replace(person, grant_id=grant.id))
    return people


async def expire(there: Stage, console: Console, people: Sequence[Person]) -> None:
    """Nylas says of each grant that it has expired: once, twice, and too late."""
    ada, grace, emmy = people
    console.print(
        "\n[bold]2. Nylas sends grant.expired[/] [dim](signed; each is confirmed at Nylas before it counts)[/]"
    )
    await there.simulator("POST", f"grants/{ada.grant_id}/expire")
    await there.simulator("POST", f"grants/{grace.grant_id}/expire", {"times": 2})
    late = await there.simulator("POST", f"grants/{emmy.grant_id}/expire", {"hold": True})
    for person, how in ((ada, "once"), (grace, "twice")):
        expired = partial(stands, there.database_url, person.grant_id, GrantStatus.EXPIRED)
        await _until(expired, f"{person.email} did not expire")
        console.print(f"   {person.email}: told {how} → [red]expired[/]; to come back: {_link(there, person)}")
    await _browse(_link(there, emmy))
    await _until(
        lambda: stands(there.database_url, emmy.grant_id, GrantStatus.VALID), f"{emmy.email} did not come back"
    )
    await there.simulator("POST", f"deliveries/{late['delivery_id']}/release")
    reason = await _until(
        lambda: reason_of_expiry_hint(there.database_url, emmy.grant_id), "the late webhook was not settled"
    )
    console.print(f"   {emmy.email}: signed in again, and only then told → [green]valid[/] [dim]({reason})[/]")
    await _browse(_link(there, grace))
    await _until(
        lambda: stands(there.database_url, grace.grant_id, GrantStatus.VALID), f"{grace.email} did not come back"
    )
    console.print(f"   {grace.email}: followed the link, signed in again → [green]valid[/]")


async def seed(there: Stage, console: Console) -> None:
    """Five hundred mailboxes of a service account whose secret had expired."""
    console.print(f"\n[bold]3. {SERVICE_ACCOUNT_GRANTS} grants of a service account are re-authenticated[/]")
    wanted = {
        "grants": SERVICE_ACCOUNT_GRANTS,
        "provider": "google",
        "status": "invalid",
        "credential_id": CREDENTIAL,
        "email_domain": "workspace.example",
    }
    await there.simulator("POST", "seed", wanted)
    console.print("$ evergrant sync", style="bold", markup=False)


async def tell(there: Stage, console: Console, people: Sequence[Person]) -> None:
    """A table of what happened, read from the database and from Nylas' own books; raises if they disagree."""
    console.print("[dim]Nylas has sent a grant.updated for each of them; every one is looked at, too …[/]")
    await _until(partial(_all_delivered, there), "some webhooks were not delivered")
    await _until(partial(all_settled, there.database_url), "some events were not settled", seconds=40)
    calls = await there.simulator("GET", "calls")
    ours = await totals(there.database_url)
    codes = calls["codes_exchanged"]
    renewed = calls["by_path"].get("POST /v3/connect/custom", 0)
    busiest = max(calls["per_second"].values(), default=0)
    refused = calls["statuses"].get("429", 0)
    console.print("\n[bold]4. What happened[/]")
    table = Table(show_header=False, box=None, pad_edge=False)
    rows: list[tuple[str, Any]] = [
        ("codes exchanged, each once", f"{len(codes)} ({max(codes.values(), default=0)} time each)"),
        ("events taken in and settled (doubled ones once)", ours.events),
        ("grant.expired told / confirmed", f"{ours.told_expired} / {ours.confirmed_expired}"),
        ("service-account grants renewed", f"{ours.renewed} by {renewed} calls"),
        ("calls to Nylas in the busiest second (50 for each of two API groups) / refused", f"{busiest} / {refused}"),
        ("changes in the history", ours.changes),
        ("grants now", ", ".join(f"{count} {status}" for status, count in sorted(ours.statuses.items()))),
    ]
    for what, how_often in rows:
        table.add_row(f"   {what}", str(how_often))
    console.print(table)
    right = {
        "every code was exchanged once": set(codes.values()) == {1},
        "two expiries were confirmed": ours.confirmed_expired == 2,
        "every service-account grant was renewed": ours.renewed == SERVICE_ACCOUNT_GRANTS,
        "only Ada's grant is expired": ours.statuses
        == {"valid": SERVICE_ACCOUNT_GRANTS + len(people) - 1, "expired": 1},
    }
    if wrong := [what for what, holds in right.items() if not holds]:
        raise NotAsItShouldBe("it is not true that " + ", that ".join(wrong))


def _link(there: Stage, person: Person) -> str:
    return f"{there.web}/connect/google?login_hint={person.email}"


async def _browse(url: str) -> tuple[list[str], str]:
    """Follow a sign-in as a browser does, with its cookies; return the places passed, and the last page's title."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser, browser.get(url) as answer:
        html = await answer.text()
        title = re.search(r"<title>(.*?)</title>", html)
        hops = [hop.url.path for hop in answer.history] + [answer.url.path]
        return hops, (title.group(1) if title else str(answer.status)).replace("&#x27;", "'")


async def _all_delivered(there: Stage) -> bool:
    return bool((await there.simulator("GET", "deliveries?wait=1"))["pending"] == 0)


async def _until(look: Callable[[], Awaitable[Any]], otherwise: str, *, seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while not (seen := await look()):
        if time.monotonic() > deadline:
            raise NotAsItShouldBe(otherwise)
        await asyncio.sleep(0.05)
    return seen
