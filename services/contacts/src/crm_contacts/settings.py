"""Settings of the contacts service."""

from phonenumbers import SUPPORTED_REGIONS
from pydantic import Field, field_validator
from service_kit.settings import ServiceSettings


class ContactsSettings(ServiceSettings):
    """What every service has, and where a phone without country code belongs."""

    server_port: int = Field(default=8081, ge=0, le=65535)
    default_region: str = "BR"

    @field_validator("default_region")
    @classmethod
    def _is_a_region(cls, value: str) -> str:
        if value.upper() not in SUPPORTED_REGIONS:
            raise ValueError("not a two-letter region that has phone numbers")
        return value.upper()
