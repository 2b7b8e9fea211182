"""What the gateway says on the bus is what the contracts say."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from crm_gateway.journeys.service import LEGS
from crm_gateway.rest.own import is_own
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.selection import RELATIONS
from shared_events import examples, registry
from shared_events.channels.presence import ShowTyping
from shared_events.envelope import Envelope, EventData
from shared_events.gateway.agent import Agent, AgentCreated, AgentUpdated
from shared_events.gateway.company import CompanySettings, SettingsUpdated
from shared_events.messaging.conversation import GetChat
from shared_events.registry import BY_KEY
from shared_events.webhooks.subject_export import ListSubjectDeliveries

AGENT = Agent(
    id=uuid4(),
    name="Ana",
    email="ana@example.com",
    role="admin",
    active=True,
    version=1,
    created_at=datetime.now(UTC),
    updated_at=datetime.now(UTC),
)


SETTINGS = CompanySettings(
    agents_see="own",
    auto_assignment="least_busy",
    sessions_per_agent=1000,
    opt_out_words=["é" * 30],
    opt_in_words=["VOLTAR"],
    require_two_factor=True,
    event_retention_days=365,
    version=1,
    updated_at=datetime.now(UTC),
)
TOLD = AgentCreated(agent=AGENT), AgentUpdated(agent=AGENT), SettingsUpdated(settings=SETTINGS)


class TestPublished:
    @pytest.mark.parametrize("data", TOLD)
    def test_reads_back_through_the_registry(self, data: EventData) -> None:
        envelope = Envelope[EventData](
            event_id=uuid4(),
            event_type=data.event_type,
            event_version=data.event_version,
            aggregate_id=AGENT.id,
            aggregate_type=data.aggregate_type,
            aggregate_seq=1,
            tenant_id=str(uuid4()),
            occurred_at=datetime.now(UTC),
            data=data,
        )
        body = envelope.model_dump_json(serialize_as_any=True).encode()
        parsed = registry.parse_any(data.event_type, data.event_version, body)
        assert parsed.data == data


class TestAsked:
    def test_the_example_of_every_request_is_one_we_may_send(self) -> None:
        asked = {row.request.key: row.request for row in ROUTES if row.request.key in BY_KEY}
        asked |= {row.pieces.key: row.pieces for row in ROUTES if row.pieces is not None}
        asked |= {request.key: request for request in LEGS.values()}
        asked[ListSubjectDeliveries.key] = ListSubjectDeliveries  # for archives
        asked |= {GetChat.key: GetChat, ShowTyping.key: ShowTyping}  # for signs of typing
        batches = [relation.request for relation in RELATIONS.values()]
        asked |= {request.key: request for request in batches if not is_own(request)}
        assert asked == BY_KEY
        for key, request in asked.items():
            request.model_validate(examples.load_request(key))
