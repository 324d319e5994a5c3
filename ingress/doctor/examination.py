"""The whole examination: our settings, database and Redis, and then all that must be right at Nylas."""

import asyncio
from urllib.parse import urlsplit

import typer

from ingress.doctor import database, redis
from ingress.doctor.consultation import consult
from ingress.doctor.findings import Finding, beware, put, well, wrong
from tasks.clock import system_clock
from worker.logs import quiet
from worker.settings import BadSettings, Settings, read

LOCAL = ("localhost", "127.0.0.1", "::1")


def doctor(*, as_json: bool) -> None:
    """Examine everything, and print what was found; exits with 1 if anything is wrong."""
    with quiet():
        findings = asyncio.run(examine())
    put(findings, as_json=as_json)
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)


async def examine() -> list[Finding]:
    """Examine everything; nothing is written anywhere. With wrong settings there is nobody else to ask."""
    try:
        settings = read()
        if settings.secret_keys or (settings.data_dir / "secret.key").exists():
            settings.keys()
    except BadSettings as error:
        first, *lines = str(error).splitlines()
        told = [line.strip(" -") for line in lines] or [first]
        return [wrong("settings", line, "README.md says what each setting is") for line in told]
    books, of_redis = await asyncio.gather(
        database.look_into(settings, now=system_clock()), redis.look_at(settings.redis_url)
    )
    return [
        public_url(settings),
        *books.findings,
        *of_redis,
        *await consult(settings, books.providers),
        database.webhook_secret(settings, is_held=books.holds_webhook_secret),
    ]


def public_url(settings: Settings) -> Finding:
    """The settings are right, as far as they can be told from right by themselves."""
    parts = urlsplit(settings.public_url)
    if parts.scheme == "http" and parts.hostname not in LOCAL:
        fix = "put a proxy that speaks HTTPS before web, and its address into EVERGRANT_PUBLIC_URL"
        return beware("settings", f"{settings.public_url} is plain http: Nylas takes https for all but localhost", fix)
    return well("settings", f"all there; the world reaches us at {settings.public_url}")
