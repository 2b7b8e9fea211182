"""Requests from the gateway: what customers typed, checked and handed to the service."""

from datetime import timedelta
from typing import Any

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import InvalidError
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    GetContacts,
    ListContacts,
    PatchContact,
    ReplaceContact,
    RestoreContact,
    UpsertContact,
)
from shared_events.contacts.pipeline import Place
from shared_events.identity import WhatsAppId
from shared_events.requests import Nothing, Page

from crm_contacts.contacts import listing, service
from crm_contacts.contacts.documents import (
    check_custom_fields,
    distinct_tags,
    merge_patch,
)
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.phone import parse_identity, parse_phone
from crm_contacts.custom_fields import repository as definitions
from crm_contacts.custom_fields import values
from crm_contacts.pipelines import service as pipelines
from crm_contacts.pipelines.moves import Move

_WHO = {"contact_id", "identity_kind", "value", "phone"}


class ContactRequests:
    """Answers the contact requests; phones without country code are of `region`.

    A deletion can be taken back for `restorable`.
    """

    def __init__(self, region: str, restorable: timedelta) -> None:
        self._region = region
        self._restorable = restorable

    async def create(self, tx: Transaction, request: CreateContact, call: Call) -> contract.Contact:
        """Add a contact; the problem `contact_exists` names the one that has the phone."""
        phone = self._phone(request.phone)
        move = await _move(tx, request, call)
        fields = {**await self._whole(tx, request), **_phone_column(phone)}
        return await service.create(tx, {**fields, **_placed(fields, move.to)}, phone, move)

    async def get(self, tx: Transaction, request: GetContact, call: Call) -> contract.Contact:
        """Read a contact."""
        del call
        return await service.get(tx, request.contact_id)

    async def get_many(
        self, tx: Transaction, request: GetContacts, call: Call
    ) -> Page[contract.Contact]:
        """Read several contacts."""
        del call
        return Page(data=await service.get_many(tx, request.ids))

    async def list_contacts(
        self, tx: Transaction, request: ListContacts, call: Call
    ) -> Page[contract.Contact]:
        """Find contacts."""
        del call
        return await listing.list_contacts(tx, request)

    async def replace(
        self, tx: Transaction, request: ReplaceContact, call: Call
    ) -> contract.Contact:
        """Replace a contact: what is left out becomes empty."""
        phone = await self._phone_for(tx, request)
        move = await _move(tx, request, call)
        fields = {**await self._whole(tx, request), **_phone_column(phone)}
        fields |= _placed(fields, move.to)
        return await service.change(
            tx, request.contact_id, lambda _: fields, phone, call.expected_version, move
        )

    async def upsert(self, tx: Transaction, request: UpsertContact, call: Call) -> contract.Contact:
        """Replace the contact that has this identity, or add one."""
        shown = parse_identity(request.identity_kind, request.value, self._region)
        move = await _move(tx, request, call)
        fields = await self._whole(tx, request)
        fields |= _placed(fields, move.to)
        return await service.upsert(tx, shown, fields, call.expected_version, move)

    async def patch(self, tx: Transaction, request: PatchContact, call: Call) -> contract.Contact:
        """Change the fields that were sent, custom fields by merge (RFC 7396)."""
        given = request.model_fields_set - {"contact_id"}
        phone = await self._phone_for(tx, request)
        move = await _move(tx, request, call)
        whole = {**_cleaned(request), **_phone_column(phone)}
        fields = {name: value for name, value in whole.items() if name in given}
        patch = fields.pop("custom_fields", {})
        defined = await definitions.all_of(tx) if "custom_fields" in given else []

        def edit(contact: Contact) -> dict[str, Any]:
            edited = fields | _placed(fields, move.to, contact)
            if "custom_fields" not in given:
                return edited
            merged = merge_patch(contact.custom_fields, patch) if patch is not None else {}
            values.check(merged, defined, self._phone_of, only=patch)
            return {**edited, "custom_fields": check_custom_fields(merged)}

        return await service.change(
            tx, request.contact_id, edit, phone, call.expected_version, move
        )

    async def delete(self, tx: Transaction, request: DeleteContact, call: Call) -> Nothing:
        """Remove a contact, softly."""
        move = Move(None, call.user_id)
        await service.delete(tx, request.contact_id, call.expected_version, move)
        return Nothing()

    async def restore(
        self, tx: Transaction, request: RestoreContact, call: Call
    ) -> contract.Contact:
        """Take a deletion back."""
        move = Move(None, call.user_id)
        return await service.restore(
            tx, request.contact_id, self._restorable, call.expected_version, move
        )

    async def _whole(
        self, tx: Transaction, request: CreateContact | ReplaceContact | UpsertContact
    ) -> dict[str, Any]:
        """The columns of a contact as the request wants it, but its phone; raises InvalidError."""
        fields = _cleaned(request)
        check_custom_fields(fields["custom_fields"])
        values.check(fields["custom_fields"], await definitions.all_of(tx), self._phone_of)
        return fields

    async def _phone_for(
        self, tx: Transaction, request: ReplaceContact | PatchContact
    ) -> WhatsAppId | None:
        """The phone a contact is to have: its own may be one that no plan has.

        Raises InvalidError for another that no line can have.
        """
        try:
            return self._phone(request.phone)
        except InvalidError:
            shown = (await service.get(tx, request.contact_id)).phone
            if shown is None or shown != request.phone:
                raise
            return WhatsAppId("phone", shown.removeprefix("+"))

    def _phone_of(self, typed: str) -> WhatsAppId:
        return parse_phone(typed, self._region)

    def _phone(self, typed: str | None) -> WhatsAppId | None:
        return self._phone_of(typed) if typed is not None else None


async def _move(
    tx: Transaction,
    request: CreateContact | ReplaceContact | UpsertContact | PatchContact,
    call: Call,
) -> Move:
    """Where the request sends the contact, if anywhere; raises InvalidError."""
    to = await pipelines.place(tx, request.pipeline_id, request.pipeline_status_id)
    return Move(to, call.user_id)


def _placed(
    fields: dict[str, Any], to: Place | None, contact: Contact | None = None
) -> dict[str, Any]:
    """The columns that follow from what a request says of pipelines.

    A status brings its pipeline; who changes or leaves the pipeline has no status yet.
    """
    if to is not None and to.status_id is not None:
        return {"pipeline_id": to.pipeline_id, "pipeline_status_id": to.status_id}
    was_in = contact.pipeline_id if contact else None
    if fields.get("pipeline_id", was_in) != was_in:
        return {"pipeline_status_id": None}
    return {}


def _phone_column(phone: WhatsAppId | None) -> dict[str, Any]:
    return {"phone": phone.phone if phone else None}


def _cleaned(
    request: CreateContact | ReplaceContact | UpsertContact | PatchContact,
) -> dict[str, Any]:
    """The columns a request speaks of, as they are stored, but its phone."""
    fields: dict[str, Any] = request.model_dump(exclude=_WHO)
    fields["email"] = fields["email"].lower() if fields["email"] else None
    fields["tags"] = distinct_tags(fields["tags"] or ())
    return fields
