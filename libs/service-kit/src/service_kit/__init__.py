"""Plumbing every service stands on; no domain nouns."""
