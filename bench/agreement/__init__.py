"""Mixed traffic under kills: webhooks, stream and feed must tell the same (`make agreement`)."""
