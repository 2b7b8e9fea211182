"""Who may do what: the roles every company has, and their permissions. Deny by default.

Companies make roles of their own beside them (`custom_roles/`).
"""

from collections.abc import Iterable

from service_kit.errors import ForbiddenError
from shared_events.permissions import permits

PERMISSIONS = frozenset(
    {
        "contacts.read",
        "contacts.create",
        "contacts.update",
        "contacts.delete",
        "contacts.export",
        "custom_fields.manage",
        "erasures.manage",
        "messages.read",
        "messages.send",
        "messages.send_bulk",
        "sessions.read",
        "sessions.update",
        "notes.read",
        "notes.create",
        "notes.update",
        "notes.delete",
        "pipelines.read",
        "pipelines.manage",
        "reports.read",
        "agents.read",
        "agents.manage",
        "channels.read",
        "channels.manage",
        "webhooks.read",
        "webhooks.manage",
        "events.read",
        "api_keys.read",
        "api_keys.manage",
        "audit.read",
        "settings.read",
        "settings.manage",
        "roles.read",
        "roles.manage",
    }
)
"""Every permission there is. A route that needs another one does not start."""

ROLES: dict[str, tuple[str, ...]] = {
    "admin": ("*",),
    "supervisor": (
        "contacts.*",
        "custom_fields.manage",
        "messages.*",
        "sessions.*",
        "notes.*",
        "agents.read",
        "pipelines.read",
        "reports.read",
        "events.read",
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
        "events.read",
    ),
}


def permissions_of(roles: Iterable[str]) -> tuple[str, ...]:
    """What these roles grant together, patterns included; an unknown role grants nothing."""
    return tuple(dict.fromkeys(granted for role in roles for granted in ROLES.get(role, ())))


def covers(granted: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether who is granted the first may hand on all of the second: nobody gives what they have
    not."""
    have = tuple(granted)
    return all(permits(have, each) for each in wanted)


def check_covers(granted: Iterable[str], wanted: Iterable[str]) -> None:
    """Who manages roles and people makes nobody of more power than their own, and unmakes nobody of
    more; raises ForbiddenError."""
    if not covers(granted, wanted):
        raise ForbiddenError("role_exceeds_caller", "That role may do more than you may.")


def is_grantable(pattern: str) -> bool:
    """Whether this is a permission, or a pattern that covers some."""
    return any(permits((pattern,), each) for each in PERMISSIONS)
