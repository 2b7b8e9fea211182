"""What is asked about the journeys of messages, and the answer."""

from uuid import UUID

from pydantic import Field
from shared_events import bounds
from shared_events.envelope import Contract
from shared_events.journeys import MOST_MESSAGES, MessageHop, Wait
from shared_events.messaging.message import Direction, MessageStatus
from shared_events.requests import ListQuery, Query


class MessageJourney(Contract):
    """Where a message is and how it came there, in the order of the way.

    `waiting_for` is the first thing that keeps it from going on; nothing, once it is where it
    should be. `missing` names the services that did not answer: their hops are left out.
    """

    message_id: UUID
    direction: Direction | None = None
    status: MessageStatus | None = None
    waiting_for: Wait | None = None
    hops: list[MessageHop]
    missing: list[bounds.Word] = Field(default_factory=list)


class GetMessageJourney(Query[MessageJourney], key="gateway.journey.get"):
    """Where a message is, hop by hop with times.

    From WAHA's webhook, or from who asked for it, over WhatsApp's receipts to the customer's own
    systems. Webhook deliveries are shown to who may read webhooks. A service that is away leaves
    its hops out and is named in `missing`.
    """

    message_id: UUID


class ListContactJourneys(ListQuery[MessageJourney], key="gateway.journey.list"):
    """Where a contact's messages are, the newest first, each as its own journey shows it.

    Those that wait for their `send_at` are among the scheduled ones.
    """

    contact_id: UUID
    limit: int = Field(default=10, ge=1, le=MOST_MESSAGES)
