"""The mass expiry: all grants of a credential expire, Nylas tells of each, and one incident comes of it."""
