"""The doctor: looks at each thing that must be right, says in one line whether it is, and what to do if not."""
