"""How a command asks Nylas: what it says is one line, whichever way it fails."""

from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from pydantic import ValidationError

from ingress.commands import run
from ingress.terminal import fail
from nylas_api import KeyRejected, NylasError
from worker.runtime import Runtime

T = TypeVar("T")


OPTION_OF = {
    "trigger_types": "trigger",
    "webhook_url": "url",
    "notification_email_addresses": "email",
    "compressed_delivery": "compressed",
    "client_secret": "client-secret-file",
}
"""What a field is called on the command line, where that is not its own name."""


def at_nylas(command: Callable[[Runtime], Awaitable[None]]) -> None:
    """Run a command that asks Nylas; exits with 1 where Nylas does not give what was asked for."""

    async def asked(runtime: Runtime) -> None:
        try:
            await command(runtime)
        except NylasError as error:
            give_up(error, "evergrant doctor finds out why." if isinstance(error, KeyRejected) else "")

    run(asked)


def give_up(error: NylasError, hint: str = "") -> NoReturn:
    """Say what Nylas said, and what to do if there is more to it than the words; exits with 1."""
    fail("\n".join(line for line in (in_words(error), hint) if line))


def in_words(error: NylasError) -> str:
    """One line: what happened, with status, type and the request id that Nylas' support asks for."""
    line = str(error)
    if error.provider_error and error.provider_error not in line:
        line += f" (the provider: {error.provider_error})"
    if error.request_id:
        line += f" (request id {error.request_id})"
    if error.outcome_unknown:
        line += " It may have had its effect all the same: look before you do it again."
    return line


def made(kind: Callable[..., T], **values: object) -> T:
    """Make what is to be sent; exits with 2, naming what can't be right, and showing no value."""
    try:
        return kind(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        fail("\n".join(_problem(where["loc"], where["msg"]) for where in error.errors(include_input=False)), code=2)


def _problem(place: tuple[int | str, ...], message: str) -> str:
    option = "".join(f"--{OPTION_OF.get(str(step), str(step).replace('_', '-'))}: " for step in place[:1])
    return option + message.removeprefix("Value error, ")
