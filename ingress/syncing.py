"""The command that imports grants from Nylas."""

from collections.abc import Iterator
from dataclasses import asdict

from ingress.terminal import err, fail, put_json, say
from nylas_api import NylasError
from tasks.sync import SyncReport
from tasks.sync import sync as sync_with_nylas
from worker.runtime import Runtime


async def sync(runtime: Runtime, *, as_json: bool) -> None:
    """Import every grant that Nylas lists, and say what was found; exits with 1 if Nylas does not let us."""
    with err.status("asking Nylas") as status:

        def tell(report: SyncReport) -> None:
            status.update(f"{report.listed} grants listed")

        try:
            report = await sync_with_nylas(runtime.context, progress=tell)
        except NylasError as error:
            fail(f"Nylas did not give us its list: {error}\nWhat was imported so far stays; run it again.")
    if as_json:
        put_json(asdict(report))
        return
    say(
        f"{report.listed} grants listed by Nylas: {report.new} new to us, {report.changed} changed, "
        f"{report.gone} gone there."
    )
    for line in _remarks(report):
        say(line)


def _remarks(report: SyncReport) -> Iterator[str]:
    """Say what is not as it should be, and what it means."""
    if report.left_alone:
        yield (
            f"{report.left_alone} grants that we hold were not listed, and were left as they are: so many suggest "
            "that the API key belongs to another application, or region."
        )
    elif report.missing:
        yield f"{report.missing} that we hold were not listed; each was looked at."
    if report.unanswered:
        yield f"{report.unanswered} of them could not be had by themselves either; they stay as they are."
    if report.braked:
        yield (
            f"{report.braked} are invalid at Nylas and stay as they are: the brake is on. "
            "(evergrant brake release flips lets them go on)"
        )
    if report.missed:
        yield (
            f"{report.missed} changes were never told of by webhooks: an incident is open. (evergrant incidents list; "
            "evergrant doctor looks at the webhook)"
        )
