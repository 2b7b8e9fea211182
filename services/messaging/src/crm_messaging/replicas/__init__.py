"""What messaging keeps of other services' things, from their events."""

from service_kit.service import Service
from shared_events.channels import channel
from shared_events.contacts import contact
from shared_events.gateway import agent
from shared_events.topology import MESSAGING_REPLICAS

from crm_messaging.replicas import consumers


def add_to(service: Service) -> None:
    """Contacts, channels and agents as their owners tell of them."""
    service.on(MESSAGING_REPLICAS, contact.ContactCreated, consumers.on_contact_changed)
    service.on(MESSAGING_REPLICAS, contact.ContactUpdated, consumers.on_contact_changed)
    service.on(MESSAGING_REPLICAS, contact.ContactDeleted, consumers.on_contact_deleted)
    service.on(MESSAGING_REPLICAS, contact.ContactIdentityLinked, consumers.on_identity_linked)
    service.on(MESSAGING_REPLICAS, channel.ChannelCreated, consumers.on_channel_changed)
    service.on(MESSAGING_REPLICAS, channel.ChannelUpdated, consumers.on_channel_changed)
    service.on(MESSAGING_REPLICAS, channel.ChannelDeleted, consumers.on_channel_deleted)
    service.on(MESSAGING_REPLICAS, agent.AgentCreated, consumers.on_agent_changed)
    service.on(MESSAGING_REPLICAS, agent.AgentUpdated, consumers.on_agent_changed)
