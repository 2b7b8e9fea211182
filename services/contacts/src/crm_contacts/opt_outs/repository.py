"""Opt-outs in the database."""

from collections.abc import Sequence
from uuid import UUID

from service_kit.database import Transaction
from service_kit.paging import Order
from service_kit.rows import Rows
from shared_events.contacts import opt_out as contract
from shared_events.contacts.opt_out import Channel, ListOptOuts
from shared_events.requests import Page
from sqlalchemy import select

from crm_contacts.opt_outs.models import EVERYWHERE, ContactOptOut

OPT_OUTS = Rows(ContactOptOut)
_C = OPT_OUTS.table.c
_BY_CHANNEL = Order("opt_outs", [(_C.channel_id, UUID)], tenant=_C.tenant_id)
_KEY = "tenant_id = $1 AND contact_id = $2 AND channel_id = $3"
_LOCK = f"SELECT * FROM contact_opt_outs WHERE {_KEY} FOR UPDATE"  # noqa: S608 - our own text
_REMOVE = f"DELETE FROM contact_opt_outs WHERE {_KEY}"  # noqa: S608 - our own text
# What a loser did not want its winner does not want: they are one person.
_TAKE_OVER = """
INSERT INTO contact_opt_outs
SELECT p.tenant_id, p.winner_id, o.channel_id, o.reason, o.source, o.opted_out_by, o.opted_out_at
FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS p(tenant_id, winner_id, loser_id)
CROSS JOIN LATERAL (SELECT * FROM contact_opt_outs
    WHERE tenant_id = p.tenant_id AND contact_id = p.loser_id OFFSET 0) AS o
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
RETURNING *
"""


async def lock(tx: Transaction, contact_id: UUID, channel: Channel) -> ContactOptOut | None:
    """A contact's opt-out of a channel, nobody changing it until the commit."""
    return await OPT_OUTS.first(tx, _LOCK, tx.tenant_id, contact_id, key_of(channel))


async def remove(tx: Transaction, contact_id: UUID, channel: Channel) -> bool:
    """Remove an opt-out; whether there was one."""
    return await tx.execute(_REMOVE, tx.tenant_id, contact_id, key_of(channel)) == 1


async def take_over(
    tx: Transaction, pairs: Sequence[tuple[str, UUID, UUID]]
) -> list[ContactOptOut]:
    """Give winners (second) what losers (third) opted out of; those that are new to them."""
    return await OPT_OUTS.find(
        tx,
        _TAKE_OVER,
        [tenant_id for tenant_id, _, _ in pairs],
        [winner_id for _, winner_id, _ in pairs],
        [loser_id for _, _, loser_id in pairs],
    )


async def page(tx: Transaction, request: ListOptOuts) -> Page[contract.OptOut]:
    """A contact's opt-outs, that of all channels first; raises MalformedError."""
    statement = select(ContactOptOut).where(_C.contact_id == request.contact_id)
    return await _BY_CHANNEL.page(tx, statement, request, OPT_OUTS, to_resource)


def key_of(channel: Channel) -> UUID:
    """A channel, or all of them, as it is stored."""
    return EVERYWHERE if channel == "all" else channel


def to_resource(row: ContactOptOut) -> contract.OptOut:
    """An opt-out as customers see it."""
    channel: Channel = "all" if row.channel_id == EVERYWHERE else row.channel_id
    shown = row.model_dump(exclude={"tenant_id", "channel_id"})
    return contract.OptOut(**shown, channel_id=channel)
