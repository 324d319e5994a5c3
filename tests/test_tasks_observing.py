"""Looking at many grants: few calls, no stale answers, nobody taken for gone, and nobody kept waiting for others."""

import asyncio

import pytest

from lifecycle import GrantStatus
from models import Outcome
from models.kinds import GRANT_EXPIRED
from nylas_api import Garbled, NylasError, Unavailable
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import confirm_expiry
from tasks.looking import Look
from tasks.observing import AT_ONCE, Seen
from tasks.ways import Way, cheapest, costs
from tests.conftest import SetClock
from tests.stories import all_grants, at_nylas, fails, hints, known, mistaken, outcomes, recovers, seed, until

LIST, GET = "GET /v3/grants", "GET /v3/grants/{id}"


def statuses(seen: dict[str, Seen]) -> dict[str, GrantStatus]:
    """What was seen; every answer must be a look."""
    looks = [look for look in seen.values() if isinstance(look, Look)]
    assert len(looks) == len(seen)
    return {look.grant_id: look.observation.status for look in looks}


@pytest.mark.parametrize(
    ("pending", "held", "expired", "way"),
    [
        (1, 1, 0, Way.EACH),
        (3, 1, 0, Way.ALL),
        (9, 600, 300, Way.INVALID),
        (5, 600, 300, Way.EACH),
        (30, 20_000, 2_000, Way.EACH),
        (31, 20_000, 2_000, Way.INVALID),
        (11, 1_000_000, 0, Way.INVALID),
        (11, 1_000_000, 10_000, Way.EACH),
        (200, 1_000_000, 30_000, Way.INVALID),
        (200, 1_000_000, 50_000, Way.EACH),
        (200, 10_000, 10_000, Way.ALL),
        (10_000, 10_000, 0, Way.ALL),
        (10_000, 1_000_000, 0, Way.INVALID),
        (10_000, 1_000_000, 990_000, Way.ALL),
        (100, 0, 0, Way.ALL),
    ],
)
def test_the_cheapest_way_is_taken(pending: int, held: int, expired: int, way: Way) -> None:
    assert cheapest(costs(pending, held, expired)) is way


async def test_few_looks_go_out_at_once(ctx: Context, sim: Running) -> None:
    grant_ids = await known(ctx, sim, AT_ONCE)

    assert statuses(await ctx.look_at_many(grant_ids)) == dict.fromkeys(grant_ids, GrantStatus.VALID)
    assert sim.state.calls.by_path == {GET: AT_ONCE}


async def test_thousands_that_are_asked_for_at_once_are_read_from_the_list(ctx: Context, sim: Running) -> None:
    """By twenty tasks, as in a worker, of grants that are all new to us."""
    grant_ids = seed(sim, 4_000, status="invalid")

    parts = await asyncio.gather(*(ctx.look_at_many(grant_ids[part::20]) for part in range(20)))

    seen = {grant_id: status for part in parts for grant_id, status in statuses(part).items()}
    assert seen == dict.fromkeys(grant_ids, GrantStatus.EXPIRED)
    assert sim.state.calls.by_path == {LIST: 20}


@pytest.mark.long
async def test_a_storm_of_hints_is_settled_by_a_few_pages(ctx: Context, sim: Running, clock: SetClock) -> None:
    grant_ids = await known(ctx, sim, 600)
    clock.forward(minutes=1)
    for grant_id in grant_ids:
        at_nylas(sim, grant_id).grant_status = "invalid"
    told = await hints(ctx, GRANT_EXPIRED, *grant_ids)

    await asyncio.gather(*(confirm_expiry.run(ctx, told[part::3]) for part in range(3)))

    assert set(await outcomes(ctx, told)) == {Outcome.DONE}
    assert {grant.status for grant in (await all_grants(ctx)).values()} == {GrantStatus.EXPIRED}
    assert set(sim.state.calls.by_path) == {LIST}
    assert sim.state.calls.by_path[LIST] <= 15  # 3 if they meet, each by itself on the slowest machine


async def test_of_many_grants_only_the_invalid_ones_are_listed_and_the_others_looked_at(
    ctx: Context, sim: Running
) -> None:
    grant_ids = await known(ctx, sim, 1_000)
    asked, fine = grant_ids[:40], set(grant_ids[37:40])
    for grant_id in set(asked) - fine:
        at_nylas(sim, grant_id).grant_status = "invalid"

    seen = statuses(await ctx.look_at_many(asked))

    assert {grant_id for grant_id, status in seen.items() if status is GrantStatus.VALID} == fine
    assert sim.state.calls.by_path == {LIST: 1, GET: 3}


async def test_where_the_hints_were_wrong_the_list_of_all_takes_over(ctx: Context, sim: Running) -> None:
    asked = (await known(ctx, sim, 1_000))[::10]

    assert statuses(await ctx.look_at_many(asked)) == dict.fromkeys(asked, GrantStatus.VALID)
    assert sim.state.calls.by_path == {LIST: 1 + 5}


async def test_a_grant_that_no_page_tells_of_is_asked_for_before_it_counts_as_gone(ctx: Context, sim: Running) -> None:
    grant_ids = await known(ctx, sim, 100)
    gone = set(grant_ids[:7])
    for grant_id in gone:
        sim.state.books.delete(at_nylas(sim, grant_id))

    seen = statuses(await ctx.look_at_many(grant_ids))

    assert {grant_id for grant_id, status in seen.items() if status is GrantStatus.DELETED} == gone
    assert sim.state.calls.by_path == {LIST: 1, GET: 7}


async def test_an_empty_list_deletes_nobody(ctx: Context, sim: Running) -> None:
    grant_ids = await known(ctx, sim, 30)
    await fails(sim, "/v3/grants", status=200, body={"data": []})

    assert statuses(await ctx.look_at_many(grant_ids)) == dict.fromkeys(grant_ids, GrantStatus.VALID)


async def test_a_page_that_was_asked_for_before_does_not_answer_for_later(ctx: Context, sim: Running) -> None:
    """The page is read at Nylas, and on its way for long; meanwhile the grants expire, and somebody asks."""
    grant_ids = await known(ctx, sim, 50)
    page = {"data": [at_nylas(sim, grant_id).view() for grant_id in grant_ids]}
    await fails(sim, "/v3/grants", status=200, body=page, delay_ms=400, count=1)

    before = asyncio.create_task(ctx.look_at_many(grant_ids))
    await until(lambda: bool(sim.state.calls.by_path[LIST]))
    for grant_id in grant_ids:
        at_nylas(sim, grant_id).grant_status = "invalid"
    after = await ctx.look_at_many(grant_ids)

    assert set(statuses(await before).values()) == {GrantStatus.VALID}
    assert set(statuses(after).values()) == {GrantStatus.EXPIRED}
    assert sim.state.calls.by_path == {LIST: 2}


async def test_a_single_look_does_not_wait_for_a_sweep(ctx: Context, sim: Running) -> None:
    grant_ids = await known(ctx, sim, 50)
    await fails(sim, "/v3/grants", status=503, delay_ms=1_000)

    sweep = asyncio.create_task(ctx.look_at_many(grant_ids))
    await until(lambda: bool(sim.state.calls.by_path[LIST]))
    seen = statuses(await ctx.look_at_many(grant_ids[:1]))

    assert seen == {grant_ids[0]: GrantStatus.VALID}
    assert not sweep.done()
    assert len(await sweep) == 50


async def test_an_error_goes_to_all_who_waited_and_to_nobody_later(ctx: Context, sim: Running) -> None:
    grant_ids = await known(ctx, sim, 50)
    await fails(sim, "/v3/grants", status=503)

    seen = await ctx.look_at_many(grant_ids)
    assert {type(error) for error in seen.values()} == {Unavailable}
    assert GET not in sim.state.calls.by_path

    await recovers(sim)
    assert set(statuses(await ctx.look_at_many(grant_ids)).values()) == {GrantStatus.VALID}


async def test_where_nylas_refuses_the_list_each_is_looked_at_by_itself(ctx: Context, sim: Running) -> None:
    grant_ids = await known(ctx, sim, 50)
    refusal = {"request_id": "r", "error": {"type": "api.forbidden", "message": "no lists for you"}}
    await fails(sim, "/v3/grants", status=403, body=refusal)

    assert set(statuses(await ctx.look_at_many(grant_ids)).values()) == {GrantStatus.VALID}
    assert sim.state.calls.by_path == {LIST: 1, GET: 50}


async def test_a_status_that_we_do_not_know_is_no_answer(ctx: Context, sim: Running) -> None:
    odd, *others = await known(ctx, sim, 20)
    at_nylas(sim, odd).grant_status = "hibernating"

    seen = await ctx.look_at_many([odd, *others])

    assert isinstance(seen.pop(odd), Garbled)
    assert set(statuses(seen).values()) == {GrantStatus.VALID}


async def test_our_own_mistake_is_met_by_whoever_waited(ctx: Context, sim: Running) -> None:
    grant_ids = await known(ctx, sim, 50)
    broken = await mistaken(ctx)

    ends = await asyncio.gather(
        broken.look_at_many(grant_ids), broken.look_at_many(grant_ids[:20]), return_exceptions=True
    )

    assert all(isinstance(end, Exception) and not isinstance(end, NylasError) for end in ends)
    assert set(statuses(await ctx.look_at_many(grant_ids)).values()) == {GrantStatus.VALID}


async def test_who_asks_no_more_keeps_nobody_from_an_answer(ctx: Context, sim: Running) -> None:
    grant_ids = await known(ctx, sim, 50)

    stopped, other = (asyncio.create_task(ctx.look_at_many(grant_ids)) for _ in range(2))
    await asyncio.sleep(0)
    stopped.cancel()

    assert set(statuses(await other).values()) == {GrantStatus.VALID}
    assert stopped.cancelled()
