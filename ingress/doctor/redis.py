"""What the doctor asks Redis: whether it is there, new enough, and one that drops nothing."""

from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ingress.doctor.findings import Finding, beware, well, wrong

OLDEST = (6, 2)
PATIENCE = 3


async def look_at(url: str) -> list[Finding]:
    """Look at the Redis of the settings; without one, `evergrant up` brings its own, which is set up right."""
    if not url:
        return [well("redis", "none is set: evergrant up brings a Valkey of its own")]
    redis = Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, decode_responses=True)
    try:
        told: Mapping[str, Any] = await redis.info()
        try:
            told_by_config: Mapping[str | None, str | None] = await redis.config_get("maxmemory-policy", "save")
        except RedisError:  # many hosts of Redis forbid CONFIG, and tell the policy here as well
            told_by_config = {}
        policy = told_by_config.get("maxmemory-policy", told.get("maxmemory_policy"))
    except (RedisError, OSError) as error:
        fix = "is it running, and is EVERGRANT_REDIS_URL right? Until it answers, work waits for the sweep"
        return [wrong("redis", f"does not answer ({type(error).__name__})", fix)]
    finally:
        await redis.aclose()
    return [
        version(str(told.get("redis_version", ""))),
        eviction(policy),
        persistence(told, told_by_config.get("save")),
    ]


def version(text: str) -> Finding:
    """Whether it is new enough; Valkey tells the version of Redis that it is as good as."""
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if len(numbers) == 2 and numbers >= OLDEST:
        return well("redis", f"it answers, as version {text}")
    return wrong("redis", f"it answers, as version {text or 'unknown'}", "use Redis 6.2 or newer, or Valkey")


def eviction(policy: str | None) -> Finding:
    """Whether it would drop messages when it is full."""
    fix = "set maxmemory-policy noeviction: a Redis that evicts drops messages without a word"
    if policy == "noeviction":
        return well("redis eviction", "maxmemory-policy is noeviction")
    if policy is None:
        return beware("redis eviction", "it does not tell its maxmemory-policy", fix)
    return wrong("redis eviction", f"maxmemory-policy is {policy}", fix)


def persistence(told: Mapping[str, Any], save: str | None) -> Finding:
    """Whether messages survive its restart. Rows do in any case."""
    match told.get("aof_enabled"), save:
        case 1, _:
            return well("redis persistence", "append-only file")
        case 0, "":
            detail = "it keeps nothing: after its restart the sweep rings for all rows again, which takes longer"
            return beware("redis persistence", detail, "set appendonly yes")
        case 0, str():
            return well("redis persistence", "snapshots; with an append-only file less would be rung for again")
        case _:
            return well("redis persistence", "it does not tell")
