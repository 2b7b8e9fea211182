"""Channels: connected WhatsApp numbers, their settings and their state."""
