"""WhatsApp channels through WAHA."""
