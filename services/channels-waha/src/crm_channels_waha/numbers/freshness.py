"""How long what was found out of a number is good for."""

from dataclasses import dataclass

from crm_channels_waha.settings import ChannelsSettings


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long an answer is good for, in seconds: that a number is there, and that it is not."""

    there: float
    missing: float

    @classmethod
    def of(cls, settings: ChannelsSettings) -> "Freshness":
        """What these settings say."""
        return cls(settings.number_there_days * 86_400, settings.number_missing_hours * 3600)
