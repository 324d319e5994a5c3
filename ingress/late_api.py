"""The API in the web front: loaded while the front serves already, since it is a quarter of what there is to load."""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Receive, Scope, Send

from ingress.front import Front
from ingress.loading import loading

AFTER, AT_THE_LATEST = 2.0, 15.0


class LateApi:
    """Stands where the API will be: whoever calls it before it is loaded waits for that moment."""

    def __init__(self, *, after: float = AFTER, at_the_latest: float = AT_THE_LATEST) -> None:
        """Prepare; `load` begins. It is loaded by its first call, or when no webhook came for `after` seconds.

        Loading takes most of a second of a core, and there are many webhooks after a start: whom the front before did
        not answer comes again. Where they never cease, it is loaded `at_the_latest` seconds after `load`.
        """
        self._after, self._at_the_latest = after, at_the_latest
        self._wanted = asyncio.Event()
        self._api: asyncio.Task[ASGIApp] | None = None

    def load(self, front: Front) -> "asyncio.Task[ASGIApp]":
        """Load it when it is time, in a thread, so that webhooks are taken meanwhile, and give it the front."""
        self._api = asyncio.create_task(self._load(front))
        return self._api

    async def _load(self, front: Front) -> ASGIApp:
        came = -1
        with suppress(TimeoutError):
            async with asyncio.timeout(self._at_the_latest):
                while not self._wanted.is_set() and came != front.intake.came:
                    came = front.intake.came
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._after):
                            await self._wanted.wait()
        return await asyncio.to_thread(_loaded, front)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call."""
        if self._api is None:
            raise RuntimeError("the front does not serve")
        self._wanted.set()
        api = await asyncio.shield(self._api)
        await api(scope, receive, send)


def _loaded(front: Front) -> ASGIApp:
    with loading():
        from ingress.api.app import make_api

        api = make_api()
    api.state.front = front
    return api
