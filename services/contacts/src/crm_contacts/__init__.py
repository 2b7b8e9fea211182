"""Contacts, their identities and history."""
