"""Who a WhatsApp id is, and whose message it is (docs/architecture.md, "Identity").

WhatsApp writes a person as `digits@c.us` (by phone) or `digits@lid` (hidden). Everything that
names a contact is derived from that one id, so contacts and messaging agree without asking each
other. Nothing here does I/O.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid5

from shared_events import bounds

IdentityKind = Literal["phone", "lid", "group"]

_CONTACT_NAMESPACE = UUID("5b1f6a52-6f0c-5d5e-9a5b-3f1f3c2f7a01")
_CONVERSATION_NAMESPACE = UUID("0c5e9d3e-8f7b-5b6a-8a0a-9d2f6b1c4e02")

_KINDS: dict[str, IdentityKind] = {
    "c.us": "phone",
    "s.whatsapp.net": "phone",
    "lid": "lid",
    "hosted": "phone",
    "hosted.lid": "lid",
    "g.us": "group",
}
_SUFFIX: dict[IdentityKind, str] = {"phone": "c.us", "lid": "lid", "group": "g.us"}
_CANONICAL = (
    (re.compile(r"55(\d{2})([6-9]\d{7})"), r"55\g<1>9\2"),  # a mobile of Brazil without its nine
    (re.compile(r"521(\d{10})"), r"52\1"),  # Mexico, with the one of before 2019
    (re.compile(r"54([1-8]\d{9})"), r"549\1"),  # Argentina, without its nine
    (re.compile(r"229([2-9]\d{7})"), r"22901\1"),  # Benin, of before November 2024
    # Mobiles of Ivory Coast of before 2021: their second digit is of Moov, MTN or Orange.
    (re.compile(r"225([04-9][0-3]\d{6})"), r"22501\1"),
    (re.compile(r"225([04-9][4-6]\d{6})"), r"22505\1"),
    (re.compile(r"225([04-9][7-9]\d{6})"), r"22507\1"),
)
_ALSO_WRITTEN = (
    (re.compile(r"55(\d{2})9([6-9]\d{7})"), r"55\1\2"),
    (re.compile(r"52(\d{10})"), r"521\1"),
    (re.compile(r"549([1-8]\d{9})"), r"54\1"),
    (re.compile(r"22901([2-9]\d{7})"), r"229\1"),
    (re.compile(r"225(?:01(?=.[0-3])|05(?=.[4-6])|07(?=.[7-9]))([04-9]\d{7})"), r"225\1"),
)
"""The spelling of each of these that is not canonical."""
_TELLING = 8
"""Digits by which a number is told from others in a text."""


_FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Hangul fillers and the braille blank: letters and symbols that show nothing."""
_NOBODY = re.compile(r"1313555\d{4}|131655500\d\d|16505361212")
"""WhatsApp's company account and its assistants: no customers, and neither is `0@c.us`, itself."""
_LONGEST_VALUE = bounds.limit(bounds.WhatsAppValue)

IdentityKey = tuple[IdentityKind, str]
"""Kind and canonical value: what the aliases of one identity share."""

TenantIdentity = tuple[str, IdentityKey]
"""An identity, and whose: the same number may be a contact of several tenants."""


@dataclass(frozen=True, slots=True)
class WhatsAppId:
    """A person or group as WhatsApp reports it, e.g. kind `phone`, value `5511988880001`."""

    kind: IdentityKind
    value: str

    @property
    def key(self) -> IdentityKey:
        """What the identity is recorded under."""
        return self.kind, self.canonical

    @property
    def canonical(self) -> str:
        """The form two aliases share, as E.164 has it.

        A Brazilian mobile has its ninth digit: old accounts are reported without it (`55` + area
        code + 8 digits starting 6-9; a number starting 2-5 is a landline and is left alone). A
        Mexican one has no `1` after `52`, which WhatsApp still writes and dialling gave up in 2019.
        An Argentine mobile is written with a `9` after `54` from abroad, as WhatsApp does, and
        without it at home; the ten digits behind are unique, mobile or not, so all count with it.
        Accounts of Benin and Ivory Coast keep the eight digits that their numbers had.
        """
        if self.kind != "phone":
            return self.value
        return _rewritten(self.value, _CANONICAL) or self.value

    @property
    def phone(self) -> str | None:
        """E.164 for display, e.g. `+5511988880001`; a LID or a group has no phone.

        An Argentine number stays as it was written: without its `9` it may be a landline.
        """
        if self.kind != "phone":
            return None
        return f"+{self.value if self.value.startswith('54') else self.canonical}"

    @property
    def chat_id(self) -> str:
        """The id to send to, exactly as WhatsApp reported it."""
        return f"{self.value}@{_SUFFIX[self.kind]}"


def _rewritten(value: str, rules: Iterable[tuple[re.Pattern[str], str]]) -> str | None:
    """The number in the spelling of the one rule that fits; None where none does."""
    for spelling, other in rules:
        if match := spelling.fullmatch(value):
            return match.expand(other)
    return None


def parse_whatsapp_id(chat_id: str) -> WhatsAppId | None:
    """Read `digits@c.us`, `digits:12@s.whatsapp.net`, `digits@lid` or `...@g.us`.

    A device part (`:12`) is dropped; `@hosted` and `@hosted.lid` are people whose device Meta runs.
    Stories, newsletters and broadcast lists are nobody's conversation and give None.
    """
    user, _, server = chat_id.partition("@")
    kind = _KINDS.get(server)
    value = user.partition(":")[0]
    if kind is None or not 0 < len(value) <= _LONGEST_VALUE:
        return None
    if kind != "group" and not (value.isascii() and value.isdigit() and value[0] != "0"):
        return None
    if kind == "phone" and _NOBODY.fullmatch(value):
        return None
    return WhatsAppId(kind, value)


def contact_id(tenant_id: str, identity: WhatsAppId) -> UUID:
    """The contact's id, the same in every service and at every retry."""
    return uuid5(_CONTACT_NAMESPACE, f"{tenant_id}/{identity.kind}/{identity.canonical}")


def display_name(push_name: str | None, phone: str | None) -> str:
    """What to call somebody we know only from WhatsApp."""
    return visible(push_name)[:255] or phone or "WhatsApp contact"


def visible(text: str | None) -> str:
    """The text without blanks around it; empty when nothing of it can be seen.

    Fillers and formatting characters pass for letters elsewhere: people call themselves by them.
    """
    stripped = (text or "").strip()
    seen = any(c not in _FILLERS and unicodedata.category(c)[0] not in "CZM" for c in stripped)
    return stripped if seen else ""


def conversation_id(channel_id: UUID, chat_id: str) -> UUID:
    """The aggregate whose events keep their order: one chat on one channel."""
    return uuid5(_CONVERSATION_NAMESPACE, f"{channel_id}/{chat_id}")


@dataclass(frozen=True, slots=True)
class Owned:
    """An identity on record: the contact it belongs to, and the alias WhatsApp last reported.

    `proved`: a message showed it. One that was only typed, by an agent, may be mistyped.
    """

    contact_id: UUID
    value: str
    proved: bool = True


@dataclass(slots=True)
class Owners:
    """Whose messages a batch holds: a contact for each person, in order.

    `new` are the identities to record, `renamed` those that WhatsApp now reports otherwise or for
    the first time, and `moved` those that were typed for another contact (`lost` says which).
    """

    contacts: list[UUID] = field(default_factory=list)
    new: dict[TenantIdentity, Owned] = field(default_factory=dict)
    renamed: dict[TenantIdentity, Owned] = field(default_factory=dict)
    moved: dict[TenantIdentity, Owned] = field(default_factory=dict)
    lost: dict[TenantIdentity, UUID] = field(default_factory=dict)

    def recorded(self, key: TenantIdentity) -> UUID | None:
        """Whose an identity is that is known otherwise now; None for what stays as it was."""
        for changed in (self.new, self.moved, self.renamed):
            if key in changed:
                return changed[key].contact_id
        return None

    def note(self, key: TenantIdentity, before: Owned | None, after: Owned) -> None:
        """An identity is known otherwise from here on."""
        if before is None or key in self.new:
            self.new[key] = after
        elif key in self.moved or before.contact_id != after.contact_id:
            self.lost.setdefault(key, before.contact_id)
            self.moved[key] = after
        else:
            self.renamed[key] = after


def released(contact_id: UUID, identity: WhatsAppId) -> UUID:
    """The contact of whoever turns out to have a number that was mistyped for this contact.

    Derived, so that every service knows it: the number's first id may be that contact's own.
    """
    return uuid5(_CONTACT_NAMESPACE, f"{contact_id}/{identity.kind}/{identity.canonical}")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An identity of somebody who was erased: who is shown by it next, and since when."""

    next_contact_id: UUID
    erased_at: datetime


def digest(identity: TenantIdentity) -> str:
    """What an identity is remembered by after its owner was erased (docs/adr/0022)."""
    tenant_id, (kind, canonical) = identity
    return hashlib.sha256(f"{tenant_id}/{kind}/{canonical}".encode()).hexdigest()


def is_past(
    person: tuple[str, Sequence[WhatsAppId]],
    told_at: datetime,
    known: Mapping[TenantIdentity, Owned],
    forgotten: Mapping[TenantIdentity, Forgotten],
) -> bool:
    """Whether this was told of a person before they were erased, and only comes now.

    It is of the erased one, and goes with them; the rule is one for contacts and messaging.
    """
    tenant_id, shown = person
    keys = [(tenant_id, identity.key) for identity in shown]
    after = forgotten.get(keys[0])
    return after is not None and told_at < after.erased_at and known.keys().isdisjoint(keys)


def spellings(identity: WhatsAppId) -> list[str]:
    """How an identity may be written in texts: its aliases, without plus and server.

    A short one only with its server: too many other numbers contain it.
    """
    value, found = identity.canonical, {identity.value, identity.canonical}
    if identity.kind == "phone":
        found.update(filter(None, [_rewritten(value, _ALSO_WRITTEN)]))
    server = f"@{_SUFFIX[identity.kind]}"
    return sorted(v if len(v) >= _TELLING else v + server for v in found)


def chats_of(identity: WhatsAppId) -> list[str]:
    """The ids a chat with somebody may have, in every spelling."""
    return [f"{one.partition('@')[0]}@{_SUFFIX[identity.kind]}" for one in spellings(identity)]


def owners(
    people: Iterable[tuple[str, Sequence[WhatsAppId]]],
    known: Mapping[TenantIdentity, Owned],
    forgotten: Mapping[TenantIdentity, Forgotten] | None = None,
) -> Owners:
    """The rule whose message it is, for contacts and messaging alike.

    Each person comes with the tenant whose message it is and the identities it shows, strongest
    first and never empty. The strongest proved one on record decides, then the strongest typed one;
    with none on record, the strongest names a new contact. Every other identity then belongs to
    that contact too, unless it is proved to be somebody else's, and is proved by the message. One
    that is `forgotten` names the contact that comes after the erased one.
    """
    result = Owners()
    seen = dict(known)
    for tenant_id, person in people:
        keys = [(tenant_id, identity.key) for identity in person]
        on_record = sorted((seen[key] for key in keys if key in seen), key=lambda o: not o.proved)
        if on_record:
            owner = on_record[0].contact_id
        elif again := (forgotten or {}).get(keys[0]):
            owner = again.next_contact_id
        else:
            owner = contact_id(tenant_id, person[0])
        result.contacts.append(owner)
        for key, identity in zip(keys, person, strict=True):
            before = seen.get(key)
            if before is not None and before.proved and before.contact_id != owner:
                owner_of_it = before.contact_id  # somebody else's; only its alias may be news
            else:
                owner_of_it = owner
            after = Owned(owner_of_it, identity.value)
            if before != after:
                result.note(key, before, after)
                seen[key] = after
    return result
