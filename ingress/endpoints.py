"""The commands that show endpoints, add them and remove them."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlmodel import col

from ingress.secret_files import read_secret
from ingress.terminal import agree, fail, put_json, put_table, say
from models import Application, Delivery, Endpoint, NoticeKind
from models.columns import new_id
from tasks.notices.addresses import NotAllowed, checked_url
from tasks.notices.endpoints import MAIL, named, remove
from tasks.notices.secrets import BadSecret, new_secret, read_secrets
from worker.endpoints import SETTINGS, wanted
from worker.runtime import Runtime

BY_HAND = "cli"


def flat(endpoint: Endpoint, waiting: int) -> dict[str, Any]:
    """An endpoint as a flat object, without its secret and without anybody's address."""
    status = "removed" if endpoint.removed_at else "failing" if endpoint.failing_since else "active"
    times = ("created_at", "removed_at", "failing_since", "rests_until")
    return {
        "endpoint_id": str(endpoint.id),
        "url": named(endpoint),
        "kinds": " ".join(endpoint.kinds) or "all",
        "source": endpoint.source,
        "status": status,
        "waiting": waiting,
        "last_error": endpoint.last_error,
        **{name: when.isoformat() if (when := getattr(endpoint, name)) else None for name in times},
    }


async def list_endpoints(runtime: Runtime, *, removed_too: bool, as_json: bool) -> None:
    """Print the endpoints, and how many deliveries wait for each."""
    ours = select(Endpoint).where(col(Endpoint.application_id) == runtime.application.id)
    if not removed_too:
        ours = ours.where(col(Endpoint.removed_at).is_(None))
    open_ones = select(col(Delivery.endpoint_id), func.count()).where(col(Delivery.settled_at).is_(None))
    async with runtime.context.database.reading() as session:
        endpoints = (await session.scalars(ours.order_by(col(Endpoint.created_at), col(Endpoint.id)))).all()
        counted = await session.execute(open_ones.group_by(col(Delivery.endpoint_id)))
        waiting = dict(row.tuple() for row in counted)
    shown = [flat(endpoint, waiting.get(endpoint.id, 0)) for endpoint in endpoints]
    if as_json:
        put_json(shown)
        return
    columns = ("endpoint_id", "url", "kinds", "source", "status", "waiting", "last_error")
    put_table(None, columns, [[row[column] for column in columns] for row in shown])


async def add_endpoint(
    runtime: Runtime, url: str, *, kinds: Sequence[str] | None, secret_file: str | None, as_json: bool
) -> None:
    """Add an endpoint, or bring one back, or change the one that has this URL; print its secret if we made it."""
    context = runtime.context
    try:
        checked_url(url, allow_private=context.outbound.allow_private)
    except NotAllowed as error:
        fail(f"{url}: {error}", code=2)
    known = [kind.value for kind in NoticeKind if kind is not NoticeKind.TEST]
    if unknown := [kind for kind in kinds or () if kind not in known]:
        fail(f"There are no notices of the kind {unknown[0]!r}. There are: {', '.join(known)}", code=2)
    of_settings = url in wanted(runtime.settings)
    if of_settings and (kinds or secret_file):
        fail(f"{url} is EVERGRANT_NOTICE_URL: it has the secret of the settings, and is told all kinds.", code=2)
    given = read_secret(secret_file).get_secret_value() if secret_file else None
    try:
        secrets = read_secrets(given) if given else None
    except BadSecret as error:
        fail(f"{error}", code=2)
    async with context.database.writing() as session:
        await session.get_one(Application, runtime.application.id, with_for_update=True)
        same = select(Endpoint).where(col(Endpoint.application_id) == runtime.application.id, col(Endpoint.url) == url)
        row = (await session.scalars(same.order_by(col(Endpoint.created_at).desc()).limit(1))).one_or_none()
        made = secrets is None and row is None
        if row is None:
            row = Endpoint(
                id=new_id(),
                application_id=runtime.application.id,
                url=url,
                secret="",
                source=BY_HAND,
                created_at=context.now(),
            )
            secrets = secrets or [new_secret()]
        row.removed_at = row.failing_since = row.rests_until = row.last_error = None
        row.source, row.kinds = SETTINGS if of_settings else BY_HAND, list(kinds or ())
        if secrets:
            context.keys.seal(row, "secret", ",".join(secrets))
        session.add(row)
    told = flat(row, 0) | ({"secret": secrets[0]} if made and secrets else {})
    if as_json:
        put_json(told)
    else:
        put_table(None, ("field", "value"), told.items())
    if made:
        say("Keep the secret: it is not shown again. Your product verifies by it what it gets.")


async def remove_endpoint(runtime: Runtime, name: str, *, yes: bool) -> None:
    """Remove an endpoint, after asking."""
    endpoint = await find_endpoint(runtime, name)
    if endpoint.source == SETTINGS and endpoint.url in wanted(runtime.settings):
        fail(f"{named(endpoint)} comes from the settings: unset it there, and start the workers again.", code=2)
    agree(f"Tell {named(endpoint)} nothing more, and cancel what is on its way to it?", yes=yes)
    cancelled = await remove(runtime.context, endpoint.id, why="an admin removed the endpoint")
    say(f"It is told nothing more; {cancelled} deliveries were cancelled.")


async def find_endpoint(runtime: Runtime, name: str) -> Endpoint:
    """Find an endpoint that is told, by its id or its URL; exits where there is none."""
    by_name = [col(Endpoint.url) == name, col(Endpoint.url) == MAIL + name]
    with suppress(ValueError):
        by_name.append(col(Endpoint.id) == UUID(name))
    ours = select(Endpoint).where(col(Endpoint.application_id) == runtime.application.id, or_(*by_name))
    async with runtime.context.database.reading() as session:
        found = (await session.scalars(ours.where(col(Endpoint.removed_at).is_(None)))).first()
    if found is None:
        fail(f"No endpoint has the id or the URL {name!r}. (evergrant endpoints list)")
    return found
