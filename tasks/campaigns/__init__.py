"""Campaigns: chosen, planned, worked on by the chunk, steered, and told of."""
