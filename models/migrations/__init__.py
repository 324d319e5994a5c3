"""The migrations of the tables: where a database stands among them, and the way to run them."""
