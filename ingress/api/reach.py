"""What the routes of the API reach: the open parts of the web process."""

from typing import Annotated

from fastapi import Depends, Request

from ingress.front import Front


async def _front(request: Request) -> Front:
    front: Front = request.app.state.front
    return front


Reached = Annotated[Front, Depends(_front)]
