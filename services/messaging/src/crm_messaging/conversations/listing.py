"""The inbox: filters, search and pages of conversations (`GET /conversations` of the REST API)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.paging import Order
from service_kit.rows import AnySelect, Shape
from service_kit.search import patterns
from shared_events.channels.label import Label
from shared_events.identity import WhatsAppId, conversation_id
from shared_events.messaging import conversation as contract
from shared_events.messaging.conversation import ListConversations
from shared_events.messaging.message import ContentType, Direction, MessageStatus
from shared_events.requests import Page
from sqlalchemy import Uuid, any_, exists, false, literal, literal_column, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from crm_messaging import visibility
from crm_messaging.conversations.models import Conversation
from crm_messaging.conversations.repository import CONVERSATIONS
from crm_messaging.labels import repository as labels
from crm_messaging.replicas.repository import CONTACTS

_C = CONVERSATIONS.table.c
_P = CONTACTS.table.c
_NEWEST_FIRST = Order(
    "conversations",
    [(_C.last_message_at, AwareDatetime), (_C.id, UUID)],
    tenant=_C.tenant_id,
    descending=True,
)
_FEW = 2000

_FIND_PEOPLE = "SELECT contact_id FROM people_found($1, $2) AS contact_id"
# A group is found as whom its sessions are of; its conversations are told by its chat alone.
_FIND_GROUPS = """
SELECT h.channel_id, i.value FROM unnest($2::uuid[]) AS k(contact_id)
CROSS JOIN LATERAL (SELECT value FROM identity_refs
    WHERE tenant_id = $1 AND contact_id = k.contact_id AND kind = 'group' LIMIT 10) AS i
CROSS JOIN channel_refs AS h WHERE h.tenant_id = $1
"""
_WHOSE = """
CASE WHEN conversations.is_group THEN (SELECT contact_id FROM identity_refs AS i
    WHERE i.tenant_id = conversations.tenant_id AND i.kind = 'group'
        AND i.canonical = split_part(conversations.chat_id, '@', 1) LIMIT 1)
ELSE conversations.contact_id END
"""

# One look into each index for each conversation of the page. The order is what keeps a young
# table's plan from going by the tenant alone.
_AROUND = f"""
SELECT k.id, p.name, p.phone, p.profile_picture_url, m.id AS message_id, m.seq, m.direction,
    m.content_type, m.preview, m.status, m.sent_at, m.revoked_at, m.created_at
FROM unnest($1::uuid[], $2::uuid[]) AS k(id, contact_id)
LEFT JOIN LATERAL (SELECT * FROM contact_refs
    WHERE tenant_id = $3 AND contact_id = k.contact_id LIMIT 1) AS p ON true
LEFT JOIN LATERAL (SELECT *, left(content, {contract.PREVIEW_LENGTH}) AS preview FROM messages
    WHERE conversation_id = k.id AND tenant_id = $3 ORDER BY seq DESC LIMIT 1) AS m ON true
"""  # noqa: S608 - a number of ours


@dataclass(frozen=True, slots=True)
class _Found:
    contact_id: UUID


@dataclass(frozen=True, slots=True)
class _Around:
    """What the inbox shows beside a conversation: its contact and its last message."""

    id: UUID
    name: str | None
    phone: str | None
    profile_picture_url: str | None
    message_id: UUID | None
    seq: int
    direction: Direction
    content_type: ContentType
    preview: str | None
    status: MessageStatus
    sent_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class _Group:
    """A group on a channel, by the value of its WhatsApp id."""

    channel_id: UUID
    value: str


_FOUND = Shape(_Found)
_GROUP = Shape(_Group)
_AROUND_SHAPE = Shape(_Around)


async def page(
    tx: Transaction, request: ListConversations, call: Call
) -> Page[contract.Conversation]:
    """One page, newest activity first with the id as tie-break; `me` is whoever asks."""
    query = _matching(request, call)
    if request.search is not None:
        query = await _searched(tx, query, request.search)
    found, next_cursor = await _NEWEST_FIRST.found(tx, query, request, CONVERSATIONS)
    return Page(
        data=await resources(tx, found),
        has_more=next_cursor is not None,
        next_cursor=next_cursor,
    )


def _matching(request: ListConversations, call: Call) -> AnySelect:
    query = select(Conversation).where(*visibility.seen(call, "conversations"))
    if request.channel_id is not None:
        query = query.where(_C.channel_id == request.channel_id)
    if request.contact_id is not None:
        query = query.where(_C.contact_id == request.contact_id)
    # Spelled out, as the partial indexes have it: a value of the statement would fit none.
    if request.status == "active":
        query = query.where(text("conversations.status = 'active'"))
    elif request.status is not None:
        query = query.where(_C.status == request.status)
    if request.unread:
        query = query.where(text("conversations.unread_count > 0"))
    if request.assigned == "me":
        mine = _C.assigned_agent_id == call.user_id if call.user_id else false()
        query = query.where(mine)
    elif request.assigned == "none":
        query = query.where(_C.assigned_agent_id.is_(None))
    return query


async def _searched(tx: Transaction, query: AnySelect, search: str) -> AnySelect:
    """Those with contacts, or of groups, that the search finds.

    The planner cannot know whether a word is rare. So people are looked for first (ADR 25): the
    conversations of a few are sorted, and among many the list's own index soon has a page.
    """
    wanted = patterns(search)
    if not wanted:
        return query.where(false())
    found = await _FOUND.find(tx, _FIND_PEOPLE, wanted, _FEW + 1)
    if len(found) > _FEW:
        matches = [_P.search_text.like(pattern, escape="\\") for pattern in wanted]
        people = select(_P.contact_id).where(_P.tenant_id == tx.tenant_id, *matches)
        return query.where(exists(people.where(_P.contact_id == literal_column(_WHOSE))))
    contacts = [one.contact_id for one in found]
    groups = [
        conversation_id(one.channel_id, WhatsAppId("group", one.value).chat_id)
        for one in await _GROUP.find(tx, _FIND_GROUPS, tx.tenant_id, contacts)
    ]
    with_people = _C.contact_id == any_(literal(contacts, ARRAY(Uuid)))
    of_groups = _C.id == any_(literal(groups, ARRAY(Uuid)))
    return query.where(or_(with_people, of_groups) if groups else with_people)


async def resources(tx: Transaction, rows: Sequence[Conversation]) -> list[contract.Conversation]:
    """Conversations as customers see them, at the price of two statements."""
    around = await _AROUND_SHAPE.find(
        tx,
        _AROUND,
        [row.id for row in rows],
        [row.contact_id for row in rows],
        tx.tenant_id,
    )
    beside = {each.id: each for each in around}
    on_them = await labels.of_conversations(tx, rows)
    return [_resource(row, beside[row.id], on_them.get(row.id, [])) for row in rows]


_SHOWN = ("id", "channel_id", "is_group", "subject", "last_message_at", "unread_count", "read_seq")


def _resource(row: Conversation, around: _Around, on_it: Sequence[Label]) -> contract.Conversation:
    contact = row.contact_id and contract.ConversationContact(
        id=row.contact_id,
        name=around.name or "",
        phone=around.phone,
        profile_picture_url=around.profile_picture_url,
    )
    active = row.session_id and row.status == "active"
    return contract.Conversation.model_validate(
        {
            **{name: getattr(row, name) for name in (*_SHOWN, "status", "seq")},
            "contact": contact,
            "last_message": _last_message(around),
            "active_session": {"id": row.session_id, "assigned_agent_id": row.assigned_agent_id}
            if active
            else None,
            "labels": on_it,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )


def _last_message(around: _Around) -> contract.LastMessage | None:
    if around.message_id is None:
        return None
    return contract.LastMessage(
        id=around.message_id,
        seq=around.seq,
        direction=around.direction,
        content_type=around.content_type,
        # What was deleted for everyone is kept, and not put on show.
        preview=None if around.revoked_at else around.preview,
        status=around.status,
        sent_at=around.sent_at,
        revoked_at=around.revoked_at,
        created_at=around.created_at,
    )
