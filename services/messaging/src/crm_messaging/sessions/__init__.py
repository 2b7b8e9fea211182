"""Conversations: opened by a first message, ended by an agent or by silence."""
