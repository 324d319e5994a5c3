"""The simulation: Evergrant's own code under a clock, a network and a database that do as they are told."""
