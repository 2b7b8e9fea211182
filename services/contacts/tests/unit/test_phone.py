import pytest
from crm_contacts.contacts.phone import parse_phone
from service_kit.errors import InvalidError


class TestParsePhone:
    @pytest.mark.parametrize(
        ("typed", "value"),
        [
            ("(11) 98888-0001", "5511988880001"),
            ("+55 11 98888 0001", "5511988880001"),
            ("5511988880001", "5511988880001"),
            ("011 98888-0001", "5511988880001"),
            ("+1 415 555 2671", "14155552671"),
            ("0055 11 98888-0001", "5511988880001"),
            ("001 415 555 2671", "14155552671"),
            ("+52 1 55 7111 7576", "525571117576"),  # as WhatsApp shows it to us
            ("00521 55 7111 7576", "525571117576"),
            ("+54 11 15-4321-5678", "5491143215678"),
            ("+54 9 11 4321-5678", "5491143215678"),
            ("+54 11 4321-5678", "5491143215678"),
            ("+٥٢١٥٥٧١١١٧٥٧٦", "525571117576"),
            ("5215571117576", "525571117576"),
            ("5491143215678", "5491143215678"),
            ("+52 044 55 7111 7576", "525571117576"),
            ("+52 01 55 7111 7576", "525571117576"),
            ("\u202a+55 11 98888-0001\u202c", "5511988880001"),  # as copied from an address book
            ("+55\u00a011\u00a098888\u20110001", "5511988880001"),
            ("tel:+55-11-98888-0001", "5511988880001"),
            ("+54 9 11 15 4321-5678", "5491143215678"),
            ("+54 9 (0341) 15 555-1234", "5493415551234"),
            ("+54 9 11 1512-3456", "5491115123456"),
            ("+229 97 12 34 56", "2290197123456"),  # of before November 2024
            ("+229 01 97 12 34 56", "2290197123456"),
            ("+225 08 12 34 56", "2250708123456"),  # of before 2021
        ],
    )
    def test_reads_what_people_type(self, typed: str, value: str) -> None:
        assert parse_phone(typed, "BR").value == value

    def test_gives_an_old_brazilian_mobile_its_ninth_digit(self) -> None:
        assert parse_phone("(11) 8888-0001", "BR").phone == "+5511988880001"

    def test_leaves_a_landline_alone(self) -> None:
        assert parse_phone("(11) 3333-0001", "BR").phone == "+551133330001"

    def test_takes_the_region_of_the_settings(self) -> None:
        assert parse_phone("415 555 2671", "US").value == "14155552671"

    @pytest.mark.parametrize(
        ("typed", "region", "value"),
        [
            ("97 12 34 56", "BJ", "2290197123456"),
            ("01 97 12 34 56", "BJ", "2290197123456"),
            ("41123456", "CI", "2250141123456"),
            ("044 55 7111 7576", "MX", "525571117576"),
            ("01 55 7111 7576", "MX", "525571117576"),
        ],
    )
    def test_takes_what_was_dialled_at_home_before_a_plan_changed(
        self, typed: str, region: str, value: str
    ) -> None:
        assert parse_phone(typed, region).value == value

    @pytest.mark.parametrize("typed", ["hello", "12", "+55 11", "1" * 30, "\x00\x00\x00\x00"])
    def test_refuses_the_impossible(self, typed: str) -> None:
        with pytest.raises(InvalidError) as refused:
            parse_phone(typed, "BR")
        (error,) = refused.value.problem.errors
        assert (error.pointer, error.code) == ("/phone", "invalid_phone")
        assert "+55" in error.message
