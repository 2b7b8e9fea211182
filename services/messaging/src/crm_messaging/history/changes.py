"""What became of messages that history shows: through the same rules as what comes live.

What is known already changes nothing. Nobody is told unless whoever imports asks for it, and of who
was erased since nothing comes back.
"""

from collections.abc import Sequence
from datetime import datetime

from service_kit import forgotten
from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.channels.history import ChannelChangesRead
from shared_events.channels.traffic import (
    ChannelMessageEdited,
    ChannelMessageRevoked,
    ChannelMessageStatusReported,
    ChannelReactionReported,
)
from shared_events.identity import TenantIdentity, WhatsAppId, parse_whatsapp_id

from crm_messaging.messages.changes.applying import Reported, apply_or_park
from crm_messaging.messages.changes.consumers import edit_of, reaction_of
from crm_messaging.messages.consumers import take
from crm_messaging.messages.receipts import Receipt, from_report, from_revocation
from crm_messaging.messages.repository import MessageKey

_Report = (
    ChannelMessageEdited
    | ChannelMessageRevoked
    | ChannelReactionReported
    | ChannelMessageStatusReported
)
_Told = tuple[Event[ChannelChangesRead], _Report]


async def on_changes_read(tx: Transaction, events: Sequence[Event[ChannelChangesRead]]) -> None:
    """Apply what these pages show to have become of messages."""
    told = await _not_forgotten(tx, [(e, report) for e in events for report in _reports(e.data)])
    for notify in (False, True):
        wanted = [(event, report) for event, report in told if event.data.notify is notify]
        steps: list[tuple[MessageKey, Receipt, Cause]] = []
        changes: list[Reported] = []
        for event, report in wanted:
            key: MessageKey = event.tenant_id, report.channel_id, report.external_id
            match report:
                case ChannelMessageEdited():
                    changes.append(Reported(key, edit_of(report), event.cause))
                case ChannelReactionReported():
                    changes.append(Reported(key, reaction_of(report), event.cause))
                case ChannelMessageRevoked():
                    steps.append((key, from_revocation(report), event.cause))
                case ChannelMessageStatusReported():
                    if receipt := from_report(report):
                        steps.append((key, receipt, event.cause))
        if changes:
            await apply_or_park(tx, changes, quiet=not notify)
        if steps:
            await take(tx, steps, quiet=not notify)


def _reports(page: ChannelChangesRead) -> list[_Report]:
    return [*page.edits, *page.reactions, *page.receipts, *page.revocations]


async def _not_forgotten(tx: Transaction, told: Sequence[_Told]) -> list[_Told]:
    """Those that were not done by somebody who was erased since: it went with them."""
    who = [[(event.tenant_id, key.key) for key in _whose(report)] for event, report in told]
    erased = await forgotten.find(tx, {key for keys in who for key in keys})
    if not erased:
        return list(told)

    def is_gone(keys: Sequence[TenantIdentity], at: datetime) -> bool:
        return any(key in erased and at < erased[key].erased_at for key in keys)

    return [one for one, keys in zip(told, who, strict=True) if not is_gone(keys, _at(one[1]))]


def _whose(report: _Report) -> list[WhatsAppId]:
    if isinstance(report, ChannelMessageRevoked):
        return []
    if isinstance(report, ChannelMessageStatusReported):
        member = parse_whatsapp_id(report.participant) if report.participant else None
        return [member] if member else []
    return [WhatsAppId(each.kind, each.value) for each in report.person.identities]


def _at(report: _Report) -> datetime:
    match report:
        case ChannelMessageEdited():
            return report.edited_at
        case ChannelReactionReported():
            return report.reacted_at
        case ChannelMessageRevoked():
            return report.revoked_at
        case ChannelMessageStatusReported():
            return report.occurred_at
