"""What can be said about the Redis that carries our messages."""

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError


class Broker:
    """Asks Redis how it is, and waits no longer than a second for the answer."""

    def __init__(self, url: str) -> None:
        """Prepare; nothing connects yet."""
        self._redis = Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, decode_responses=True)

    async def state(self) -> str:
        """`ok`, or what is wrong with it in words."""
        try:
            policy = (await self._redis.config_get("maxmemory-policy")).get("maxmemory-policy", "")
        except NoPermissionError:
            return "ok, as far as it lets us look (CONFIG is forbidden: make sure of maxmemory-policy noeviction)"
        except (RedisError, OSError) as error:
            return f"does not answer ({type(error).__name__})"
        return "ok" if policy == "noeviction" else f"evicts keys (maxmemory-policy {policy}): set it to noeviction"

    async def close(self) -> None:
        """Let go of the connection."""
        await self._redis.aclose()
