"""What a contact takes over from one that is merged into it, and gives back. No I/O here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from service_kit.errors import InvalidError
from shared_events.contacts.contact import MAX_TAGS
from shared_events.identity import display_name

from crm_contacts.contacts.documents import check_custom_fields, distinct_tags
from crm_contacts.contacts.models import Contact

_FILLED = ("phone", "email", "profile_picture_url", "language", "timezone", "push_name")


def taken_over(winner: Contact, loser: Contact) -> dict[str, Any]:
    """The winner's columns that change, with their values.

    Its own values win and its gaps are filled. Tags and custom fields are united, as many as a
    contact may have; who was deleted gives none of them. A placeholder is no name. A status goes
    with its pipeline.
    """
    fields = {
        "first_interaction_at": _known(
            min, winner.first_interaction_at, loser.first_interaction_at
        ),
        "last_interaction_at": _known(max, winner.last_interaction_at, loser.last_interaction_at),
    }
    if loser.deleted_at is None:
        fields |= {name: getattr(winner, name) or getattr(loser, name) for name in _FILLED}
        fields["tags"] = distinct_tags([*winner.tags, *loser.tags])[:MAX_TAGS]
        fields["custom_fields"] = _united(winner.custom_fields, loser.custom_fields)
        if _is_nameless(winner) and not _is_nameless(loser):
            fields["name"] = loser.name
        if winner.pipeline_id is None:
            fields["pipeline_id"] = loser.pipeline_id
            fields["pipeline_status_id"] = loser.pipeline_status_id
    return {name: value for name, value in fields.items() if value != getattr(winner, name)}


class _Columns(BaseModel):
    """Columns of a contact as they were written down."""

    name: str = ""
    phone: str | None = None
    email: str | None = None
    profile_picture_url: str | None = None
    language: str | None = None
    timezone: str | None = None
    push_name: str | None = None
    tags: list[str] = []
    custom_fields: dict[str, Any] = {}
    pipeline_id: UUID | None = None
    pipeline_status_id: UUID | None = None
    first_interaction_at: datetime | None = None
    last_interaction_at: datetime | None = None


def written_down(before: Contact, after: Contact) -> dict[str, Any]:
    """The columns in which two states of a contact differ, as JSON: `[before, after]` of each."""
    return {
        name: to_jsonable_python([getattr(before, name), getattr(after, name)])
        for name in _Columns.model_fields
        if getattr(before, name) != getattr(after, name)
    }


def given_back(winner: Contact, taken: Mapping[str, Any]) -> dict[str, Any]:
    """The winner's columns that change when a merge is undone, with their values.

    `taken` is what was written down of the merge. A value that somebody changed since stays; of
    tags and custom fields those go that came by the merge. A status goes with its pipeline.
    """
    before = _Columns.model_validate({name: pair[0] for name, pair in taken.items()})
    after = _Columns.model_validate({name: pair[1] for name, pair in taken.items()})
    back: dict[str, Any] = {}
    for name in taken:
        was, became, now = (getattr(state, name) for state in (before, after, winner))
        if name == "tags":
            back[name] = [tag for tag in now if tag in was or tag not in became]
        elif name == "custom_fields":
            came = {key for key in became if key not in was}
            kept = {k: v for k, v in now.items() if k not in came or v != became[k]}
            back[name] = kept
        elif now == became:
            back[name] = was
    if not {"pipeline_id", "pipeline_status_id"} & taken.keys() <= back.keys():
        back.pop("pipeline_id", None)
        back.pop("pipeline_status_id", None)
    return {name: value for name, value in back.items() if value != getattr(winner, name)}


def _known(which: Any, *moments: Any) -> Any:
    return which((moment for moment in moments if moment is not None), default=None)


def _is_nameless(contact: Contact) -> bool:
    return contact.name in {display_name(None, None), contact.phone}


def _united(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Ours and those of theirs that there is room for."""
    united = dict(ours)
    for key in (key for key in theirs if key not in ours):
        try:
            united = check_custom_fields({**united, key: theirs[key]})
        except InvalidError:
            continue
    return united
