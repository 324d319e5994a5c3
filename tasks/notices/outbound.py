"""The way out to the product: each connection goes to an address that was looked at, and nowhere else."""

import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from uuid import UUID

import aiohttp

from tasks.notices.addresses import NotAllowed, checked_url, is_public
from tasks.notices.mail import MailServer

TIMEOUT = timedelta(seconds=10)
BUFFER = 2**15
CONNECTIONS = 200


class Unanswered(Exception):
    """No answer came, or nothing was sent at all; the message says why, without the URL."""


class NotPublic(OSError):
    """The name leads to an address that only this machine or its network can reach."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint said: nobody reads its body. `retry_after` is how long it asked us to stay away."""

    status: int
    retry_after: timedelta | None = None

    @property
    def taken(self) -> bool:
        """Whether the notice was taken."""
        return 200 <= self.status < 300


class Outbound:
    """One HTTP session, opened at first use on the loop that uses it, and the mail server if there is one.

    It follows no redirects, keeps no cookies, and takes no proxy from the environment: what it connects to is the very
    address that was looked at, so a name that resolves to another one a moment later gains nothing.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        mail: MailServer | None = None,
        timeout: timedelta = TIMEOUT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare. `tls` says which certificates are trusted; the system's, unless given."""
        self.allow_private, self.mail = allow_private, mail
        self.busy = set[UUID]()
        """The endpoints that this process is sending to: no second task begins with one of them."""
        self._timeout, self._tls = timeout, tls
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body, once. Raises Unanswered."""
        try:
            checked_url(url, allow_private=self.allow_private)
        except NotAllowed as error:
            raise Unanswered(f"nothing was sent: {error}") from None
        sent = {"Content-Type": "application/json", "User-Agent": f"Evergrant/{_our_version()}", **headers}
        try:
            async with self._open().post(url, data=body, headers=sent, allow_redirects=False) as answer:
                return Answer(answer.status, _seconds(answer.headers.get("Retry-After", "")))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unanswered(self._why(error)) from None

    async def close(self) -> None:
        """Close what was opened."""
        if self._session:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=CONNECTIONS, socket_factory=self._socket, ssl=self._tls if self._tls else True
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timeout.total_seconds()),
                read_bufsize=BUFFER,
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket that a connection to this resolved address will use, if it may be reached."""
        family, kind, protocol, _, address = info
        if not self.allow_private and not is_public(str(address[0])):
            raise NotPublic("it leads to an address that is not public")
        return socket.socket(family=family, type=kind, proto=protocol)

    def _why(self, error: Exception) -> str:
        match error:
            case TimeoutError():
                return f"no answer within {self._timeout.total_seconds():g} s"
            case aiohttp.ClientConnectorError(os_error=NotPublic() as refused):
                return f"nothing was sent: {refused}; EVERGRANT_NOTICE_ALLOW_PRIVATE=true would allow that"
            case aiohttp.ClientConnectorDNSError():
                return "its name does not resolve"
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
                return "no safe connection: its certificate is not trusted, or it speaks no TLS"
            case aiohttp.ClientConnectorError():
                number = error.os_error.errno
                return f"no connection: {os.strerror(number) if number else type(error.os_error).__name__}"
            case aiohttp.InvalidURL():
                return "nothing was sent: its URL is not one"
            case _:
                return f"the connection broke ({type(error).__name__})"


def _seconds(told: str) -> timedelta | None:
    return timedelta(seconds=int(told)) if told.isascii() and told.isdigit() and len(told) < 7 else None


@cache
def _our_version() -> str:
    try:
        return version("evergrant")
    except PackageNotFoundError:  # a checkout that was not installed
        return "0"
