"""What a channel holds back for a while: that which nobody waits for (ADR 38)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from crm_channels_waha.channels import quiet_hours
from crm_channels_waha.channels.models import ChannelRow


@dataclass(frozen=True, slots=True)
class Hold:
    """Why what is sent in bulk waits, and until when."""

    reason: Literal["quiet_hours"]
    until: datetime


def hold_of(channel: ChannelRow | None, now: datetime) -> Hold | None:
    """What a channel's bulk waits for; None when it may go. One that is gone holds nothing."""
    hours = quiet_hours.of(channel) if channel is not None else None
    until = quiet_hours.ends_at(hours, now) if hours is not None else None
    return Hold("quiet_hours", until) if until is not None else None
