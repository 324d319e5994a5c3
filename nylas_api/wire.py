"""One request on its way to Nylas and the answer on its way back, within bounds of time and size."""

import asyncio
import json
import zlib
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import httpx

from nylas_api.errors import Unreachable
from nylas_api.request import Request
from nylas_api.transport import FAULTS, USER_AGENT, HttpClient, name_of, never_sent

T = TypeVar("T")


@dataclass(frozen=True)
class Wire:
    """The way to one Nylas; of an answer at most `max_bytes` are read, counted after decompression."""

    http: HttpClient
    api_uri: str
    max_bytes: int

    async def send(
        self, request: Request[T], *, bearer: str | None, seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body of the answer; Unreachable if no whole one came within `seconds`."""
        outgoing = self._outgoing(request, bearer, seconds)
        try:
            async with (
                asyncio.timeout(seconds),
                aclosing(await self.http.handle_async_request(outgoing)) as response,
            ):
                headers = _headers(response)
                return response.status_code, headers, await self._read(response, headers)
        except TimeoutError:
            what = f"Nylas gave no whole answer within {seconds:.3g} s"
            raise Unreachable(what, outcome_unknown=True, under_way=request.changes) from None
        except FAULTS as fault:
            sent = not never_sent(fault)
            what = "the connection to Nylas broke" if sent else "Nylas could not be reached"
            raise Unreachable(f"{what}: {name_of(fault)}", outcome_unknown=sent) from None

    def _outgoing(self, request: Request[T], bearer: str | None, seconds: float) -> httpx.Request:
        """Make the request of HTTP; ValueError if it can't be sent, without quoting what may be a token."""
        headers = [(b"Accept", b"application/json"), (b"Accept-Encoding", b"gzip"), (b"User-Agent", USER_AGENT)]
        content = None
        if request.json is not None:
            headers.append((b"Content-Type", b"application/json"))
            content = json.dumps(request.json, allow_nan=False).encode()
        try:
            if bearer is not None:
                headers.append((b"Authorization", f"Bearer {bearer}".encode("ascii")))
            return httpx.Request(
                request.method,
                _address(f"{self.api_uri}{request.path}"),
                params=request.params or None,
                content=content,
                headers=httpx.Headers(headers, encoding="ascii"),
                # Half the time to connect: past that we still know that nothing was sent.
                extensions={"timeout": {"connect": seconds / 2, "pool": seconds / 2}},
            )
        except (UnicodeError, httpx.InvalidURL):
            what = f"{request.method} {request.path}"
        raise ValueError(f"{what} can't be sent: a token or parameter is too long, or has characters that none has")

    async def _read(self, response: httpx.Response, headers: Mapping[str, str]) -> bytes:
        """Read no more than we're willing to hold; a body cut short is no JSON, which says enough.

        Inflated here, not by httpx, which would blow up a whole chunk before anyone could count it.
        """
        zipped = headers.get("content-encoding", "").strip().lower() == "gzip"
        inflate = zlib.decompressobj(wbits=31)
        body = bytearray()
        assert isinstance(response.stream, httpx.AsyncByteStream)
        async for chunk in response.stream:
            try:
                room = self.max_bytes + 1 - len(body)
                body += inflate.decompress(chunk, room) if zipped else chunk[:room]
            except zlib.error:
                break
            if len(body) > self.max_bytes:
                break
        return bytes(body)


def _headers(response: httpx.Response) -> dict[str, str]:
    """Return the headers by their names in lower case (RFC 9110, 5.3), without httpx guessing how each is encoded."""
    headers: dict[str, str] = {}
    for name, value in response.headers.raw:
        key, said = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {said}" if key in headers else said
    return headers


@lru_cache(maxsize=256)
def _address(text: str) -> httpx.URL:
    """Read an address; most calls in bulk go to the same one."""
    return httpx.URL(text)
