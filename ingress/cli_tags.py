"""The command `grants tag`; it imports what it needs when it is called."""

from typing import Annotated

import typer

from ingress.cli_options import AsJson, an_id

tags_app = typer.Typer()


def names(values: list[str] | None) -> list[str] | None:
    """Refuse what can't name a grant, before anything is asked."""
    for value in values or ():
        an_id(value)
    return values


def tags(values: list[str] | None) -> list[str] | None:
    """Refuse what can't be a tag."""
    from pydantic import TypeAdapter, ValidationError

    from tasks.campaigns.choosing import Tag

    try:
        return TypeAdapter(list[Tag] | None).validate_python(values)
    except ValidationError:
        raise typer.BadParameter("a tag is 1 to 64 letters, digits, and the signs . : / - _") from None


@tags_app.command("tag")
def grants_tag(
    grants: Annotated[
        list[str] | None, typer.Argument(metavar="GRANT…", help="Ids, or email addresses.", callback=names)
    ] = None,
    add: Annotated[list[str] | None, typer.Option("--add", help="A tag to add; repeat it.", callback=tags)] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="A tag to take away; repeat it.", callback=tags)
    ] = None,
    from_file: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE|-",
            help="A list (CSV or JSON lines) of grants, with grant_id or email, and a tag to add to each in its "
            "column tag. --add and --remove are for all of them.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put tags on grants, or take them away: words of your own by which campaigns choose grants."""
    from ingress.commands import run
    from ingress.tags import tag_grants

    run(
        lambda runtime: tag_grants(
            runtime, grants or [], add=add or [], remove=remove or [], path=from_file, as_json=as_json
        )
    )
