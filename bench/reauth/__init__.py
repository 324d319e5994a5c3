"""Bulk re-authentication: for each grant its row is read, Nylas is asked, and the row is written."""
