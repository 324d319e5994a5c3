"""A part whose clock is wrong: `evergrant` as it is, but for what it takes for the time."""

import os
import sys
from datetime import datetime, timedelta

from tasks import clock

OFF = timedelta(seconds=float(os.environ.get("STORM_SKEW_SECONDS", "0")))
right_clock = clock.system_clock


def wrong_clock() -> datetime:
    """Read this machine's clock, and believe that it is as far off as we were told."""
    return right_clock() + OFF


if __name__ == "__main__":
    clock.system_clock = wrong_clock  # before anybody has imported it
    sys.stderr.write(f"storm.skewed by {OFF.total_seconds():+.0f} s\n")
    from ingress.cli import main

    main()
