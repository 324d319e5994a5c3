"""The policy of the rules, as the settings have it."""

from datetime import timedelta

from lifecycle import Policy
from lifecycle.brake import BrakeLimits
from lifecycle.incidents import Thresholds
from lifecycle.reminding import QuietHours
from lifecycle.retirement import RetirementPolicy, named
from worker.settings import Settings
from worker.values import quiet_hours


def policy_of(settings: Settings) -> Policy:
    """Read what the settings want of the rules."""
    quiet = quiet_hours(settings.quiet_hours)
    return Policy(
        grace=timedelta(seconds=settings.grace_seconds),
        reminder_days=settings.reminder_days,
        quiet=QuietHours(*quiet) if quiet else None,
        zone=settings.time_zone,
        bulk_yields=settings.bulk_yields,
        link_lifetime=timedelta(hours=settings.link_hours),
        thresholds=Thresholds(
            number=settings.incident_grants,
            share=settings.incident_share,
            window=timedelta(minutes=settings.incident_window_minutes),
        ),
        limits=BrakeLimits(
            flips=settings.brake_flips, notices=settings.brake_notices, deletions=settings.brake_deletions
        ),
        retirement=(
            RetirementPolicy(timedelta(days=settings.retire_after_days), named(settings.retire_never))
            if settings.retire_after_days
            else None
        ),
    )
