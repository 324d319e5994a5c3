"""From an event to what has become of it: a flood that is settled, and one event that is told at once."""
