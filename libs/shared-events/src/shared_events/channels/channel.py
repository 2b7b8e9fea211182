"""Channels: connected WhatsApp numbers."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, HttpUrl, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.requests import BatchQuery, Command, Given, ListQuery, Name, Nothing, Query

ChannelStatus = Literal[
    "created", "pairing", "connected", "degraded", "logged_out", "failed", "stopped"
]


class WahaConnection(Contract):
    """Where a channel's WAHA session runs; the API key is never shown."""

    base_url: bounds.Url
    session: Annotated[str, StringConstraints(max_length=54)]


LocalTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""Hours and minutes of a day, such as `08:00`."""


class QuietHours(Contract):
    """From `start` until before `end`, perhaps over midnight, by the clocks of `timezone`."""

    start: LocalTime
    end: LocalTime
    timezone: bounds.TimeZone


class WarmUp(Contract):
    """How a new number begins: so many messages in bulk a day, each day `growth` times as many.

    From `starts_on` the first `days` days (UTC) are limited: the first to `first_day`.
    """

    starts_on: date
    first_day: int
    growth: float
    days: int


class ChannelRestriction(Contract):
    """WhatsApp lets the number write to nobody new; `reason` is WhatsApp's word, an open set.

    It ends by itself: `until` is as WhatsApp named it, or as we guess where it named none.
    """

    reason: bounds.Word
    since: datetime
    until: datetime


class Channel(Contract):
    """A connected WhatsApp number. `webhook_hmac_key` is filled only on creation and rotation.

    With `send_seen` people see that a conversation was read (`POST /conversations/{id}/read`), with
    `link_previews` what a link in a text leads to, with `simulate_typing` that we type before we
    send a text; with `reject_calls` no call rings for long. In `quiet_hours` what is sent in bulk
    waits for their end; what people write does not. Under a `restriction` that waits too, and so
    does what is written to whom WhatsApp has never shown on the number. During a `warm_up` what is
    more than a day's limit waits for the next.
    """

    id: UUID
    name: bounds.Name
    type: Literal["waha"]
    status: ChannelStatus
    status_reason: bounds.Reason | None = None
    phone: bounds.Phone | None = None
    waha: WahaConnection
    webhook_url: bounds.Url
    webhook_hmac_key: str | None = None
    session_timeout_minutes: float
    session_timeout_seconds: int
    allow_groups: bool
    send_seen: bool = False
    link_previews: bool = True
    simulate_typing: bool = False
    reject_calls: bool = False
    quiet_hours: QuietHours | None = None
    warm_up: WarmUp | None = None
    restriction: ChannelRestriction | None = None
    version: int
    created_at: datetime
    updated_at: datetime


WahaSession = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,54}$")]


class WahaSettings(Given):
    """Where the WAHA session runs and how to reach it."""

    base_url: Annotated[HttpUrl, Field(max_length=2048)]
    api_key: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    session: WahaSession = "default"


class QuietHoursSettings(Given):
    """As `QuietHours`. Start and end differ, and the time zone is one of the IANA's."""

    start: LocalTime
    end: LocalTime
    timezone: bounds.TimeZone


class WarmUpSettings(Given):
    """As `WarmUp`; it starts today (UTC) unless `starts_on` says another day."""

    starts_on: date | None = None
    first_day: int = Field(default=20, ge=1, le=10_000)
    growth: float = Field(default=1.5, ge=1, le=10)
    days: int = Field(default=14, ge=1, le=90)


class CreateChannel(Command[Channel], key="channels.channel.create"):
    """Connect a number. The reply alone carries the webhook's HMAC key.

    `session_timeout_seconds` is for development and tests and is refused in production.
    """

    name: Name
    type: Literal["waha"] = "waha"
    waha: WahaSettings
    session_timeout_minutes: float | None = Field(default=None, ge=1, le=1440)
    session_timeout_seconds: int | None = Field(default=None, ge=1, le=86_400)
    allow_groups: bool = True
    send_seen: bool = False
    link_previews: bool = True
    simulate_typing: bool = False
    reject_calls: bool = False
    quiet_hours: QuietHoursSettings | None = None
    warm_up: WarmUpSettings | None = None


class UpdateChannel(Command[Channel], key="channels.channel.update"):
    """Change a channel; what is left out stays. Its type can be named, not changed.

    `quiet_hours` and `warm_up` are replaced as a whole; null ends them, and what waited for that
    goes at once.
    """

    channel_id: UUID
    name: Name | None = None
    type: Literal["waha"] | None = None
    waha: WahaSettings | None = None
    session_timeout_minutes: float | None = Field(default=None, ge=1, le=1440)
    session_timeout_seconds: int | None = Field(default=None, ge=1, le=86_400)
    allow_groups: bool | None = None
    send_seen: bool | None = None
    link_previews: bool | None = None
    simulate_typing: bool | None = None
    reject_calls: bool | None = None
    quiet_hours: QuietHoursSettings | None = None
    warm_up: WarmUpSettings | None = None


class GetChannel(Query[Channel], key="channels.channel.get"):
    """Read one channel."""

    channel_id: UUID


class GetChannels(BatchQuery[Channel], key="channels.channel.get_many"):
    """Read several channels, such as the lists of others name."""


class ChannelProbe(Contract):
    """A look whether WAHA holds messages that it never told us of.

    `outcome`: `heard` (nothing is missing), `deaf`, `away` (WAHA did not answer), `not_working`
    (its session is in another status).
    """

    at: datetime
    outcome: bounds.Word


class ChannelHold(Contract):
    """Why what is sent in bulk waits, and until when.

    `reason`: `quiet_hours`, `restriction`, `warm_up`.
    """

    reason: bounds.Word
    until: datetime


class ChannelHealth(Contract):
    """Whether a channel hears what is said, rather than says that it works.

    `last_message_at` is the time of the newest message it heard. From `missing_since` on messages
    may be missing that nobody reads yet. `repairs` are restarts in a row. `hold` is what bulk sends
    wait for now; of the day's `bulk_limit` (by the warm-up, if there is one) `bulk_sent` are sent.
    """

    status: ChannelStatus
    status_reason: bounds.Reason | None = None
    waha_status: Annotated[str, StringConstraints(max_length=100)] | None = None
    last_message_at: datetime | None = None
    last_heard_at: datetime | None = None
    deaf_since: datetime | None = None
    missing_since: datetime | None = None
    last_probe: ChannelProbe | None = None
    repairs: int = 0
    last_repair_at: datetime | None = None
    restriction: ChannelRestriction | None = None
    hold: ChannelHold | None = None
    bulk_sent: int = 0
    bulk_limit: int | None = None


class GetChannelHealth(Query[ChannelHealth], key="channels.channel.health"):
    """Whether a channel hears what is said; what was last seen of that, and done about it."""

    channel_id: UUID


class ListChannels(ListQuery[Channel], key="channels.channel.list"):
    """All channels, newest first."""


class DeleteChannel(Command[Nothing], key="channels.channel.delete"):
    """Disconnect a number; its messages stay."""

    channel_id: UUID


class DriveChannel(Command[Channel], key="channels.channel.drive"):
    """Start, stop, restart or log out the WAHA session; starting registers our webhook in it."""

    channel_id: UUID
    action: Literal["start", "stop", "restart", "logout"]


class QrCode(Contract):
    """A pairing code to show. `data` is base64 of an image of `mimetype`."""

    mimetype: str
    data: str


class GetQrCode(Query[QrCode], key="channels.channel.qr"):
    """The QR code to pair the number; a conflict unless the session waits for a scan."""

    channel_id: UUID


class ChannelCreated(EventData, type="channel.created", aggregate="channel", public=True):
    """A channel was created (not necessarily paired yet)."""

    channel: Channel


class ChannelUpdated(EventData, type="channel.updated", aggregate="channel"):
    """A channel's settings changed: name, timeout or switches."""

    channel: Channel


class ChannelDeleted(EventData, type="channel.deleted", aggregate="channel"):
    """A channel was deleted; its messages stay."""

    channel_id: UUID


class ChannelStatusChanged(
    EventData, type="channel.status_changed", aggregate="channel", public=True
):
    """A channel's connection state changed; `waha_status` is WAHA's own word, an open set."""

    channel: Channel
    previous_status: bounds.Word
    waha_status: Annotated[str, StringConstraints(max_length=100)]


class ChannelRestricted(EventData, type="channel.restricted", aggregate="channel", public=True):
    """WhatsApp restricts a channel's number, or until another time: see its `restriction`."""

    channel: Channel


class ChannelRestrictionLifted(
    EventData, type="channel.restriction_lifted", aggregate="channel", public=True
):
    """A channel's number may write to anybody again."""

    channel: Channel
