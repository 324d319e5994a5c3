"""The courier who goes to the webhooks: with an event, or with the challenge."""

import secrets

import aiohttp

SECONDS_TO_ANSWER = 10


class Courier:
    """One HTTP client for all destinations. It follows no redirect: what counts is the answer of the URL itself."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=SECONDS_TO_ANSWER)

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int | None, str]:
        """Deliver; return the status and what Retry-After says, or None without a whole answer."""
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False
            ) as answer:
                await answer.read()
                return answer.status, answer.headers.get("Retry-After", "")
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None, ""

    async def challenge(self, url: str) -> str | None:
        """Ask a webhook whether it listens; return what is wrong, or None.

        It must give back exactly what it was given, in one piece: a chunked answer doesn't count.
        """
        value = secrets.token_urlsafe(24)
        try:
            async with self._session.get(
                url, params={"challenge": value}, timeout=self._timeout, allow_redirects=False
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return f"no answer, {type(error).__name__}"
        if answer.status != 200:
            return f"status is not ok, got {answer.status}"
        if body != value.encode() or "chunked" in answer.headers.get("Transfer-Encoding", ""):
            return "challenge was not given back as it was sent"
        return None

    async def close(self) -> None:
        """Hang up."""
        await self._session.close()
