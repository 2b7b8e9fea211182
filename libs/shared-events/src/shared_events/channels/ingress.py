"""What the gateway and channels-waha must derive alike for a WAHA webhook.

The token in the webhook path proves itself (it carries tenant and channel under a MAC) and the
body's HMAC key follows from the same master key, so accepting a webhook needs no look-up.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass
from uuid import UUID

_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class ChannelAddress:
    """Whose webhook it is. `generation` counts key rotations (0-255)."""

    tenant_id: UUID
    channel_id: UUID
    generation: int = 0

    def _packed(self) -> bytes:
        return bytes([self.generation]) + self.tenant_id.bytes + self.channel_id.bytes


def _mac(master_key: str, purpose: str, message: bytes, algorithm: str) -> bytes:
    return hmac.digest(master_key.encode(), purpose.encode() + b"\0" + message, algorithm)


def channel_token(master_key: str, address: ChannelAddress) -> str:
    """The unguessable path segment of `/api/v1/webhooks/waha/{channel_token}`."""
    packed = address._packed()
    mac = _mac(master_key, "channel-token", packed, "sha256")[:_MAC_BYTES]
    return base64.urlsafe_b64encode(packed + mac).decode().rstrip("=")


def read_channel_token(master_key: str, token: str) -> ChannelAddress | None:
    """The address a token was made for, or None when it is not one of ours."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != 33 + _MAC_BYTES:
        return None
    address = ChannelAddress(UUID(bytes=raw[1:17]), UUID(bytes=raw[17:33]), raw[0])
    # Comparing the token, not its bytes: base64 leaves unused bits in the last character.
    return address if hmac.compare_digest(channel_token(master_key, address), token) else None


def webhook_hmac_key(master_key: str, address: ChannelAddress) -> str:
    """The key WAHA signs this channel's webhooks with (`config.webhooks[].hmac.key`)."""
    return _mac(master_key, "waha-hmac", address._packed(), "sha256").hex()


def body_signature(hmac_key: str, body: bytes) -> str:
    """WAHA's `X-Webhook-Hmac`: lowercase hex HMAC-SHA512 over the raw body bytes."""
    return hmac.digest(hmac_key.encode(), body, "sha512").hex()
