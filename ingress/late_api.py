"""The API in the web front: loaded while the front serves already, since it is a quarter of what there is to load."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from ingress.front import Front
from ingress.loading import loading

AFTER = 5.0


class LateApi:
    """Stands where the API will be: whoever calls it before it is loaded waits for that moment."""

    def __init__(self, *, after: float = AFTER) -> None:
        """Prepare; `load` begins. It is loaded `after` so many seconds, or when it is called first.

        Loading takes most of a second of a core. A front that has just started has other things to do: whom the one
        before it did not answer comes again. Of such webhooks a third took more than 50 ms while this was loaded.
        """
        self._after = after
        self._wanted = asyncio.Event()
        self._api: asyncio.Task[ASGIApp] | None = None

    def load(self, front: Front) -> "asyncio.Task[ASGIApp]":
        """Load it in time, in a thread, so that webhooks are taken meanwhile, and give it the front."""
        self._api = asyncio.create_task(self._load(front))
        return self._api

    async def _load(self, front: Front) -> ASGIApp:
        try:
            async with asyncio.timeout(self._after):
                await self._wanted.wait()
        except TimeoutError:
            pass  # nobody has called it so far
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
