"""The people of the storm: users who sign in by their browsers, and try again where a page does not come."""

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp

FOR = 90.0
AGAIN_AFTER = 1.0
PATIENCE = 10.0


class GivenUp(Exception):
    """A user has tried for so long that nobody would."""


@dataclass(slots=True)
class People:
    """Users at their browsers; `codes` are those that Nylas gave them."""

    web: str
    codes: set[str] = field(default_factory=set)
    finished: int = 0
    given_up: int = 0
    under_way: int = 0

    async def sign_in(self, email: str) -> bool:
        """Sign in by hosted OAuth, hop by hop; say whether the last page came."""
        self.under_way += 1
        jar = aiohttp.CookieJar(unsafe=True)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        try:
            async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as browser:
                until = time.monotonic() + FOR
                query = urlencode({"login_hint": email})
                at_nylas = await self._hop(browser, f"{self.web}/connect/google?{query}", until)
                back = await self._hop(browser, at_nylas, until)
                self.codes |= set(parse_qs(urlsplit(back).query).get("code", []))
                await self._hop(browser, back, until)
        except GivenUp:
            self.given_up += 1
            return False
        finally:
            self.under_way -= 1
        self.finished += 1
        return True

    async def _hop(self, browser: aiohttp.ClientSession, url: str, until: float) -> str:
        """Ask for a page, again and again, until it comes; return where it leads to."""
        while time.monotonic() < until:
            try:
                async with browser.get(url, allow_redirects=False) as answer:
                    if answer.status < 400:
                        return answer.headers.get("location", "")
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(AGAIN_AFTER)
        raise GivenUp
