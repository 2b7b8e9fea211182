"""What may be said to channels-waha, and what it says: free of WAHA's shapes."""
