"""What we do about each kind of event; the name of a task is the kind that it deals with."""
