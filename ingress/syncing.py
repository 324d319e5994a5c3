"""The command that imports grants from Nylas."""

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
    say(f"{report.listed} grants listed by Nylas: {report.new} new to us, {report.changed} changed.")
    if report.left_alone:
        say(
            f"{report.left_alone} grants that we hold were not listed, and were left as they are: so many suggest "
            "that the API key belongs to another application, or region."
        )
    elif report.missing:
        say(f"{report.missing} that we hold were not listed; each was looked at.")
