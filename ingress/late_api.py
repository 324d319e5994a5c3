"""The API in the web front: loaded while the front serves already, since it is a quarter of what there is to load."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from ingress.front import Front
from ingress.loading import loading


class LateApi:
    """Stands where the API will be: whoever calls it before it is loaded waits for that moment."""

    def __init__(self) -> None:
        """Prepare; `load` begins."""
        self._api: asyncio.Task[ASGIApp] | None = None

    def load(self, front: Front) -> "asyncio.Task[ASGIApp]":
        """Load it in a thread, so that webhooks are taken meanwhile, and give it the front."""
        self._api = asyncio.create_task(asyncio.to_thread(_loaded, front))
        return self._api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call."""
        if self._api is None:
            raise RuntimeError("the front does not serve")
        api = await asyncio.shield(self._api)
        await api(scope, receive, send)


def _loaded(front: Front) -> ASGIApp:
    with loading():
        from ingress.api.app import make_api

        api = make_api()
    api.state.front = front
    return api
