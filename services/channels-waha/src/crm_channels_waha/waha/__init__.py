"""WAHA's HTTP API and its JSON. Nothing outside this package knows either."""
