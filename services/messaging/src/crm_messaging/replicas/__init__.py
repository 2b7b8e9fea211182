"""What messaging must know of contacts, channels and agents, copied from their events."""
