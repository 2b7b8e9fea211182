"""What a WAHA session must be told about us (docs/waha.md, "Sessions")."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crm_channels_waha.waha.reading import items, mapping

EVENTS = (
    "session.status",
    "message.any",  # instead of `message`: both would double everything
    "message.ack",
    "message.ack.group",
    "message.reaction",
    "message.edited",
    "message.revoked",
    "message.waiting",
    "poll.vote",
    "poll.vote.failed",
    "call.received",
    "call.accepted",
    "call.rejected",
    "group.v2.join",
    "group.v2.leave",
    "group.v2.update",
    "group.v2.participants",
    "label.upsert",
    "label.deleted",
    "label.chat.added",
    "label.chat.deleted",
)
WEBHOOK_PATH = "/api/v1/webhooks/waha/"
_RETRIES = {"policy": "exponential", "delaySeconds": 2, "attempts": 15}
_NEW_SESSION: Mapping[str, Any] = {
    "ignore": {"status": True, "channels": True, "broadcast": True},
    "noweb": {"store": {"enabled": True, "fullSync": False}},  # cannot be changed after pairing
    "webjs": {"tagsEventsOn": True},  # without it WEBJS tells no group receipts
}


@dataclass(frozen=True, slots=True)
class Subscription:
    """Our webhook on a session: where, signed with what, and whose it is.

    `is_ours` says of a URL whether it is this channel's webhook, of whatever address and token.
    """

    url: str
    hmac_key: str
    tenant_id: str
    channel_id: str
    is_ours: Callable[[str], bool]

    def new_config(self) -> dict[str, Any]:
        """The config of a session that is created for us."""
        return self.applied_to(_NEW_SESSION)

    def applied_to(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A config with this subscription; all else stays, for WAHA replaces the whole config.

        An older webhook of this channel (another token or address) is replaced. Those of other
        channels and of other installations stay: somebody lives on what they hear.
        """
        ours = {
            "url": self.url,
            "events": list(EVENTS),
            "hmac": {"key": self.hmac_key},
            "retries": _RETRIES,
        }
        others = [
            hook
            for hook in items(config.get("webhooks"))
            if not self.is_ours(str(mapping(hook).get("url")))
        ]
        metadata = {
            **mapping(config.get("metadata")),
            "tenant.id": self.tenant_id,
            "channel.id": self.channel_id,
        }
        return {**config, "webhooks": [*others, ours], "metadata": metadata}
