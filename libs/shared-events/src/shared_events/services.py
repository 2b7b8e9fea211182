"""The services there are: the one list that topology, ports, documents and deploy tests read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceName:
    """What a service is called, place by place.

    `name` is its folder under `services/`, its process and its deployment; `noun` the first word
    of the requests it answers and its package of this library.
    """

    name: str
    noun: str
    port: int
    """Where its HTTP port is in development."""

    @property
    def schema(self) -> str:
        """Its schema in PostgreSQL."""
        return self.name.replace("-", "_")

    @property
    def bus_user(self) -> str:
        """Its user in RabbitMQ."""
        return f"crm_{self.schema}"

    @property
    def package(self) -> str:
        """Its Python package."""
        return f"crm_{self.schema}"

    @property
    def contract(self) -> str:
        """The package that holds what may be said to it and by it."""
        return f"shared_events.{self.noun}"


GATEWAY = ServiceName("gateway", "gateway", 8080)
CONTACTS = ServiceName("contacts", "contacts", 8081)
MESSAGING = ServiceName("messaging", "messaging", 8082)
CHANNELS = ServiceName("channels-waha", "channels", 8083)
WEBHOOKS = ServiceName("webhooks", "webhooks", 8084)

SERVICES = (GATEWAY, CONTACTS, MESSAGING, CHANNELS, WEBHOOKS)
