"""Signed webhooks to the customer systems."""
