"""Sessions come to an agent, or to nobody: many at once, of many companies, each told once."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from service_kit.ids import uuid7
from service_kit.rows import Rows
from shared_events.messaging.session import (
    AssignmentReason,
    Session,
    SessionAssigned,
    SessionAssignment,
)
from shared_events.messaging.summaries import ContactSummary

from crm_messaging.conversations import repository as conversations
from crm_messaging.replicas import repository as replicas
from crm_messaging.sessions import models
from crm_messaging.sessions.repository import SESSIONS, resource

ASSIGNMENTS = Rows(models.SessionAssignment)
_ASSIGN = """
UPDATE sessions s SET assigned_agent_id = n.agent_id, version = s.version + 1, updated_at = now()
FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS n(tenant_id, id, agent_id)
WHERE s.id = n.id AND s.tenant_id = n.tenant_id
RETURNING s.*
"""


@dataclass(frozen=True, slots=True)
class Assignment:
    """An active session whose lock is held, and who is to have it: an agent, or nobody."""

    tenant_id: str
    session: Session
    agent_id: UUID | None
    reason: AssignmentReason
    by: UUID | None = None


async def assign(tx: Transaction, assignments: Sequence[Assignment]) -> list[Session]:
    """Write who has these sessions now, and that it was so decided; say so of each.

    The sessions as they are then, in the same order. Their conversations show it as well.
    """
    rows = await SESSIONS.find(
        tx,
        _ASSIGN,
        [a.tenant_id for a in assignments],
        [a.session.id for a in assignments],
        [a.agent_id for a in assignments],
    )
    by_id = {row.id: resource(row) for row in rows}
    assigned = [by_id[a.session.id] for a in assignments]
    whose = [a.tenant_id for a in assignments]
    await ASSIGNMENTS.insert(tx, map(_decision, assignments))
    await conversations.go_to(tx, list(zip(whose, assigned, strict=True)))
    contacts = await replicas.known_contacts(
        tx, ((a.tenant_id, a.session.contact_id) for a in assignments)
    )
    channels = await replicas.known_channels(
        tx, ((a.tenant_id, a.session.channel_id) for a in assignments)
    )
    for one, session in zip(assignments, assigned, strict=True):
        contact = contacts.get((one.tenant_id, session.contact_id))
        event = SessionAssigned(
            session=session,
            contact=replicas.summary(contact)
            if contact
            else ContactSummary(id=session.contact_id, name=""),
            channel=channels[one.tenant_id, session.channel_id],
            previous_agent_id=one.session.assigned_agent_id,
            reason=one.reason,
        )
        tx.outbox.add(event, session.id, tenant_id=one.tenant_id)
    await replicas.wake_assigner(tx, whose)
    return assigned


def shown(row: models.SessionAssignment) -> SessionAssignment:
    """One decision as customers see it."""
    fields = {name: getattr(row, name) for name in SessionAssignment.model_fields}
    return SessionAssignment.model_validate(fields)


def _decision(one: Assignment) -> models.SessionAssignment:
    return models.SessionAssignment(
        id=uuid7(),
        tenant_id=one.tenant_id,
        session_id=one.session.id,
        agent_id=one.agent_id,
        previous_agent_id=one.session.assigned_agent_id,
        assigned_by=one.by,
        reason=one.reason,
    )
