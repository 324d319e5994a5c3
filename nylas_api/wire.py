"""One request on its way to Nylas and the answer on its way back, within bounds of time and size."""

import asyncio
import json
import zlib
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import httpx

from nylas_api.errors import Unreachable
from nylas_api.request import Request
from nylas_api.transport import FAULTS, name_of, never_sent

T = TypeVar("T")


@dataclass(frozen=True)
class Wire:
    """The way to one Nylas; of an answer at most `max_bytes` are read, counted after decompression."""

    http: httpx.AsyncClient
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
                aclosing(await self.http.send(outgoing, stream=True, follow_redirects=False)) as response,
            ):
                return response.status_code, response.headers, await self._read(response)
        except TimeoutError:
            raise Unreachable(f"Nylas gave no whole answer within {seconds:.3g} s", outcome_unknown=True) from None
        except FAULTS as fault:
            sent = not never_sent(fault)
            what = "the connection to Nylas broke" if sent else "Nylas could not be reached"
            raise Unreachable(f"{what}: {name_of(fault)}", outcome_unknown=sent) from None

    def _outgoing(self, request: Request[T], bearer: str | None, seconds: float) -> httpx.Request:
        """Make the request of HTTP; ValueError if it can't be sent, without quoting what may be a token."""
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        content = None
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        if request.json is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(request.json, allow_nan=False).encode()
        try:
            return self.http.build_request(
                request.method,
                f"{self.api_uri}{request.path}",
                params=request.params or None,
                content=content,
                headers=headers,
                # Half the time to connect: past that we still know that nothing was sent.
                timeout=httpx.Timeout(None, connect=seconds / 2, pool=seconds / 2),
            )
        except (UnicodeError, httpx.InvalidURL):
            what = f"{request.method} {request.path}"
        raise ValueError(f"{what} can't be sent: a token or parameter is too long, or has characters that none has")

    async def _read(self, response: httpx.Response) -> bytes:
        """Read no more than we're willing to hold; a body cut short is no JSON, which says enough.

        Inflated here, not by httpx, which would blow up a whole chunk before anyone could count it.
        """
        zipped = response.headers.get("content-encoding", "").strip().lower() == "gzip"
        inflate = zlib.decompressobj(wbits=31)
        body = bytearray()
        async for chunk in response.aiter_raw():
            try:
                room = self.max_bytes + 1 - len(body)
                body += inflate.decompress(chunk, room) if zipped else chunk[:room]
            except zlib.error:
                break
            if len(body) > self.max_bytes:
                break
        return bytes(body)
