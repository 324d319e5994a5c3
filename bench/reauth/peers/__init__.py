"""The peers: the same work by other queues, each written as its own documentation teaches.

Nothing here imports the product: some of them run where it is not installed.
"""
