"""Celery as its first steps show it: prefork, a synchronous task, Nylas' own SDK and a SQLModel session."""

from collections.abc import Sequence
from functools import cache

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from nylas import Client
from sqlalchemy import Engine
from sqlmodel import Session, create_engine

from bench.reauth.peers import place
from bench.reauth.peers.rows import RENEWED, PeerGrant
from bench.reauth.peers.sending import send_when_told

app = Celery("peer", broker=place.REDIS)
app.conf.task_ignore_result = True


@cache
def engine() -> Engine:
    """The process' own: a connection must not be shared over a fork."""
    return create_engine(f"postgresql+psycopg://{place.DATABASE}", pool_size=1, max_overflow=0)


@cache
def nylas() -> Client:
    """The process' own."""
    return Client(place.API_KEY, place.NYLAS)


@worker_process_init.connect
def open_all(**_: object) -> None:
    """Open both before the first task comes."""
    engine()
    nylas()


@worker_ready.connect
def tell(**_: object) -> None:
    """Say so."""
    place.say_ready()


@app.task(name="renew")
def renew(grant_id: str) -> None:
    """Read the row, ask Nylas, write the row."""
    with Session(engine()) as session:
        grant = session.get_one(PeerGrant, grant_id)
        email = grant.email
        session.rollback()
        answer = nylas().auth.custom_authentication({"provider": "google", "settings": place.settings(email)})
        assert answer.data.id == grant_id
        grant.status = RENEWED
        session.add(grant)
        session.commit()


async def send(grant_ids: Sequence[str]) -> None:
    """Send them."""
    for grant_id in grant_ids:
        renew.delay(grant_id)


if __name__ == "__main__":
    app.connection_for_write().ensure_connection().release()  # what it imports for that is not the work
    send_when_told(send)
