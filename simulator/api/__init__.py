"""What the simulated Nylas does at each of its own paths."""
