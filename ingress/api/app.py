"""The application that serves the API: FastAPI, mounted into the web front."""

import asyncio
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingress.api import PATH, campaign_events, campaigns, grants, links, lists, reports
from ingress.api.bearer import OPEN_TO_ALL, Bearer
from ingress.api.problems import MEDIA_TYPE, ProblemDetails, explain, unavailable

MOST_BYTES = 16 * 1024
LARGER = {"/campaigns": 4 * 1024 * 1024}
"""10,000 names of grants stand in a body."""
STREAM = "text/event-stream"
PATIENCE = 10.0
ABOUT = """Grants of Nylas v3 as Evergrant holds them, why they are as they are, and what can be done about one.

Each call needs a token (`evergrant tokens create`) with the scope `read` for what is asked with GET, `campaigns` to
start and to steer campaigns, `grants` for the rest; `admin` is good for all. Errors are problem details (RFC 9457);
`code` says which one it is."""
PROBLEMS = {
    400: "The body can't be read.",
    401: "No token, or one that is unknown, revoked or run out.",
    403: "The token has not the scope.",
    413: "The body is too long.",
    422: "The request can't be right.",
    503: "The database does not answer; ask again.",
}
OF_A_PATH = {404: "There is none of this id.", 409: "It can't be done as things stand."}


class Bounds:
    """ASGI middleware that ends each call in time, whatever it waits for, and reads no more of it than is allowed.

    A stream of events may take its time, once it has begun. No answer is to be kept by anything on the way: it holds
    addresses of users, or links.
    """

    def __init__(self, app: ASGIApp, *, seconds: float, most_bytes: int) -> None:
        """Stand before `app`."""
        self._app, self._seconds, self._most_bytes = app, seconds, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on; answer with 503 if it takes too long, and with 413 if it is too large."""
        begun, received = False, 0
        path = str(scope.get("path", "")).removeprefix(scope.get("root_path", ""))
        most = LARGER.get(path, self._most_bytes)

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise HTTPException(413, f"The body must not be longer than {most} bytes.")
            return message

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"] = "no-store"
                if headers.get("Content-Type", "").startswith(STREAM):
                    patience.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(self._seconds) as patience:
                await self._app(scope, counting, noting)
        except TimeoutError as error:
            if begun:
                raise
            await unavailable(error)(scope, receive, send)


class Api(FastAPI):
    """The application, which describes itself with the problems that each call can be answered with."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI, made once."""
        if not self.openapi_schema:
            self.openapi_schema = with_problems(super().openapi())
        return self.openapi_schema


def make_api() -> Api:
    """Make the application. Its `state.front` must be set before it is called."""
    api = Api(
        title="Evergrant",
        version=version("evergrant"),
        description=ABOUT,
        openapi_url=OPEN_TO_ALL,
        docs_url=None,
        redoc_url=None,
        servers=[{"url": PATH}],
        root_path_in_servers=False,
        redirect_slashes=False,
        middleware=[Middleware(Bounds, seconds=PATIENCE, most_bytes=MOST_BYTES), Middleware(Bearer)],
        generate_unique_id_function=lambda route: route.name,
    )
    api.state.reports = reports.Reports()
    api.state.followers = campaign_events.Followers()
    explain(api)
    for part in (grants, reports, links, lists, campaigns, campaign_events):
        api.include_router(part.router)
    return api


def with_problems(told: dict[str, Any]) -> dict[str, Any]:
    """Add to an OpenAPI the problems that each call can be answered with, in the place of FastAPI's own."""
    schemas = told["components"]["schemas"]
    for gone in ("HTTPValidationError", "ValidationError"):
        schemas.pop(gone, None)
    problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs") | {"ProblemDetails": problem}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    for path, calls in told["paths"].items():
        for call in calls.values():
            for status, what in (PROBLEMS | (OF_A_PATH if "{" in path else {})).items():
                call["responses"][str(status)] = {"description": what, "content": content}
    return told
