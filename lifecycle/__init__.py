"""What may happen to a grant: pure rules that know no database, no network and no clock."""

from lifecycle.backoff import delay_before
from lifecycle.policy import Policy
from lifecycle.rules import decide, doubt
from lifecycle.spells import Spell
from lifecycle.terms import Change, GrantStatus, Observation, Standing

__all__ = ["Change", "GrantStatus", "Observation", "Policy", "Spell", "Standing", "decide", "delay_before", "doubt"]
