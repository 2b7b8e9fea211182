"""Sessions and messages."""
