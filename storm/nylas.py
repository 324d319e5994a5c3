"""The storm's hand at the simulated Nylas: the control that pulls its strings, and its books."""

from collections.abc import Mapping
from typing import Any, Self

import aiohttp

PAGE = 200


class Nylas:
    """Speaks to the simulator."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self._bearer = {"Authorization": f"Bearer {api_key}"}
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Pull a string."""
        async with self._session.request(method, f"{self.url}/_sim/{path}", json=body) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def grants(self) -> list[dict[str, Any]]:
        """All grants that Nylas holds now."""
        found: list[dict[str, Any]] = []
        while True:
            query = {"limit": str(PAGE), "offset": str(len(found))}
            async with self._session.get(f"{self.url}/v3/grants", params=query, headers=self._bearer) as answer:
                answer.raise_for_status()
                page = (await answer.json())["data"]
            found += page
            if len(page) < PAGE:
                return found

    async def delete(self, grant_id: str) -> int:
        """Delete a grant as another program of the customer's would; return the status of the answer."""
        async with self._session.delete(f"{self.url}/v3/grants/{grant_id}", headers=self._bearer) as answer:
            return answer.status

    async def struck(self, name: str) -> int:
        """How often a fault has struck."""
        return int((await self.control("GET", "faults"))["struck"].get(name, 0))
