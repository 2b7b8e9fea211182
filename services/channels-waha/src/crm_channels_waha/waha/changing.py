"""Composing a change to a message that is on WhatsApp (docs/waha.md, "Changes")."""

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Change:
    """What to change: a message by its bare id, whose author in a group is `participant`.

    `content` is the new text, or the emoji; empty takes a reaction away.
    """

    kind: Literal["edit", "revoke", "reaction"]
    chat_id: str
    external_id: str
    from_us: bool
    participant: str | None
    content: str
    link_preview: bool = True

    @property
    def full_id(self) -> str:
        """WAHA's id of the message."""
        whole = f"{'true' if self.from_us else 'false'}_{self.chat_id}_{self.external_id}"
        return f"{whole}_{self.participant}" if self.participant else whole


def compose_change(change: Change, session: str) -> tuple[str, str, dict[str, Any] | None]:
    """Method, path and body."""
    if change.kind == "reaction":
        body = {"session": session, "messageId": change.full_id, "reaction": change.content}
        return "PUT", "/api/reaction", body
    path = f"/api/{session}/chats/{quote(change.chat_id, '')}/messages/{quote(change.full_id, '')}"
    if change.kind == "edit":
        return "PUT", path, {"text": change.content, "linkPreview": change.link_preview}
    return "DELETE", path, None
