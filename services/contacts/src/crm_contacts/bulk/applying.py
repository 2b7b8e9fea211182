"""Operations on contacts, one after the other and without I/O: who is who, and what they become."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service_kit.errors import ConflictError, InvalidError, NotFoundError, PreconditionFailedError
from shared_events.contacts.bulk import CreateOne, DeleteOne, Operation, TagOne, UpdateOne
from shared_events.contacts.contact import MAX_TAGS
from shared_events.contacts.pipeline import Place
from shared_events.identity import WhatsAppId

from crm_contacts.contacts import repository
from crm_contacts.contacts.documents import check_custom_fields, distinct_tags, merge_patch
from crm_contacts.contacts.many import People, Person
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.search import tag_key
from crm_contacts.contacts.service import SOURCE_REST
from crm_contacts.custom_fields import values
from crm_contacts.custom_fields.models import CustomField

_NO_COLUMNS = {"op", "contact_id", "version", "phone"}
_WHERE_IT_IS = {"pipeline_id", "pipeline_status_id"}


@dataclass(slots=True)
class Batch:
    """All that operations are about, and what becomes of it.

    `moved` are those that come to another place, or leave theirs; `deleted` those to be deleted.
    """

    tenant_id: str
    definitions: Sequence[CustomField]
    read_phone: Callable[[str], WhatsAppId]
    people: People
    moved: dict[UUID, Place | None] = field(default_factory=dict)
    deleted: set[UUID] = field(default_factory=set)

    def apply(
        self, operation: Operation, phone: WhatsAppId | None, to: Place | None
    ) -> tuple[str, UUID]:
        """Apply an operation; returns what it did, and to whom. Raises ProblemError."""
        if isinstance(operation, CreateOne):
            return "created", self._create(operation, phone, to)
        person = self._found(operation)
        contact_id = person.contact.id
        if isinstance(operation, DeleteOne):
            self.deleted.add(contact_id)
            self.moved.pop(contact_id, None)
            return "deleted", contact_id
        fields = (
            self._tagged(operation, person.contact)
            if isinstance(operation, TagOne)
            else self._patched(operation, person.contact, to)
        )
        return ("updated" if self._change(person, fields, to) else "unchanged"), contact_id

    def _found(self, operation: UpdateOne | TagOne | DeleteOne) -> Person:
        person = self.people.by_id.get(operation.contact_id)
        contact = repository.live(person.contact if person else None)
        if person is None or contact.id in self.deleted:
            raise NotFoundError("contact")
        if not isinstance(operation, TagOne):
            PreconditionFailedError.check(operation.version, contact.version)
        return person

    def _create(self, wanted: CreateOne, phone: WhatsAppId | None, to: Place | None) -> UUID:
        """Somebody new, or who was deleted and comes back with these fields."""
        fields = _columns(wanted, wanted.model_dump(exclude=_NO_COLUMNS))
        fields |= _placed(fields, to)
        values.check(
            check_custom_fields(fields["custom_fields"]), self.definitions, self.read_phone
        )
        fields |= {"phone": phone.phone if phone else None, "deleted_at": None}
        owner = self.people.owner_of(phone)
        if owner is not None:
            self._check_gone(owner.contact)
            self._change(owner, fields, to)
            return owner.contact.id
        now = datetime.now(UTC)
        contact = Contact(
            **fields,
            id=self.people.first_id(self.tenant_id, phone),
            tenant_id=self.tenant_id,
            source=SOURCE_REST,
            created_at=now,
            updated_at=now,
        )
        self.people.add(contact, phone)
        if contact.pipeline_id is not None:
            self.moved[contact.id] = to
        return contact.id

    def _check_gone(self, owner: Contact) -> None:
        """Raise ConflictError unless who has the phone was deleted."""
        if owner.erased_at is not None:  # just now: the next look finds nobody
            raise ConflictError("contact_changed", "It was erased meanwhile; try again.")
        if owner.merged_into is not None or owner.deleted_at is None or owner.id in self.deleted:
            raise ConflictError(
                "contact_exists",
                "Another contact has this phone.",
                existing_id=str(owner.merged_into or owner.id),
            )

    def _patched(self, wanted: UpdateOne, contact: Contact, to: Place | None) -> dict[str, Any]:
        given = wanted.model_dump(exclude=_NO_COLUMNS, exclude_unset=True)
        if given.get("name", "") is None:
            raise InvalidError.field("name", "required", "A contact needs a name.")
        patch = given.pop("custom_fields", {})
        fields = _columns(wanted, given)
        fields |= _placed(fields, to, contact.pipeline_id)
        if "custom_fields" in wanted.model_fields_set:
            merged = {} if patch is None else merge_patch(contact.custom_fields, patch)
            values.check(merged, self.definitions, self.read_phone, only=patch)
            fields["custom_fields"] = check_custom_fields(merged)
        return fields

    def _tagged(self, wanted: TagOne, contact: Contact) -> dict[str, Any]:
        off = {tag_key(tag) for tag in wanted.remove}
        kept = [tag for tag in contact.tags if tag_key(tag) not in off]
        tags = distinct_tags([*kept, *wanted.add])
        if len(tags) > MAX_TAGS:
            raise InvalidError.field(
                "add", "too_long", f"A contact has at most {MAX_TAGS} tags.", max_length=MAX_TAGS
            )
        return {"tags": tags}

    def _change(self, person: Person, fields: dict[str, Any], to: Place | None) -> bool:
        before = person.contact
        changed = {name for name, value in fields.items() if getattr(before, name) != value}
        person.contact = before.model_copy(update=fields)
        person.changed |= changed
        if changed & _WHERE_IT_IS:
            self.moved[before.id] = to
        return bool(changed)


def _columns(wanted: CreateOne | UpdateOne, given: dict[str, Any]) -> dict[str, Any]:
    """What is said of a contact, as it is stored."""
    fields = dict(given)
    if "email" in fields:
        fields["email"] = wanted.email.lower() if wanted.email else None
    if "tags" in fields:
        fields["tags"] = distinct_tags(wanted.tags or ())
    return fields


def _placed(fields: dict[str, Any], to: Place | None, was_in: UUID | None = None) -> dict[str, Any]:
    """A status brings its pipeline; who changes or leaves the pipeline has no status yet."""
    if to is not None and to.status_id is not None:
        return {"pipeline_id": to.pipeline_id, "pipeline_status_id": to.status_id}
    if fields.get("pipeline_id", was_in) != was_in:
        return {"pipeline_status_id": None}
    return {}
