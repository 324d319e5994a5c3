"""A part that is broken on purpose: `evergrant` as it is, but for the functions that a sabotage replaces."""

import os
import sys

from storm.sabotage.breaks import break_by

if __name__ == "__main__":
    sabotage = os.environ["STORM_SABOTAGE"]
    break_by(sabotage)
    sys.stderr.write(f"storm.sabotage: {sabotage}\n")
    from ingress.cli import main

    main()
