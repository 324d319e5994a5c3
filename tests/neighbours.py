"""Another application that has its rows in the same database."""

from dataclasses import replace

from models import Application
from models.columns import new_id
from tasks.context import Context
from tests.stories import stored


async def neighbour(ctx: Context) -> Context:
    """The context of a worker of another application, on the same database."""
    other = Application(
        id=new_id(), client_id=str(new_id()), api_uri="u", api_key="eg1.x.y", created_at=ctx.now(), updated_at=ctx.now()
    )
    await stored(ctx, other)
    return replace(ctx, application_id=other.id)
