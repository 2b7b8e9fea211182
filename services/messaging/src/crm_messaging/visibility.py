"""What an agent may see where the company shows agents only their own (`Principal.own_only`).

A session is seen by who has it, and by everybody while nobody has it. A conversation goes by the
session that is active in it, as `assigned` of the inbox does: one in which none is active is
nobody's. A message is seen with its conversation and with its session. What one does not see
answers as what is missing does. All of it is read in the transaction of the request, so that an
assignment holds with its commit.
"""

from typing import Literal
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ForbiddenError, NotFoundError
from sqlalchemy import TextClause, Uuid, bindparam, text

Noun = Literal["session", "conversation", "message"]
Table = Literal["sessions", "conversations", "messages", "scheduled_messages"]

# Each a look at one row, by its key and with LIMIT: never a join with all of a table
# (docs/adr/0017). `:me` is a person: a system of the company's sees all.
_HELD = "({0}.assigned_agent_id IS NULL OR {0}.assigned_agent_id = :me)"
_OF_ANOTHER = """
(SELECT true FROM sessions AS s WHERE s.tenant_id = {tenant} AND s.channel_id = {channel}
    AND s.contact_id = {contact} AND s.status = 'active' AND s.assigned_agent_id <> :me LIMIT 1)
"""
_SEEN: dict[Table, str] = {
    "sessions": _HELD.format("sessions"),
    "conversations": _HELD.format("conversations"),
    "messages": f"""(
    (SELECT {_HELD.format("c")} FROM conversations AS c
        WHERE c.id = messages.conversation_id AND c.tenant_id = messages.tenant_id LIMIT 1)
    OR (SELECT {_HELD.format("s")} FROM sessions AS s
        WHERE s.id = messages.session_id AND s.tenant_id = messages.tenant_id LIMIT 1))
""",  # noqa: S608 - our own text
    # Seen by whoever wrote it, and by whoever will see it once it is said.
    "scheduled_messages": "(sent_by = :me OR "
    + _OF_ANOTHER.format(
        tenant="scheduled_messages.tenant_id",
        channel="scheduled_messages.channel_id",
        contact="scheduled_messages.contact_id",
    )
    + " IS NULL)",
}
_KEPT_IN: dict[Noun, tuple[Table, ...]] = {
    "session": ("sessions",),
    "conversation": ("conversations",),
    "message": ("messages", "scheduled_messages"),
}
_SEES = {
    noun: " UNION ALL ".join(
        f"SELECT true FROM {table} WHERE id = $1 AND tenant_id = $2"  # noqa: S608 - our own text
        f" AND {_SEEN[table].replace(':me', '$3::uuid')}"
        for table in tables
    )
    for noun, tables in _KEPT_IN.items()
}
_TALKS = _OF_ANOTHER.format(tenant="$1", channel="$2", contact="$3").replace(":me", "$4::uuid")


def seen(call: Call, among: Table) -> tuple[TextClause, ...]:
    """What rows of a list must meet to be shown; nothing where the caller sees all of them."""
    if not call.principal.own_only:
        return ()
    return (text(_SEEN[among]).bindparams(bindparam("me", call.user_id, Uuid)),)


async def check(tx: Transaction, noun: Noun, id_: UUID, call: Call) -> None:
    """Raise NotFoundError for what the caller does not see, as for what is not there."""
    if call.principal.own_only and not await tx.fetchval(
        _SEES[noun], id_, tx.tenant_id, call.user_id
    ):
        raise NotFoundError(noun)


async def check_talking(tx: Transaction, contact_id: UUID, channel_id: UUID, call: Call) -> None:
    """Raise ForbiddenError `conversation_of_another` where the caller would not see what they
    write: another agent is talking with the contact."""
    if call.principal.own_only and await tx.fetchval(
        f"SELECT {_TALKS}", tx.tenant_id, channel_id, contact_id, call.user_id
    ):
        raise ForbiddenError("conversation_of_another", "Another agent has this conversation.")
