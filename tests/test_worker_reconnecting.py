"""Coming back to Redis: the waits between two attempts never grow beyond two seconds."""

import pytest
from kombu.exceptions import OperationalError

from ingress.children import free_port
from worker.app import make_app


@pytest.mark.long
def test_a_redis_that_is_away_is_asked_again_every_two_seconds_at_least() -> None:
    app = make_app(f"redis://127.0.0.1:{free_port()}/0")
    waits: list[float] = []
    with app.connection_for_read() as connection, pytest.raises(OperationalError):
        connection.ensure_connection(lambda _error, wait: waits.append(wait), max_retries=5)
    assert waits == [1, 2, 2, 2, 2]
    app.close()
