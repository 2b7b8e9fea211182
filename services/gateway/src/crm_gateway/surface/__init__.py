"""What the REST API promises its callers, and whether a change keeps it."""
