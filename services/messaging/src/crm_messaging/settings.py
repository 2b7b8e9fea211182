"""Settings of messaging."""

from pydantic import Field
from service_kit.egress import AllowedNetworks
from service_kit.settings import ServiceSettings


class MessagingSettings(ServiceSettings):
    """What messaging needs beside the settings of every service; times are in seconds."""

    session_sweep_seconds: float | None = Field(
        default=None, gt=0, description="between two sweeps; 15 unless set, 2 outside production"
    )
    session_sweep_grace_seconds: float | None = Field(
        default=None,
        ge=0,
        description="past its timeout a session is left to its workflow; 60 unless set,"
        " 2 outside production",
    )
    session_check_seconds: float | None = Field(
        default=None,
        gt=0,
        description="an active session is looked for in Temporal so often, and its workflow started"
        " anew if it was lost; 300 unless set, 5 outside production",
    )
    media_allowed_networks: AllowedNetworks = Field(
        default=None,
        description="CIDRs, comma-separated, that `media_url` may lead to although they are not"
        " public; outside production loopback unless set",
    )

    @property
    def sweep_seconds(self) -> float:
        """How often the sweep looks: 15 s, in development and tests 2 s."""
        if self.session_sweep_seconds is not None:
            return self.session_sweep_seconds
        return 15.0 if self.is_production else 2.0

    @property
    def sweep_grace_seconds(self) -> float:
        """How long past its timeout a session is left to its workflow: 60 s, else 2 s."""
        if self.session_sweep_grace_seconds is not None:
            return self.session_sweep_grace_seconds
        return 60.0 if self.is_production else 2.0

    @property
    def check_seconds(self) -> float:
        """How often a session's workflow is looked for: 300 s, else 5 s."""
        if self.session_check_seconds is not None:
            return self.session_check_seconds
        return 300.0 if self.is_production else 5.0
