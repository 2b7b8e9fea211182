"""What a contact takes over from one that is merged into it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from crm_contacts.contacts.models import Contact
from crm_contacts.merging.fields import taken_over

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def contact(**fields: Any) -> Contact:
    given = {"name": "Maria", "source": "api", "created_at": NOON, "updated_at": NOON}
    return Contact(**{**given, "id": UUID(int=1), "tenant_id": "t", **fields})


@pytest.mark.parametrize(
    "name", ["phone", "email", "profile_picture_url", "language", "timezone", "push_name"]
)
def test_gaps_are_filled_and_values_stay(name: str) -> None:
    assert taken_over(contact(), contact(**{name: "x"})) == {name: "x"}
    assert taken_over(contact(**{name: "y"}), contact(**{name: "x"})) == {}
    assert taken_over(contact(**{name: "y"}), contact()) == {}


def test_a_placeholder_is_no_name() -> None:
    phone = "+5511988880001"
    for placeholder in ("WhatsApp contact", phone):
        nameless = contact(name=placeholder, phone=phone)
        assert taken_over(nameless, contact()) == {"name": "Maria"}
        assert taken_over(contact(phone=phone), nameless) == {}


def test_tags_are_united_without_case_and_as_many_as_there_may_be() -> None:
    tags = [f"t{n}" for n in range(49)]
    took = taken_over(contact(tags=["VIP", *tags[:48]]), contact(tags=["vip", *tags, "more"]))
    assert took == {"tags": ["VIP", *tags]}


def test_custom_fields_are_united_as_far_as_there_is_room() -> None:
    took = taken_over(
        contact(custom_fields={"a": 1, "b": None}),
        contact(custom_fields={"a": 2, "b": 2, "long": "x" * 16_370, "c": 3}),
    )
    assert took == {"custom_fields": {"a": 1, "b": None, "c": 3}}
    many = {f"k{n}": n for n in range(64)}
    took = taken_over(contact(custom_fields={"own": 1}), contact(custom_fields=many))
    assert len(took["custom_fields"]) == 64
    assert took["custom_fields"]["own"] == 1


def test_interactions_span_both() -> None:
    times = {"first_interaction_at": LATER, "last_interaction_at": NOON}
    others = {"first_interaction_at": NOON, "last_interaction_at": LATER}
    assert taken_over(contact(**times), contact(**others)) == others
    assert taken_over(contact(**others), contact(**times)) == {}
    assert taken_over(contact(), contact(**others)) == others


def test_a_status_comes_with_its_pipeline() -> None:
    there = {"pipeline_id": UUID(int=2), "pipeline_status_id": UUID(int=3)}
    assert taken_over(contact(), contact(**there)) == there
    assert taken_over(contact(pipeline_id=UUID(int=9)), contact(**there)) == {}


def test_who_was_deleted_gives_only_its_times() -> None:
    gone = contact(email="a@b.co", tags=["x"], custom_fields={"a": 1}, deleted_at=NOON)
    assert taken_over(contact(), gone) == {}
    gone = gone.model_copy(update={"first_interaction_at": NOON})
    assert taken_over(contact(), gone) == {"first_interaction_at": NOON}
