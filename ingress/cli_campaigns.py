"""The command `campaigns`; it imports what it needs when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from ingress.cli_options import AsJson, Yes, an_id

campaigns_app = typer.Typer(help="Look at campaigns, and steer them.", no_args_is_help=True)

STATUSES = ("planned", "running", "paused", "stopped", "finished", "cancelled", "refused")
FORMATS = ("csv", "jsonl")

CampaignId = Annotated[
    str, typer.Argument(metavar="ID", help="Its id, or the first 8 or more characters of it.", callback=an_id)
]


def a_status(value: str | None) -> str | None:
    """Refuse what no campaign is."""
    if value is not None and value not in STATUSES:
        raise typer.BadParameter(f"it must be one of {', '.join(STATUSES)}")
    return value


def a_format(value: str) -> str:
    """Refuse what we don't write."""
    if value not in FORMATS:
        raise typer.BadParameter(f"it must be one of {', '.join(FORMATS)}")
    return value


@campaigns_app.command("list")
def campaigns_list(
    status: Annotated[
        str | None, typer.Option(help="Only those that are running, paused, stopped, …", callback=a_status)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List campaigns, the newest first."""
    from ingress.campaign_lists import list_campaigns
    from ingress.commands import run
    from models import CampaignStatus

    wanted = CampaignStatus(status) if status else None
    run(lambda runtime: list_campaigns(runtime, status=wanted, limit=limit, as_json=as_json))


@campaigns_app.command("show")
def campaigns_show(campaign: CampaignId, as_json: AsJson = False) -> None:
    """Show one campaign: how far it is, how fast it goes, and what failed, by cause."""
    from ingress.campaign_lists import show_campaign
    from ingress.commands import run

    run(lambda runtime: show_campaign(runtime, campaign, as_json=as_json))


@campaigns_app.command("pause")
def campaigns_pause(campaign: CampaignId) -> None:
    """Pause a campaign: within two seconds nothing is asked of Nylas for it any more."""
    from ingress.campaign_steering import pause_campaign
    from ingress.commands import run

    run(lambda runtime: pause_campaign(runtime, campaign))


@campaigns_app.command("resume")
def campaigns_resume(campaign: CampaignId) -> None:
    """Let a campaign go on that was paused, or that stopped itself."""
    from ingress.campaign_steering import resume_campaign
    from ingress.commands import run

    run(lambda runtime: resume_campaign(runtime, campaign))


@campaigns_app.command("cancel")
def campaigns_cancel(campaign: CampaignId, yes: Yes = False) -> None:
    """Give up what is left of a campaign."""
    from ingress.campaign_steering import cancel_campaign
    from ingress.commands import run

    run(lambda runtime: cancel_campaign(runtime, campaign, yes=yes))


@campaigns_app.command("retry")
def campaigns_retry(campaign: CampaignId) -> None:
    """Try again what failed in a campaign, and nothing else."""
    from ingress.campaign_steering import retry_campaign
    from ingress.commands import run

    run(lambda runtime: retry_campaign(runtime, campaign))


@campaigns_app.command("export")
def campaigns_export(
    campaign: CampaignId,
    form: Annotated[str, typer.Option("--format", help="csv or jsonl.", callback=a_format)] = "csv",
    output: Annotated[Path | None, typer.Option("--output", help="A file to write, instead of stdout.")] = None,
) -> None:
    """Write each item of a campaign, with its result, as CSV or JSON lines."""
    from ingress.campaign_export import Format, export_campaign
    from ingress.commands import run

    run(lambda runtime: export_campaign(runtime, campaign, form=Format(form), output=output))
