"""What we send to Nylas: typed, complete before it goes, and its secrets known as such."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr


class Sent(BaseModel):
    """A part of a request. Whoever makes it gets pydantic's ValidationError for what can't be sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_min_length=1)

    def body(self) -> dict[str, Any]:
        """Return what goes on the wire: secrets in clear, and nothing that was not given."""
        return {name: _bare(value) for name, value in self._given()}

    def secrets(self) -> tuple[str, ...]:
        """Return the texts that no error, log or repr may show."""
        return tuple(secret for _, value in self._given() for secret in _secrets_in(value))

    def _given(self) -> Iterator[tuple[str, object]]:
        return ((name, value) for name, value in self if value is not None)


def _bare(value: object) -> object:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case Sent():
            return value.body()
        case tuple() | list():
            return [_bare(item) for item in value]
        case dict():
            return {name: _bare(item) for name, item in value.items()}
        case _:
            return value


def _secrets_in(value: object) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case Sent():
            yield from value.secrets()
        case tuple() | list():
            for item in value:
                yield from _secrets_in(item)
        case dict():
            for item in value.values():
                yield from _secrets_in(item)
