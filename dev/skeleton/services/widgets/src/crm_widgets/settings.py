"""Settings of the widgets service."""

from pydantic import Field
from service_kit.settings import ServiceSettings


class WidgetsSettings(ServiceSettings):
    """What widgets need beside what every service needs."""

    server_port: int = Field(default=8085, ge=0, le=65535, description="HTTP: health and metrics")
