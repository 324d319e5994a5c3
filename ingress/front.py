"""What the handlers of the web front reach."""

from dataclasses import dataclass
from uuid import UUID

from ingress.intake import Intake
from tasks.clock import Clock
from tasks.context import Context
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Front:
    """The open parts of the web process. `webhook_secrets`: any of them may have signed, newest first."""

    settings: Settings
    context: Context
    intake: Intake
    webhook_secrets: tuple[str, ...]

    @property
    def application_id(self) -> UUID:
        """The application that everything here belongs to."""
        return self.context.application_id

    @property
    def now(self) -> Clock:
        """The clock."""
        return self.context.now
