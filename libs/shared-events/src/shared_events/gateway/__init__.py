"""What the gateway says."""
