"""How a storm ends: it becomes quiet, and then all books are read."""

import asyncio
import time
from contextlib import suppress
from math import inf

from storm import reading
from storm.arriving import Arriving
from storm.books import Books, Sent, Truth
from storm.courier import GOOD, Answered
from storm.disk import stalls
from storm.stage import Stage
from storm.stretches import within

QUIET_FOR = 3
AT_MOST = 5
UNREAD = "what could not be read"


async def quiet(stage: Stage, arriving: Arriving, *, within: float) -> dict[str, int]:
    """Wait until nothing is under way anywhere, several looks in a row; return what is still left if it never is.

    A slow machine is given time while what is left becomes less, or other; but not for ever.
    """
    left: dict[str, int] = {}
    in_a_row, changed, given_up_at = 0, time.monotonic(), time.monotonic() + AT_MOST * within
    while in_a_row < QUIET_FOR and time.monotonic() < min(changed + within, given_up_at):
        before, left = left, {"arrivals": arriving.under_way, UNREAD: 1}
        with suppress(Exception):  # a busy database may be slow
            left["webhooks at Nylas"] = (await stage.nylas.control("GET", "deliveries"))["pending"]
            left |= await reading.left(stage.database) | {UNREAD: 0}
        left = {what: count for what, count in left.items() if count}
        in_a_row = 0 if left else in_a_row + 1
        changed = changed if left == before else time.monotonic()
        await asyncio.sleep(1)
    return left


async def all_books(stage: Stage, arriving: Arriving) -> Books:
    """Read all books, those of Nylas first: reading its grants is a call as well."""
    calls = await stage.nylas.control("GET", "calls")
    at_nylas = await stage.nylas.grants()
    by_nylas = (await stage.nylas.control("GET", "deliveries"))["deliveries"]
    taken = {one["id"]: Sent(one["id"]) for one in by_nylas if one["status"] == GOOD} | stage.courier.sent
    truth = Truth(
        grants={grant["id"]: grant["grant_status"] for grant in at_nylas},
        emails={grant["id"]: grant["email"] for grant in at_nylas},
        imported=stage.imported,
        deleted=arriving.deleted,
        code_ends=calls["code_ends"],
    )
    truth.expiries.update(arriving.expiries)
    truth.renewals.update(calls["renewals"])
    truth.renewed_at |= {email: [(came, done) for came, done in each] for email, each in calls["renewed_at"].items()}
    stage.note_answers()
    answered, standing_still = stage.courier.answered, stalls(stage.disk)
    calm = [one for one in answered if not within(one.at, one.seconds, stage.troubled)]
    database = stage.database
    return Books(
        sent=list(taken.values()),
        events=await reading.events(database),
        grants=await reading.grants(database),
        transitions=await reading.transitions(database),
        notices=await reading.notices(database),
        heard=reading.heard(await stage.product_books()),
        sign_ins=await reading.sign_ins(database),
        came_back=stage.people.finished,
        items=await reading.items(database),
        asked_for=stage.office.campaigns,
        campaigns=await reading.campaigns(database),
        truth=truth,
        interrupted=stage.interrupted,
        ambiguous=stage.ambiguous,
        calm=[_took(one) for one in calm],
        on_a_good_disk=[_took(one) for one in calm if not within(one.at, one.seconds, standing_still)],
        disk=[seconds for at, seconds in list(stage.disk) if not within(at, seconds, stage.troubled)],
        without_valkey=[_took(one) for one in answered if within(one.at, one.seconds, stage.without_valkey)],
    )


def _took(one: Answered) -> float:
    return one.seconds if one.taken else inf
