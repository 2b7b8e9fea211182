"""Who may do what: the roles and their permissions. Deny by default."""

from collections.abc import Iterable

PERMISSIONS = frozenset(
    {
        "contacts.read",
        "contacts.create",
        "contacts.update",
        "contacts.delete",
        "messages.read",
        "messages.send",
        "sessions.read",
        "sessions.update",
        "notes.read",
        "notes.create",
        "notes.update",
        "notes.delete",
        "pipelines.read",
        "pipelines.manage",
        "agents.read",
        "agents.manage",
        "channels.read",
        "channels.manage",
        "webhooks.read",
        "webhooks.manage",
    }
)
"""Every permission there is. A route that needs another one does not start."""

ROLES: dict[str, tuple[str, ...]] = {
    "admin": ("*",),
    "supervisor": (
        "contacts.*",
        "messages.*",
        "sessions.*",
        "notes.*",
        "agents.read",
        "pipelines.read",
    ),
    "agent": (
        "contacts.read",
        "contacts.update",
        "messages.read",
        "messages.send",
        "sessions.read",
        "sessions.update",
        "notes.create",
        "notes.read",
    ),
}


def permissions_of(roles: Iterable[str]) -> tuple[str, ...]:
    """What these roles grant together, patterns included; an unknown role grants nothing."""
    return tuple(dict.fromkeys(granted for role in roles for granted in ROLES.get(role, ())))


def permits(granted: Iterable[str], needed: str) -> bool:
    """Whether one of the granted permissions or patterns covers the needed one.

    `contacts.*` covers what begins with `contacts.` and nothing else, not `contactsx.read`.
    """
    return any(
        pattern in (needed, "*") or (pattern.endswith(".*") and needed.startswith(pattern[:-1]))
        for pattern in granted
    )
