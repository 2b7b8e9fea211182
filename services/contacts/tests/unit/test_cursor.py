from datetime import UTC, datetime
from uuid import uuid4

import pytest
from crm_contacts.contacts.listing import Cursor
from service_kit.errors import MalformedError


class TestCursor:
    def test_survives_the_trip_to_the_caller(self) -> None:
        place = Cursor("-created_at", datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), uuid4())
        assert Cursor.decode(place.encode(), "-created_at") == place

    def test_fits_a_request_with_the_longest_name(self) -> None:
        place = Cursor("-name", "\U0001f600" * 64, uuid4())
        assert len(place.encode()) <= 500
        assert Cursor.decode(place.encode(), "-name") == place

    @pytest.mark.parametrize(
        "text", ["", "x", "é", "bm9uc2Vuc2U", "W10", "WyJuYW1lIiwxLDJd", "e30"]
    )
    def test_refuses_what_it_did_not_make(self, text: str) -> None:
        with pytest.raises(MalformedError) as refused:
            Cursor.decode(text, "name")
        assert refused.value.problem.code == "invalid_cursor"

    def test_is_bound_to_its_order(self) -> None:
        place = Cursor("name", "ana", uuid4()).encode()
        with pytest.raises(MalformedError):
            Cursor.decode(place, "-name")
