"""The connections to Nylas: httpx for the conversation, aiohttp for the sockets under it.

httpcore, which usually lies under httpx, walks through its whole pool at every request, so it gets
slower the more calls are in flight: 184 calls a second, measured against a server that takes 20 ms,
where aiohttp's pool gave 2,000. And httpx's own client lies above what is used here, its transport:
all that it adds (redirects, cookies, logs, what the environment says) is not wanted, and cost as much
processor time as the rest: 0.69 ms a call with it, 0.34 ms without.
"""

import asyncio
from importlib.metadata import PackageNotFoundError, version

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

HttpClient = httpx.AsyncBaseTransport
"""What `open_http` opens, by a name that doesn't tie who holds it to httpx."""


def _our_version() -> str:
    try:
        return version("evergrant")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0"


USER_AGENT = f"Evergrant/{_our_version()}".encode()

FAULTS = (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError, UnicodeError)
"""All that a conversation over these connections may raise when the wire, not our code, is at fault.

UnicodeError is httpx-aiohttp stumbling over a reason phrase that isn't UTF-8.
"""


def open_http(*, connections: int) -> HttpClient:
    """Open the way out with at most so many connections; close it with `aclose()`.

    Has to be called where an event loop runs (else RuntimeError), and belongs to that loop. It keeps
    no cookies, follows no redirects, and takes nothing from the environment: no proxy, no netrc, no
    certificates.
    """
    tls = httpx.create_ssl_context(trust_env=False)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ssl=tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
    return AiohttpTransport(client=session, verify=tls, trust_env=False)


def never_sent(fault: Exception) -> bool:
    """Tell whether the fault came before any byte of the request could leave.

    httpx's class alone cannot tell: httpx-aiohttp calls a refused connection *and* one that broke
    after the request was written both ConnectTimeout. So the fault under it is looked at.
    """
    cause = fault.__cause__
    if isinstance(cause, aiohttp.ClientError):
        return isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    return isinstance(fault, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def name_of(fault: BaseException) -> str:
    """Name a fault by its deepest cause, without its text, which may quote what was sent.

    A cancellation is only how a timeout did its work.
    """
    while fault.__cause__ is not None and not isinstance(fault.__cause__, asyncio.CancelledError):
        fault = fault.__cause__
    return type(fault).__name__
