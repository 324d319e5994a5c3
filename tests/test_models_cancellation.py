"""Loops that outlive errors end all the same when they are told to, whatever a driver makes of that."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ingress.intake import Intake
from models.arrivals import Arrival
from models.columns import new_id
from tasks.campaigns import following
from tasks.context import Context
from worker import sweeper


async def hangs_until_cancelled(*_: object) -> None:
    """A connection that hangs: asyncpg tells of the cancellation as of a connection that was lost."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise ConnectionError("lost") from None


def sweeping(ctx: Context) -> Coroutine[Any, Any, None]:
    return sweeper.sweep_for_ever(ctx)


def follows(ctx: Context) -> Coroutine[Any, Any, None]:
    return following.Following(ctx, []).follow()


def stores(ctx: Context) -> Coroutine[Any, Any, None]:
    intake = Intake(ctx.database, ring=lambda _kind, _ids: None)
    asyncio.get_running_loop().call_soon(lambda: _hold(asyncio.ensure_future(intake.store(an_event(ctx)))))
    return intake.run()


_held: set["asyncio.Future[bool]"] = set()


def _hold(waiting: "asyncio.Future[bool]") -> None:
    _held.add(waiting)
    waiting.add_done_callback(lambda done: (_held.discard(done), done.exception()))


def an_event(ctx: Context) -> Arrival:
    return Arrival(ctx.application_id, "grant.updated", str(new_id()), "nylas", b"{}", ctx.now())


@pytest.mark.parametrize("loop", [sweeping, follows, stores])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_loop_ends_although_its_cancellation_came_as_an_error(
    ctx: Context, loop: Callable[[Context], Coroutine[Any, Any, None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "sweep", hangs_until_cancelled)
    monkeypatch.setattr(following.Following, "look", hangs_until_cancelled)
    monkeypatch.setattr(following, "EVERY", 0.0)
    monkeypatch.setattr("ingress.intake.store_arrivals", hangs_until_cancelled)
    task = asyncio.create_task(loop(ctx))
    await asyncio.sleep(0.1)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=10)
    assert done == {task}
