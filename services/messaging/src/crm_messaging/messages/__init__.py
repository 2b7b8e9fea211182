"""Chat messages: arriving, being sent, and what WhatsApp reports of them."""
