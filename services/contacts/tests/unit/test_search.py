from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from crm_contacts.contacts.documents import distinct_tags
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.search import derive
from service_kit.search import fold, patterns


def contact(**fields: Any) -> Contact:
    now = datetime.now(UTC)
    plain: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": "t",
        "source": "api",
        "created_at": now,
        "updated_at": now,
    }
    return derive(Contact(**{**plain, **fields}))


class TestFold:
    def test_drops_case_and_accents(self) -> None:
        assert fold("JOÃO Conceição Ñandú") == "joao conceicao nandu"


class TestDerive:
    def test_makes_name_phone_and_email_searchable(self) -> None:
        made = contact(name="Zé", phone="+5511988880001", email="ze@exemplo.com")
        assert made.search_text == " ze +5511988880001 ze@exemplo.com 551188880001"

    def test_makes_tags_texts_and_numbers_searchable_as_far_as_there_is_room(self) -> None:
        fields = {"a": "Óleo", "b": ["X", 2], "c": True, "d": None, "e": {"f": "no"}, "g": 1.5}
        made = contact(name="Zé", tags=["VIP"], custom_fields=fields)
        assert made.search_text == " ze vip oleo x 2 1.5"
        large = contact(name="Zé", tags=["VIP"], custom_fields={"a": "x" * 16_000})
        assert large.search_text.startswith(" ze vip xx") and len(large.search_text) == 4096

    def test_orders_by_the_start_of_the_folded_name(self) -> None:
        assert contact(name="É" * 200).sort_name == "e" * 64

    def test_knows_tags_by_their_lower_case(self) -> None:
        assert contact(name="x", tags=["VIP", "Lead"]).tag_keys == ["lead", "vip"]

    def test_knows_tags_by_either_form_of_their_accents(self) -> None:
        assert contact(name="x", tags=["Família", "fami\u0301lia"]).tag_keys == ["família"]
        assert distinct_tags(["Família", "fami\u0301lia"]) == ["Família"]


class TestPatterns:
    def test_asks_for_every_word(self) -> None:
        assert patterns("João  SILVA") == ["%joao%", "%silva%"]

    def test_reads_a_phone_however_it_is_written(self) -> None:
        assert patterns("(11) 98888-0001") == ["%11988880001%"]
        assert patterns("+55 11") == ["%5511%"]
        assert patterns("011 98888-0001") == patterns("(11) 98888-0001")
        assert patterns("0055 11 98888-0001") == ["%5511988880001%"]
        assert patterns("00001") == ["%00001%"]

    @pytest.mark.parametrize(
        ("typed", "found"),
        [
            ("+55 0 11 98888-0001", "%5511988880001%"),
            ("+55 (011) 98888-0001", "%5511988880001%"),
            ("0055 011 98888 0001", "%5511988880001%"),
            ("+44 (0)20 7946 0000", "%442079460000%"),
            ("+44(0)20", "%4420%"),
            ("+39 06 698 1234", "%39066981234%"),  # there it is of the number
            ("+225 01 23 45 67 89", "%2250123456789%"),
            ("+55 11 0800", "%55110800%"),
            ("+550800", "%550800%"),
        ],
    )
    def test_leaves_out_what_is_dialled_at_home_only(self, typed: str, found: str) -> None:
        assert patterns(typed) == [found]

    def test_reads_a_phone_copied_from_an_address_book(self) -> None:
        plain = patterns("+5511988880001")
        assert patterns("\u202a+55 11 98888-0001\u202c") == plain
        assert patterns("+55\u00a011\u00a098888\u20110001") == plain
        assert patterns("+5511\u200b98888 0001") == plain
        assert patterns("+") == [] and patterns("+55") == ["%+55%"]

    def test_looks_for_short_words_where_words_begin(self) -> None:
        assert patterns("zé da s") == ["% ze%", "% da%", "% s%"]

    def test_takes_wildcards_literally(self) -> None:
        assert patterns(r"50%_\ ") == [r"%50\%\_\\%"]

    def test_asks_for_nothing_when_nothing_is_searched(self) -> None:
        assert patterns("   ") == []
