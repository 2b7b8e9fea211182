"""A second, durable driver of the outbox, for when no relay leads."""
