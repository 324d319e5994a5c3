"""Lists of mailboxes: CSV or JSON lines, read as a stream, each line understood or refused with its reason."""
