"""Errors of the API, as problem details (RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from models.database import AWAY

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
AGAIN_IN = "5"


class Mistake(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="Where it stands: `query.limit`, `body.contact`.")
    what: str = Field(description="What is wrong with it.")


class ProblemDetails(BaseModel):
    """Why something was not done (RFC 9457)."""

    type: str = Field(description="`about:blank`: the status says what kind of problem it is, `code` says which.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What is wrong and what to do, for a human.")
    code: str = Field(description="Which problem it is, for a program: `unknown_grant`.")
    errors: list[Mistake] | None = Field(default=None, description="Each thing that is wrong with the request.")


class Problem(Exception):
    """Something that is answered with problem details."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        """`code` names the problem for a program, `detail` for a human."""
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, headers


def answer(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[Mistake] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make the answer that tells of a problem."""
    told = ProblemDetails(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=list(errors) or None,
    )
    return JSONResponse(
        told.model_dump(exclude_none=True),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def unavailable(error: Exception) -> Response:
    """Answer that the database could not be asked; the same request may succeed a little later."""
    log.error("api.unavailable", error=type(error).__name__)
    detail = "The database does not answer at the moment: nothing was changed. Ask again in a few seconds."
    return answer(503, "unavailable", detail, headers={"Retry-After": AGAIN_IN})


def explain(api: FastAPI) -> None:
    """Have all errors of the API answered with problem details."""

    async def problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return answer(error.status, error.code, error.detail, headers=error.headers)

    async def http_error(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = "too_large" if error.status_code == 413 else HTTPStatus(error.status_code).name.lower()
        return answer(error.status_code, code, str(error.detail), headers=error.headers)

    async def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        mistakes = [_mistake(told) for told in error.errors()]
        detail = "; ".join(f"{mistake.where}: {mistake.what}" for mistake in mistakes)
        return answer(422, "invalid", f"The request can't be right: {detail}", errors=mistakes)

    async def away(_request: Request, error: Exception) -> Response:
        return unavailable(error)

    api.add_exception_handler(Problem, problem)
    api.add_exception_handler(HTTPException, http_error)
    api.add_exception_handler(RequestValidationError, invalid)
    for kind in AWAY:  # TimeoutError is an OSError
        api.add_exception_handler(kind, away)


def _mistake(told: Mapping[str, Any]) -> Mistake:
    """Say what is wrong, and where; never with what was sent, which may be anything."""
    return Mistake(where=".".join(str(part) for part in told["loc"]), what=str(told["msg"]))
