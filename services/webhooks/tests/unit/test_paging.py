import pytest
from crm_webhooks import paging
from service_kit.errors import MalformedError
from shared_events.resources import Identity


def page_of(rows: list[int], limit: int) -> tuple[list[str], str | None]:
    shown = paging.page(
        rows, limit, "numbers", lambda n: n, lambda n: Identity(kind="phone", value=str(n))
    )
    return [one.value for one in shown.data], shown.next_cursor


class TestPage:
    def test_the_cursor_names_the_last_row_shown(self) -> None:
        values, cursor = page_of([9, 8, 7], 2)
        assert values == ["9", "8"]
        assert paging.after(cursor, "numbers", int) == 8

    def test_the_last_page_has_no_cursor(self) -> None:
        assert page_of([9, 8], 2) == (["9", "8"], None)

    @pytest.mark.parametrize("cursor", ["x", "####", "bnVtYmVyczp4", "b3RoZXI6MQ=="])
    def test_any_other_text_is_malformed(self, cursor: str) -> None:
        with pytest.raises(MalformedError):
            paging.after(cursor, "numbers", int)
