"""What one would write instead of the web front, each in one file of its own."""
