"""What Nylas says about grants and tokens, read leniently."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What Nylas said, and when we asked.

    `asked_at` is the moment *before* the request went out: the data is at least as new as that.
    """

    data: T
    request_id: str | None
    asked_at: datetime


def _moment(value: object) -> datetime:
    """Read unix seconds, or RFC 3339 "just in case" as Nylas' own CLI does."""
    try:
        match value:
            case bool():
                raise ValueError("not a time")
            case int() | float():
                moment = datetime.fromtimestamp(value, UTC)
            case str():
                moment = datetime.fromisoformat(value)
                moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
            case _:
                raise ValueError("not a time")
    except (OverflowError, OSError):
        raise ValueError("not a time") from None
    if moment.timestamp() < 0:
        raise ValueError("no grant is that old")
    return moment


def _words(value: object) -> tuple[str, ...]:
    """Read scopes: a list on a grant, a space-separated string on a token."""
    if isinstance(value, str):
        return tuple(value.split())
    if isinstance(value, list | tuple):
        return tuple(word for word in value if isinstance(word, str) and word)
    return ()


def _none_if_wrong(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValidationError:
        return None


Text = Annotated[str, Field(strict=True, min_length=1)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Settings = Annotated[dict[str, object], BeforeValidator(lambda value: value if isinstance(value, dict) else {})]
MaybeText = Annotated[Text | None, WrapValidator(_none_if_wrong)]
MaybeMoment = Annotated[Moment | None, WrapValidator(_none_if_wrong)]
MaybeInt = Annotated[int | None, WrapValidator(_none_if_wrong)]
MaybeSecret = Annotated[SecretStr | None, WrapValidator(_none_if_wrong)]
Flag = Annotated[bool, BeforeValidator(lambda value: value is True)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class NylasGrant(_Said):
    """A grant as Nylas describes it (Nylas: Grants API, the Grant object).

    Only `id`, `provider` and `created_at` are insisted on. Anything else that is missing, empty or
    of a wrong type is None (or empty): Nylas leaves fields out freely, even the email. `updated_at`
    is the last successful authentication, not the last change.
    """

    id: Text
    provider: Text
    created_at: Moment
    scope: Words = ()
    updated_at: MaybeMoment = None
    grant_status: MaybeText = None
    email: MaybeText = None
    name: MaybeText = None
    provider_user_id: MaybeText = None
    state: MaybeText = None
    settings: Settings = Field(default_factory=dict, repr=False)
    blocked: Flag = False
    credential_id: MaybeText = None
    account_id: MaybeText = None
    workspace_id: MaybeText = None
    ip: MaybeText = None
    user_agent: MaybeText = None

    @property
    def is_valid(self) -> bool | None:
        """Whether Nylas can use the grant; None if it gave no status, or one we have never heard of."""
        return {"valid": True, "invalid": False}.get(self.grant_status or "")


class TokenAnswer(_Said):
    """What a code was exchanged for (Nylas: POST /v3/connect/token).

    With an API key only `grant_id` is needed afterwards. The grant may be one that existed before;
    the email may be missing. `expires_in` is in seconds and speaks of Nylas' access token.
    """

    grant_id: Text
    email: MaybeText = None
    provider: MaybeText = None
    scope: Words = ()
    expires_in: MaybeInt = None
    access_token: MaybeSecret = None
    refresh_token: MaybeSecret = None
    token_type: MaybeText = None
    id_token: MaybeSecret = None


@dataclass(frozen=True)
class GrantPage:
    """One page of the list: the grants that could be read, and how many entries the page really had."""

    grants: tuple[NylasGrant, ...]
    length: int
    limit: int | None
    """The page size that Nylas says it applied."""


def read_grant(body: object) -> NylasGrant:
    """Read one grant from its envelope; ValueError if there is none."""
    return NylasGrant.model_validate(_envelope(body)["data"])


def read_token(body: object) -> TokenAnswer:
    """Read a token answer, which has no envelope; ValueError if it names no grant."""
    return TokenAnswer.model_validate(body)


def read_page(body: object) -> GrantPage:
    """Read a page of grants, leaving out entries that cannot be read; ValueError if it is no list."""
    envelope = _envelope(body)
    entries, limit = envelope["data"], envelope.get("limit")
    if not isinstance(entries, list):
        raise ValueError("the data is not a list")
    grants = []
    for entry in entries:
        try:
            grants.append(NylasGrant.model_validate(entry))
        except ValidationError:
            continue
    sane_limit = limit if isinstance(limit, int) and limit > 0 else None
    return GrantPage(tuple(grants), len(entries), sane_limit)


def _envelope(body: object) -> dict[str, object]:
    if not isinstance(body, dict) or "data" not in body:
        raise ValueError("there is no data in it")
    return body
