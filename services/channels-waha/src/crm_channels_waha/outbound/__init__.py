"""To WAHA: the ledger of what we owe WhatsApp, and the senders that work it off."""
