"""Settings of the contacts service."""

from phonenumbers import SUPPORTED_REGIONS
from pydantic import Field, field_validator
from service_kit.settings import ServiceSettings


class ContactsSettings(ServiceSettings):
    """What every service has, what phones are, and how long is kept what has ended."""

    server_port: int = Field(default=8081, ge=0, le=65535, description="HTTP: health and metrics")
    default_region: str = Field(
        default="BR", description="two letters: the country of phones typed without its code"
    )
    contact_restore_days: int = Field(
        default=30, ge=1, le=3650, description="days a deletion can be taken back; then it is final"
    )
    job_retention_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="days an import or export that has ended is kept, errors of rows included",
    )

    @field_validator("default_region")
    @classmethod
    def _is_a_region(cls, value: str) -> str:
        if value.upper() not in SUPPORTED_REGIONS:
            raise ValueError("not a two-letter region that has phone numbers")
        return value.upper()
