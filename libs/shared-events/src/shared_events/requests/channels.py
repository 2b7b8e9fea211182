"""Requests channels-waha answers."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field, HttpUrl, StringConstraints

from shared_events.envelope import Contract
from shared_events.requests.base import Kind, ListRequest, Nothing, Page, Request
from shared_events.resources import Channel

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
WahaSession = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,54}$")]


class WahaSettings(Request):
    """Where the WAHA session runs and how to reach it."""

    base_url: HttpUrl
    api_key: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    session: WahaSession = "default"


class CreateChannel(Request):
    """Connect a number. The reply alone carries the webhook's HMAC key.

    `session_timeout_seconds` is for development and tests and is refused in production.
    """

    key: ClassVar[str] = "channels.channel.create"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Channel]] = Channel

    name: Name
    type: Literal["waha"] = "waha"
    waha: WahaSettings
    session_timeout_minutes: float | None = Field(default=None, ge=1, le=1440)
    session_timeout_seconds: int | None = Field(default=None, ge=1, le=86_400)
    allow_groups: bool = True


class UpdateChannel(Request):
    """Change a channel; what is left out stays. Its type can be named, not changed."""

    key: ClassVar[str] = "channels.channel.update"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Channel]] = Channel
    path: ClassVar[tuple[str, ...]] = ("channel_id",)

    channel_id: UUID
    name: Name | None = None
    type: Literal["waha"] | None = None
    waha: WahaSettings | None = None
    session_timeout_minutes: float | None = Field(default=None, ge=1, le=1440)
    session_timeout_seconds: int | None = Field(default=None, ge=1, le=86_400)
    allow_groups: bool | None = None


class GetChannel(Request):
    """Read one channel."""

    key: ClassVar[str] = "channels.channel.get"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Channel]] = Channel
    path: ClassVar[tuple[str, ...]] = ("channel_id",)

    channel_id: UUID


class ListChannels(ListRequest):
    """All channels, newest first."""

    key: ClassVar[str] = "channels.channel.list"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Page[Channel]]] = Page[Channel]


class DeleteChannel(Request):
    """Disconnect a number; its messages stay."""

    key: ClassVar[str] = "channels.channel.delete"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Nothing]] = Nothing
    path: ClassVar[tuple[str, ...]] = ("channel_id",)

    channel_id: UUID


class DriveChannel(Request):
    """Start, stop, restart or log out the WAHA session; starting registers our webhook in it."""

    key: ClassVar[str] = "channels.channel.drive"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Channel]] = Channel
    path: ClassVar[tuple[str, ...]] = ("channel_id", "action")

    channel_id: UUID
    action: Literal["start", "stop", "restart", "logout"]


class QrCode(Contract):
    """A pairing code to show. `data` is base64 of an image of `mimetype`."""

    mimetype: str
    data: str


class GetQrCode(Request):
    """The QR code to pair the number; a conflict unless the session waits for a scan."""

    key: ClassVar[str] = "channels.channel.qr"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[QrCode]] = QrCode
    path: ClassVar[tuple[str, ...]] = ("channel_id",)

    channel_id: UUID
