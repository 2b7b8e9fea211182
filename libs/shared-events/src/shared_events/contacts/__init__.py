"""What may be said to contacts, and what it says."""
