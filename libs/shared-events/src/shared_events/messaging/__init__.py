"""What may be said to messaging, and what it says."""
