"""What a campaign is asked for by, from wherever: the command line, the API, a schedule, or another program's task."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lifecycle.campaigning import StopRule
from tasks.campaigns.choosing import GrantFilter

Name = Annotated[str, Field(min_length=1, max_length=320, pattern=r"^[^\x00-\x1f\x7f]+$")]


class CampaignRequest(BaseModel):
    """The documented payload of `reauth.bulk_requested`.

    Either `filter` or `grants` (ids, or email addresses) says whom it is for. `rate` is calls a second, below the
    budget. It stops itself at more than `max_failures`. With `ask_users` those whom nothing else can renew are asked to
    sign in. The same `idempotency_key` names the same campaign.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    filter: GrantFilter | None = None
    grants: Annotated[list[Name], Field(min_length=1, max_length=10_000)] | None = None
    rate: Annotated[float, Field(gt=0, le=1_000)] | None = None
    max_failures: str | None = None
    ask_users: bool = False
    idempotency_key: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!-~]+$")] | None = None

    @field_validator("max_failures")
    @classmethod
    def _is_a_rule(cls, text: str | None) -> str | None:
        if text is not None:
            StopRule.parse(text)
        return text
