"""What a permission covers, for whoever has to ask: the gateway at the door, a service within."""

from collections.abc import Iterable


def permits(granted: Iterable[str], needed: str) -> bool:
    """Whether one of the granted permissions or patterns covers the needed one.

    `contacts.*` covers what begins with `contacts.` and nothing else, not `contactsx.read`.
    """
    return any(
        pattern in (needed, "*") or (pattern.endswith(".*") and needed.startswith(pattern[:-1]))
        for pattern in granted
    )
