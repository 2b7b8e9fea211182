"""What may be said to webhooks, and what it says."""
