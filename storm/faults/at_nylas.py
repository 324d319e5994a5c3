"""Faults of Nylas: it refuses, fails, hangs, answers late or in pieces, or what it says is no answer at all."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from storm.stage import BAIT, DidNotFire, Stage, until

STRIKES_WITHIN, BY_COMMAND_WITHIN = 20.0, 90.0
"""Renewals come of a command alone, which may take long to begin."""
GIVES_UP_AFTER = 20.0
"""How long a call to Nylas may take (`nylas_api.client`)."""
WRITES: Mapping[str, Any] = {"path": "/v3/connect/[ct][uo][sk]*", "method": "POST"}
"""Renewals and exchanges of codes: calls whose effect is not harmless to repeat."""
READS: Mapping[str, Any] = {"path": "/v3/grants*", "method": "GET"}
RENEWALS: Mapping[str, Any] = {"path": "/v3/connect/custom", "method": "POST"}
CODES: Mapping[str, Any] = {"path": "/v3/connect/token", "method": "POST"}
MINUTE = 60.0

Blow = Callable[[Stage, int], Awaitable[str]]
Bait = Callable[[Stage, int], Coroutine[Any, Any, None]]


async def reads_and_codes(stage: Stage, draw: int) -> None:
    """Give cause for calls that read, and for exchanges of codes."""
    users = [stage.users[(draw + number) % len(stage.users)] for number in range(2)]
    await asyncio.gather(stage.hint(), *(stage.people.sign_in(user) for user in users))


async def renewals(stage: Stage, draw: int) -> None:
    """Have grants renewed which no wave's campaign renews: those of the wave's may be done before the fault begins."""
    await stage.office.start_campaign(BAIT)


def on(
    name: str,
    calls: Mapping[str, Any],
    *,
    count: int,
    lasts: float = 0.0,
    within: float = STRIKES_WITHIN,
    ambiguous: bool = False,
    bait: Bait = reads_and_codes,
    **how: Any,
) -> Blow:
    """Make a fault that strikes so many calls, and is over when the last of them has ended for its caller.

    Its `bait` gives cause for such calls, whatever else arrives.
    """

    async def blow(stage: Stage, draw: int) -> str:
        before = await stage.nylas.struck(name)
        await stage.nylas.control("POST", "faults", {**calls, **how, "name": name, "count": count})
        baiting = asyncio.create_task(bait(stage, draw))

        async def all_struck() -> bool:
            return await stage.nylas.struck(name) - before >= count

        try:
            await until(all_struck, seconds=within, every=0.1)
        finally:
            await stage.nylas.control("DELETE", "faults")
            struck = await stage.nylas.struck(name) - before
            if ambiguous:
                stage.interrupted += struck
        if not struck:
            baiting.cancel()
            raise DidNotFire("no call was struck")
        stage.baits.add(baiting)
        await asyncio.sleep(lasts)
        return f"{struck} calls were struck"

    return blow


async def all_401(stage: Stage, draw: int) -> str:
    """Refuse our key for a minute, whatever is asked."""
    before = await stage.nylas.struck("all-401")
    await stage.nylas.control("POST", "faults", {"path": "*", "status": 401, "name": "all-401"})
    began = time.monotonic()
    try:
        await stage.hint()
        await asyncio.sleep(MINUTE - (time.monotonic() - began))
    finally:
        await stage.nylas.control("DELETE", "faults")
    if not (struck := await stage.nylas.struck("all-401") - before):
        raise DidNotFire("nobody asked")
    return f"{struck} calls got 401 in a minute"


GARBAGE = '{"request_id": "storm", "data": [{"id": 17, "grant_status": ["?"]}'
PAGE = "<html><title>Welcome</title><h1>It works!</h1></html>"
PROVIDER = {"error": {"type": "rate_limit_error", "message": "Too many requests", "provider_error": {"code": 429}}}

BLOWS: Mapping[str, tuple[Blow, float]] = {
    "nylas: 429 of its own": (on("429", READS, count=8, status=429, headers={"Retry-After": "1"}), 2.0),
    "nylas: 429 of the provider": (on("429-provider", WRITES, count=6, status=429, body=PROVIDER), 4.0),
    "nylas: 500": (on("500", READS, count=8, status=500), 3.0),
    "nylas: hangs after the effect": (
        on("hang", WRITES, count=3, mode="hang_after_effect", delay_ms=21_000, lasts=GIVES_UP_AFTER, ambiguous=True),
        25.0,
    ),
    "nylas: drops after the effect": (on("drop", WRITES, count=4, mode="after_effect_drop", ambiguous=True), 4.0),
    "nylas: effect after the timeout": (
        on("late", WRITES, count=3, delay_ms=21_000, lasts=GIVES_UP_AFTER + 1, ambiguous=True),
        25.0,
    ),
    "nylas: effect long after the timeout": (
        on(
            "very-late",
            RENEWALS,
            count=3,
            delay_ms=30_000,
            lasts=GIVES_UP_AFTER + 11,
            within=BY_COMMAND_WITHIN,
            bait=renewals,
            ambiguous=True,
        ),
        35.0,
    ),
    "nylas: hangs without an effect": (
        on(
            "hang-nothing",
            RENEWALS,
            count=3,
            status=504,
            delay_ms=21_000,
            lasts=GIVES_UP_AFTER + 1,
            within=BY_COMMAND_WITHIN,
            bait=renewals,
        ),
        25.0,
    ),
    "nylas: slow renewals": (
        on("slow-renewals", RENEWALS, count=12, delay_ms=4_000, lasts=4.0, within=BY_COMMAND_WITHIN, bait=renewals),
        8.0,
    ),
    "nylas: drops what comes of codes": (on("codes", CODES, count=2, mode="after_effect_drop"), 4.0),
    "nylas: half an answer": (on("half", WRITES, count=4, mode="half_close", ambiguous=True), 4.0),
    "nylas: drips": (on("drip", WRITES, count=2, mode="slow_drip", lasts=GIVES_UP_AFTER, ambiguous=True), 25.0),
    "nylas: 500 to what is to be changed": (on("500-writes", WRITES, count=4, status=500), 3.0),
    "nylas: garbage for what is to be changed": (on("garbage-writes", WRITES, count=4, status=200, body=GARBAGE), 3.0),
    "nylas: a page with 200": (on("html", READS, count=8, status=200, body=PAGE), 3.0),
    "nylas: garbage with 200": (on("garbage", READS, count=8, status=200, body=GARBAGE), 3.0),
    "nylas: 401 for a minute": (all_401, 60.0),
}
