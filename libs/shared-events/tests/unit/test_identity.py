from uuid import UUID

import pytest
from shared_events.identity import (
    WhatsAppId,
    contact_id,
    conversation_id,
    display_name,
    parse_whatsapp_id,
    spellings,
    visible,
)

TENANT = "6f1c2d38-9a4e-4b57-8c21-0d5e7f3a9b64"
CHANNEL = UUID("01936a7e-0010-7001-8001-5c3d9e2a1001")


def parsed(chat_id: str) -> WhatsAppId:
    identity = parse_whatsapp_id(chat_id)
    assert identity is not None
    return identity


class TestParseWhatsappId:
    @pytest.mark.parametrize(
        ("chat_id", "kind", "value"),
        [
            ("5511987654321@c.us", "phone", "5511987654321"),
            ("5511987654321@s.whatsapp.net", "phone", "5511987654321"),
            ("5511987654321:12@s.whatsapp.net", "phone", "5511987654321"),
            ("182736451928374@lid", "lid", "182736451928374"),
            ("182736451928374:3@lid", "lid", "182736451928374"),
            ("120363025246125486@g.us", "group", "120363025246125486"),
            ("5511987654321-1612345678@g.us", "group", "5511987654321-1612345678"),
        ],
    )
    def test_reads_people_and_groups(self, chat_id: str, kind: str, value: str) -> None:
        identity = parsed(chat_id)
        assert (identity.kind, identity.value) == (kind, value)

    @pytest.mark.parametrize(
        "chat_id",
        [
            "status@broadcast",
            "1612345678@broadcast",
            "120363158701337904@newsletter",
            "5511987654321",
            "@c.us",
            ":12@c.us",
            "mariana@c.us",
            "5511987654321@example.com",
            "5511987654321@c.us@lid",
            "",
        ],
    )
    def test_gives_none_for_what_is_nobodys_conversation(self, chat_id: str) -> None:
        assert parse_whatsapp_id(chat_id) is None

    def test_sends_to_the_id_as_whatsapp_reported_it(self) -> None:
        assert parsed("551187654321@s.whatsapp.net").chat_id == "551187654321@c.us"


class TestCanonical:
    @pytest.mark.parametrize(
        ("reported", "canonical"),
        [
            ("551187654321", "5511987654321"),  # mobile of before the ninth digit
            ("551167654321", "5511967654321"),
            ("5511987654321", "5511987654321"),
            ("551133334444", "551133334444"),  # landline
            ("551153334444", "551153334444"),
            ("14155552671", "14155552671"),
            ("5511876543", "5511876543"),  # too short to be a number of Brazil
            ("55118765432100", "55118765432100"),
        ],
    )
    def test_adds_the_ninth_digit_to_brazilian_mobiles_only(
        self, reported: str, canonical: str
    ) -> None:
        identity = WhatsAppId("phone", reported)
        assert identity.canonical == canonical
        assert identity.phone == f"+{canonical}"

    @pytest.mark.parametrize(
        ("reported", "canonical"),
        [
            ("541143215678", "5491143215678"),  # as it is written at home, or a landline
            ("5491143215678", "5491143215678"),
            ("54911432156", "54911432156"),  # too short
        ],
    )
    def test_counts_an_argentine_number_with_its_nine_and_shows_it_as_written(
        self, reported: str, canonical: str
    ) -> None:
        identity = WhatsAppId("phone", reported)
        assert identity.canonical == canonical
        assert identity.phone == f"+{reported}"

    @pytest.mark.parametrize(
        ("reported", "canonical"),
        [
            ("22997123456", "2290197123456"),
            ("2290197123456", "2290197123456"),
            ("22501234567", "2250101234567"),  # Moov
            ("22505123456", "2250505123456"),  # MTN
            ("22508123456", "2250708123456"),  # Orange
            ("22522123456", "22522123456"),  # a fixed line
            ("2250708123456", "2250708123456"),
        ],
    )
    def test_counts_a_number_of_before_with_the_digits_its_plan_gave_it(
        self, reported: str, canonical: str
    ) -> None:
        identity = WhatsAppId("phone", reported)
        assert identity.canonical == canonical
        assert identity.phone == f"+{canonical}"
        assert identity.chat_id == f"{reported}@c.us"

    @pytest.mark.parametrize("kind", ["lid", "group"])
    def test_leaves_hidden_ids_and_groups_alone(self, kind: str) -> None:
        identity = parsed({"lid": "551187654321@lid", "group": "551187654321@g.us"}[kind])
        assert identity.canonical == "551187654321"
        assert identity.phone is None


class TestContactId:
    """Literal ids: a change here would give every known contact a new identity."""

    @pytest.mark.parametrize(
        ("chat_id", "expected"),
        [
            ("5511987654321@c.us", "613cb80c-8246-5352-afd6-8b339776aefd"),
            ("551187654321@c.us", "613cb80c-8246-5352-afd6-8b339776aefd"),
            ("5511987654321:7@s.whatsapp.net", "613cb80c-8246-5352-afd6-8b339776aefd"),
            ("182736451928374@lid", "8a05bba6-582c-567d-853c-975b07985e19"),
            ("120363025246125486@g.us", "4428fc1b-f79b-566d-89ca-83dc5e1bdd13"),
        ],
    )
    def test_never_changes(self, chat_id: str, expected: str) -> None:
        assert contact_id(TENANT, parsed(chat_id)) == UUID(expected)

    def test_differs_between_tenants(self) -> None:
        person = parsed("5511987654321@c.us")
        assert contact_id(TENANT, person) != contact_id("another", person)

    def test_differs_between_a_phone_and_a_lid_of_the_same_digits(self) -> None:
        assert contact_id(TENANT, WhatsAppId("phone", "182736451928374")) != contact_id(
            TENANT, WhatsAppId("lid", "182736451928374")
        )


class TestConversationId:
    def test_never_changes(self) -> None:
        assert conversation_id(CHANNEL, "5511987654321@c.us") == UUID(
            "cc610836-284f-5d25-9b4c-50f7a0d33cc4"
        )


class TestDisplayName:
    @pytest.mark.parametrize(
        ("push_name", "phone", "shown"),
        [
            ("  Mari  ", "+5511987654321", "Mari"),
            ("   ", "+5511987654321", "+5511987654321"),
            (None, "+5511987654321", "+5511987654321"),
            (None, None, "WhatsApp contact"),
            ("x" * 300, None, "x" * 255),
        ],
    )
    def test_takes_the_best_name_there_is(
        self, push_name: str | None, phone: str | None, shown: str
    ) -> None:
        assert display_name(push_name, phone) == shown


class TestNobody:
    @pytest.mark.parametrize(
        "chat_id",
        [
            *("0@c.us", "0@s.whatsapp.net", "00@c.us", "0@lid", f"{'1' * 50}@c.us", "١٢@c.us"),
            *("13135550002@c.us", "13165550012:1@s.whatsapp.net", "16505361212@c.us"),
        ],
    )
    def test_is_no_customer(self, chat_id: str) -> None:
        assert parse_whatsapp_id(chat_id) is None


class TestHosted:
    @pytest.mark.parametrize(
        ("chat_id", "shown"),
        [("5511988880001:99@hosted", "5511988880001@c.us"), ("77:99@hosted.lid", "77@lid")],
    )
    def test_is_the_person_whoever_runs_the_device(self, chat_id: str, shown: str) -> None:
        assert parsed(chat_id).chat_id == shown


class TestVisible:
    @pytest.mark.parametrize("text", [None, "", "  ", "\u3164", "\u200b\u2060", "\u2800", "\u0301"])
    def test_nothing_of_it_can_be_seen(self, text: str | None) -> None:
        assert visible(text) == ""

    @pytest.mark.parametrize("text", ["A", "👋", "\u3164x", "1", "-", "מ", "é"])
    def test_something_can(self, text: str) -> None:
        assert visible(f" {text} ") == text


class TestSpellings:
    @pytest.mark.parametrize(
        ("shown", "written"),
        [
            ("551188880001@c.us", ["551188880001", "5511988880001"]),
            ("5511988880001@c.us", ["551188880001", "5511988880001"]),
            ("5215512345678@c.us", ["5215512345678", "525512345678"]),
            ("525512345678@c.us", ["5215512345678", "525512345678"]),
            ("541123456789@c.us", ["541123456789", "5491123456789"]),
            ("551133330001@c.us", ["551133330001"]),
            ("22997123456@c.us", ["2290197123456", "22997123456"]),
            ("2250708123456@c.us", ["2250708123456", "22508123456"]),
            ("2250701123456@c.us", ["2250701123456"]),
            ("182736451928374@lid", ["182736451928374"]),
            ("1234567@c.us", ["1234567@c.us"]),
        ],
    )
    def test_are_all_that_whatsapp_may_write(self, shown: str, written: list[str]) -> None:
        assert spellings(parsed(shown)) == written
