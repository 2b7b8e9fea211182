"""Text as PostgreSQL can hold it."""

from typing import Any


def without_nul(value: Any) -> Any:
    """The same JSON value with NUL characters taken out of its texts: PostgreSQL refuses them."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {without_nul(key): without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    return value
