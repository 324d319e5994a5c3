"""Notices to the product: fanned out to its endpoints, signed, sent until they are taken, in order for each grant."""
