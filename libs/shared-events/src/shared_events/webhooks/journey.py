"""Journeys of messages, as far as the event log and the webhooks go."""

from shared_events.journeys import Legs, MessageIds
from shared_events.requests import Query


class ListWebhookLegs(Query[Legs], key="webhooks.leg.list"):
    """What was told of messages, and whom of the customer's systems.

    Deliveries are shown to who may read webhooks.
    """

    message_ids: MessageIds
