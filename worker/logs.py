"""Structured logs: one event for one fact, with the ids of what is at hand bound to it."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


def configure(format: str, *, level: int = logging.INFO) -> None:
    """Send structlog and the standard library's loggers through one formatter, to stderr.

    `format` is `text` (for people) or `json` (one object a line). Values are printed escaped, so that what came
    from outside can't forge a line.
    """
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.types.Processor
    if format == "json":
        last = structlog.processors.JSONRenderer()
    else:
        # Plain tracebacks: rich's show the values of variables, and those hold keys and tokens.
        last = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=32, exception_formatter=structlog.dev.plain_traceback
        )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info if format == "json" else _keep,
            last,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "aiosqlite", "alembic", "redbeat", "celery.redirected"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def keep_off_stdout() -> None:
    """Let what is logged in a command, also by a thread that is still at work as it ends, go to stderr."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


@contextmanager
def quiet() -> Iterator[None]:
    """Log nothing below critical for a while: a command tells what happens itself, and stdout is for its data."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def _keep(
    _logger: structlog.types.WrappedLogger, _name: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    return event
