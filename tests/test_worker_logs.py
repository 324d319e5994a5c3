"""What the logs show: facts and where it broke, never the values that were at hand."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from worker.logs import configure


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_shows_where_it_broke_and_no_value_that_was_at_hand(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(form)

    def ask(api_key: str) -> None:
        raise LookupError(f"a key of {len(api_key)} characters")

    key = "-".join(["nyk", "IN", "A", "VARIABLE"])
    try:
        ask(key)
    except LookupError:
        structlog.get_logger().exception("task.failed")
        logging.getLogger("elsewhere").exception("it failed too")
    said = capsys.readouterr().err
    assert said.count("a key of 17 characters") >= 2
    assert "task.failed" in said
    assert key not in said
