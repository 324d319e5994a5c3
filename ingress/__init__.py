"""The front door: believe nothing unsigned, write a row, nudge, answer."""
