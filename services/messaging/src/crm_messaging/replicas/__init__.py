"""What messaging keeps of other services' things, from their events."""

from service_kit.service import Service
from shared_events.channels import channel
from shared_events.contacts import contact
from shared_events.gateway import agent, company
from shared_events.topology import MESSAGING_REPLICAS

from crm_messaging.replicas import consumers


def add_to(service: Service) -> None:
    """Channels, agents and what ends of contacts; what makes people one is `merging`'s."""
    queue = MESSAGING_REPLICAS
    service.on(queue, contact.ContactDeleted, consumers.on_contact_deleted, together=True)
    service.on(
        queue, contact.ContactIdentityReleased, consumers.on_identity_released, together=True
    )
    service.on(queue, channel.ChannelCreated, consumers.on_channel_changed, together=True)
    service.on(queue, channel.ChannelUpdated, consumers.on_channel_changed, together=True)
    service.on(queue, channel.ChannelStatusChanged, consumers.on_channel_changed, together=True)
    service.on(queue, channel.ChannelDeleted, consumers.on_channel_deleted, together=True)
    service.on(queue, agent.AgentCreated, consumers.on_agent_changed, together=True)
    service.on(queue, agent.AgentUpdated, consumers.on_agent_changed, together=True)
    service.on(queue, company.SettingsUpdated, consumers.on_settings_updated)
