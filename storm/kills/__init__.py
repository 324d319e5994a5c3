"""The kill matrix: a process dies at each point that its work passes, and another one finishes what it left."""
