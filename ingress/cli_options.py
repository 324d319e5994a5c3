"""Options and arguments that several commands share."""

from typing import Annotated

import typer

from lifecycle import GrantStatus


def an_id(value: str | None) -> str | None:
    """Refuse what can't be an id, before anything is asked."""
    if value is not None and (not value.strip(".") or len(value) > 320 or not value.isprintable()):
        raise typer.BadParameter("that can't be an id")
    return value


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
ProviderName = Annotated[str, typer.Argument(metavar="PROVIDER", help="google, microsoft, …", callback=an_id)]
Name = Annotated[str | None, typer.Option("--name", help="What to call it.")]
Scopes = Annotated[list[str] | None, typer.Option("--scope", help="A scope to ask users for; repeat it for more.")]
ClientId = Annotated[str | None, typer.Option("--client-id", help="The id of your OAuth client at the provider.")]
ClientSecretFile = Annotated[
    str | None,
    typer.Option(
        "--client-secret-file",
        metavar="PATH|-",
        help="A file with the client's secret, or - for stdin. There is no option for the secret itself: what stands "
        "on a command line is kept by the shell's history, and seen by everybody who lists processes.",
    ),
]
KeyFile = Annotated[
    str | None,
    typer.Option("--key-file", metavar="PATH|-", help="The key file of a Google service account, or - for stdin."),
]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Microsoft: the tenant's id; common for all.")]
TopicName = Annotated[
    str | None, typer.Option("--topic-name", help="Google: the Pub/Sub topic that Gmail's changes come by.")
]
Trigger = Annotated[list[str] | None, typer.Option("--trigger", help="A trigger type; repeat it for more.")]
Description = Annotated[str | None, typer.Option("--description", help="What it is for.")]
Email = Annotated[list[str] | None, typer.Option("--email", help="Who is told when it fails; repeat it for more.")]
Id = Annotated[str, typer.Argument(callback=an_id)]
WebhookId = Annotated[str | None, typer.Argument(help="Its id; ours, unless given.", callback=an_id)]

# Whom a campaign is for, and how it goes: the same for one that starts now and for one that a schedule asks for.
ByProvider = Annotated[str | None, typer.Option("--provider", help="Only grants of this provider.")]
ByStatus = Annotated[GrantStatus | None, typer.Option("--status", help="Only grants of this status.")]
ByCredential = Annotated[str | None, typer.Option("--credential", help="Only grants of this connector credential.")]
MissingScope = Annotated[str | None, typer.Option("--missing-scope", help="Only grants that lack this scope.")]
EmailDomain = Annotated[str | None, typer.Option("--email-domain", help="Only grants with addresses of this domain.")]
Tag = Annotated[str | None, typer.Option("--tag", help="Only grants with this tag.")]
HoursLeft = Annotated[
    float | None,
    typer.Option("--hours-left", help="Only grants with some of their 72 hours left, but no more than this."),
]
Rate = Annotated[float | None, typer.Option("--rate", help="Calls a second at most, below the budget.")]
MaxFailures = Annotated[
    str | None, typer.Option("--max-failures", help="It stops itself at more failures than this: 5%, or 100.")
]
AskUsers = Annotated[bool, typer.Option("--ask-users", help="Those whom nothing else can renew are asked to sign in.")]
