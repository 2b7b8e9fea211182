"""What a contact takes over from one that is merged into it. Nothing here does I/O."""

from typing import Any

from service_kit.errors import InvalidError
from shared_events.identity import display_name

from crm_contacts.contacts.documents import check_custom_fields, distinct_tags
from crm_contacts.contacts.models import Contact

MAX_TAGS = 50
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
