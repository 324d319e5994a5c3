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


class SentBack(Exception):
    """A page says that nothing came of it, and that it can be tried once more."""


@dataclass(slots=True)
class People:
    """Users at their browsers; `codes` are those that Nylas gave them, `sent_back` how often they had to begin anew."""

    web: str
    codes: set[str] = field(default_factory=set)
    finished: int = 0
    sent_back: int = 0
    given_up: int = 0
    under_way: int = 0

    async def sign_in(self, email: str) -> bool:
        """Sign in by hosted OAuth, and anew where a page asks for that; say whether the last page came."""
        self.under_way += 1
        jar = aiohttp.CookieJar(unsafe=True)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        until = time.monotonic() + FOR
        try:
            async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as browser:
                while not await self._there_and_back(browser, email, until):
                    self.sent_back += 1
        except GivenUp:
            self.given_up += 1
            return False
        finally:
            self.under_way -= 1
        self.finished += 1
        return True

    async def _there_and_back(self, browser: aiohttp.ClientSession, email: str, until: float) -> bool:
        """Go to Nylas and come back, hop by hop; say whether it ended well, so far as the user can see."""
        query = urlencode({"login_hint": email})
        at_nylas = await self._hop(browser, f"{self.web}/connect/google?{query}", until)
        back = await self._hop(browser, at_nylas, until)
        self.codes |= set(parse_qs(urlsplit(back).query).get("code", []))
        try:
            await self._hop(browser, back, until, ends=True)
        except SentBack:
            return False
        return True

    async def _hop(self, browser: aiohttp.ClientSession, url: str, until: float, *, ends: bool = False) -> str:
        """Ask for a page, again and again, until it comes; return where it leads to.

        Where the way `ends`, a page that refuses (4xx) has come as well, and raises SentBack.
        """
        while time.monotonic() < until:
            try:
                async with browser.get(url, allow_redirects=False) as answer:
                    if answer.status < 400:
                        return answer.headers.get("location", "")
                    if ends and answer.status < 500:
                        raise SentBack
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(AGAIN_AFTER)
        raise GivenUp
