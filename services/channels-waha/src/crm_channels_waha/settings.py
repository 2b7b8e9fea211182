"""Settings of this service."""

from pydantic import Field, SecretStr
from service_kit.egress import AllowedNetworks
from service_kit.environment import SpareSecret
from service_kit.media_store import MediaStoreSettings
from service_kit.sealing import EncryptionKeys

_PRODUCTION_SEND_INTERVAL = 0.5
_PRODUCTION_HISTORY_SETTLE = 60.0


class ChannelsSettings(MediaStoreSettings):
    """What channels need beside what every service needs."""

    server_port: int = Field(default=8083, ge=0, le=65535, description="HTTP: health and metrics")
    ingress_master_key: SecretStr = Field(
        description="makes webhook tokens and HMAC keys; the same as the gateway's"
    )
    ingress_master_key_previous: SpareSecret = Field(
        default=None, description="is still known for ours, while it is turned"
    )
    encryption_key: EncryptionKeys = Field(
        description="Fernet keys for WAHA's API keys, comma-separated, newest first"
    )
    public_base_url: str = Field(
        pattern=r"^https?://", description="where WAHA reaches the gateway"
    )
    waha_allowed_networks: AllowedNetworks = Field(
        default=None,
        description="CIDRs, comma-separated, where WAHA may be although they are not public;"
        " outside production loopback unless set",
    )

    number_there_days: float = Field(
        default=30.0, gt=0, description="a number found on WhatsApp is not looked up again"
    )
    number_missing_hours: float = Field(
        default=24.0, gt=0, description="a number not found there is not looked up again"
    )
    number_checks_per_day: int = Field(
        default=200, ge=0, description="numbers of a channel looked up by request; 0: none"
    )
    typing_interval_seconds: float = Field(
        default=3.0, ge=0, description="a process shows typing in a chat once in this time"
    )
    typing_max_seconds: float = Field(
        default=5.0, ge=0, le=25, description="at most, before a text of a channel that types first"
    )
    waha_send_interval_seconds: float | None = Field(
        default=None,
        ge=0,
        description="mean pause between sends of a channel; 0.5 unless set, 0 outside production",
    )
    waha_text_timeout_seconds: float = Field(default=30.0, description="for sending a text")
    waha_media_timeout_seconds: float = Field(default=60.0, description="for sending a file")
    waha_control_timeout_seconds: float = Field(default=4.0, description="for any other call")
    waha_unknown_wait_seconds: float = Field(
        default=30.0,
        description="a send of unknown outcome waits for its echo, before WAHA is asked",
    )
    waha_retry_seconds: float = Field(
        default=1.0, description="first pause while nothing can be sent"
    )
    waha_retry_max_seconds: float = Field(default=60.0, description="longest such pause")
    waha_give_up_seconds: float = Field(
        default=86_400.0, description="age at which a message that cannot be sent fails"
    )
    waha_stalled_after_seconds: float = Field(
        default=60.0, gt=0, description="without being sent before a message counts as stalled"
    )
    waha_degraded_after_seconds: float = Field(
        default=60.0, description="of reconnecting before a channel is called degraded"
    )
    waha_quiet_seconds: float = Field(
        default=60.0,
        gt=0,
        description="of silence, at least, before a channel is looked at: is it deaf?"
        " Four times its usual pause between messages, within these two",
    )
    waha_quiet_max_seconds: float = Field(
        default=900.0, gt=0, description="of silence at most; a deaf channel is found within it"
    )
    waha_deaf_grace_seconds: float = Field(
        default=30.0, ge=0, description="a message may be on its way, before it counts as missed"
    )
    waha_repair_seconds: float = Field(
        default=300.0, gt=0, description="between a deaf channel's first restarts; then ever longer"
    )
    waha_repair_max_seconds: float = Field(default=21_600.0, gt=0, description="longest such pause")
    waha_stop_grace_seconds: float = Field(
        default=5.0, description="a send under way may take to finish at a stop"
    )
    media_timeout_seconds: float = Field(
        default=120.0, gt=0, description="for fetching a file, or having WAHA load it again"
    )
    media_at_once: int = Field(default=32, ge=1, description="files a process fetches at a time")
    media_per_server: int = Field(
        default=8, ge=1, description="of these from one WAHA server, so that no other waits for it"
    )
    media_attempts: int = Field(
        default=14, ge=1, description="to fetch a file; the last some hours after the first"
    )
    media_retry_seconds: float = Field(
        default=1.0, gt=0, description="first pause between two attempts; each next is twice that"
    )
    media_retry_max_seconds: float = Field(default=3600.0, gt=0, description="longest such pause")
    media_max_bytes: int = Field(
        default=16 * 2**20, ge=1, description="of an image, voice message, sound or sticker"
    )
    media_video_max_bytes: int = Field(default=64 * 2**20, ge=1, description="of a video")
    media_document_max_bytes: int = Field(default=100 * 2**20, ge=1, description="of a document")
    profile_picture_days: int = Field(
        default=7,
        ge=0,
        description="who writes so long after their picture was looked at is looked at anew;"
        " 0: nobody's is",
    )
    profile_picture_interval_seconds: float = Field(
        default=2.0, gt=0, description="between two looks of a channel, by all processes together"
    )
    profile_picture_pause_seconds: float = Field(
        default=300.0, gt=0, description="a channel looks at nobody after a look that failed"
    )
    group_look_days: int = Field(
        default=7,
        ge=0,
        description="a group in which somebody writes so long after it was looked up is looked up"
        " anew; 0: none is",
    )
    group_look_interval_seconds: float = Field(
        default=5.0, gt=0, description="between two such looks of a channel, by all processes"
    )
    group_look_pause_seconds: float = Field(
        default=60.0, gt=0, description="a channel looks up no group after a look that failed"
    )
    media_waha_link_seconds: int = Field(
        default=600,
        ge=1,
        le=86_400,
        description="the link by which WAHA fetches a file is good for",
    )
    history_settle_seconds: float | None = Field(
        default=None,
        ge=0,
        description="what was said so shortly before an import of history comes live;"
        " 60 unless set, 0 outside production",
    )
    raw_event_retention_days: float = Field(
        default=30.0, description="events we make nothing of are kept"
    )

    @property
    def media_limits(self) -> dict[str, int]:
        """The most bytes a file may have, by the content type of its message."""
        small = dict.fromkeys(("image", "voice", "audio", "sticker"), self.media_max_bytes)
        large = {"video": self.media_video_max_bytes, "document": self.media_document_max_bytes}
        return {**small, **large}

    @property
    def send_interval_seconds(self) -> float:
        """The mean pause between two sends of one channel."""
        if self.waha_send_interval_seconds is not None:
            return self.waha_send_interval_seconds
        return _PRODUCTION_SEND_INTERVAL if self.is_production else 0.0

    @property
    def history_settle(self) -> float:
        """Seconds before an import of history that it leaves to live traffic."""
        if self.history_settle_seconds is not None:
            return self.history_settle_seconds
        return _PRODUCTION_HISTORY_SETTLE if self.is_production else 0.0

    def secrets(self) -> dict[str, SecretStr]:
        """What must be strong in production."""
        found = {
            "INGRESS_MASTER_KEY": self.ingress_master_key,
            "ENCRYPTION_KEY": self.encryption_key,
        }
        if self.ingress_master_key_previous is not None:
            found["INGRESS_MASTER_KEY_PREVIOUS"] = self.ingress_master_key_previous
        return found
