"""The one HTTP API: identity, permissions, REST, WAHA ingress."""
