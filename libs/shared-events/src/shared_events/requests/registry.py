"""Every request there is, by key."""

from types import ModuleType

from shared_events.requests import channels, contacts, messaging, webhooks
from shared_events.requests.base import Request


def _requests(*modules: ModuleType) -> dict[str, type[Request]]:
    return {
        member.key: member
        for module in modules
        for member in vars(module).values()
        if isinstance(member, type) and issubclass(member, Request) and hasattr(member, "key")
    }


BY_KEY: dict[str, type[Request]] = _requests(contacts, messaging, channels, webhooks)
