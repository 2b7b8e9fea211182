"""Contact cards, as phones of many makes write them."""

import pytest
from crm_channels_waha.waha.cards import read_card, split_cards, write_card
from hypothesis import given
from hypothesis import strategies as st


class TestCards:
    def test_every_number_and_the_name_are_kept(self) -> None:
        card = (
            "BEGIN:VCARD\nVERSION:3.0\nN:;Borracharia;;;\nFN:Borracharia do Téo\n"
            "item1.TEL;waid=5519955550014:+55 19 95555-0014\nitem1.X-ABLabel:Celular\n"
            "TEL;type=WORK:+55 19 3333-0015\nEND:VCARD"
        )
        assert read_card(card) == {
            "name": "Borracharia do Téo",
            "phone": "5519955550014",
            "phones": ["5519955550014", "551933330015"],
        }

    def test_emails_are_kept_once_each_and_nothing_else_is_taken_for_one(self) -> None:
        lines = (
            *("EMAIL;type=INTERNET:teo@exemplo.com", "item1.EMAIL:mailto:vendas@exemplo.com"),
            *("EMAIL;PREF=1:teo@exemplo.com", "EMAIL:a combinar", "EMAIL:", f"EMAIL:{'x' * 300}@y"),
        )
        card = "\n".join(("BEGIN:VCARD", "FN:Téo", *lines, "END:VCARD"))
        assert read_card(card) == {
            "name": "Téo",
            "phone": None,
            "emails": ["teo@exemplo.com", "vendas@exemplo.com"],
        }

    def test_folded_lines_and_escapes_are_undone(self) -> None:
        card = (
            "BEGIN:VCARD\r\nFN:Clínica São José\\, Unidade\r\n  Centro\r\n"
            "TEL;type=CELL;type=VOICE;waid=5519955550\r\n 017:+55 19 95555-0017\r\nEND:VCARD"
        )
        assert read_card(card) == {
            "name": "Clínica São José, Unidade Centro",
            "phone": "5519955550017",
        }

    @pytest.mark.parametrize(
        ("line", "name"),
        [
            ("FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Jo=C3=A3o", "João"),
            ("FN;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:Jo=E3o", "João"),
            ("FN;CHARSET=X-NOBODY;ENCODING=QUOTED-PRINTABLE:Ana", "Ana"),
            ("fn:Ana", "Ana"),
            ("item2.FN;LANGUAGE=pt:Ana", "Ana"),
            ("FN:\nN:Souza;Ana;Maria;Dra.;", "Dra. Ana Maria Souza"),
            ("N:Souza", "Souza"),
            ("ORG:Padaria;Matriz", "Padaria"),
            ("NICKNAME:Nana\nORG:Padaria", "Nana"),
            ("X-WA-BIZ-NAME:Padaria", "Padaria"),
            ("FN:\u3164\nN:;Ana;;;", "Ana"),
            ("FN:Ana\u2028Maria", "Ana\u2028Maria"),
            ("FN:" + "a" * 300, "a" * 255),
            ("TITLE:Dra.", None),
        ],
    )
    def test_names_are_read_as_phones_write_them(self, line: str, name: str | None) -> None:
        assert read_card(f"BEGIN:VCARD\n{line}\nEND:VCARD")["name"] == name

    @pytest.mark.parametrize(
        ("line", "phone"),
        [
            ("TEL;TYPE=cell:tel:+55-19-95555-0014", "5519955550014"),
            ("tel:0800 123", "0800123"),
            ("TEL;WAID=5519955550014:", "5519955550014"),
            ('TEL;waid="5519955550014";type=CELL:+55 19', "5519955550014"),
            ("TEL;waid=:+55 19 95555-0014", "5519955550014"),
            ("TEL:+٩٦٦٥٠٧٠٥٨١٠٣", "966507058103"),
            ("TEL:+55\u00a019\u00a095555\u20110014", "5519955550014"),
            ("TEL;VALUE=uri:tel:+55-19-3333-0015;ext=12", "551933330015"),
            ("TEL:+55 19 3333-0015 ramal 12", "551933330015"),
            ("TEL:", None),
            ("X-TELEX:123", None),
        ],
    )
    def test_numbers_are_read_as_phones_write_them(self, line: str, phone: str | None) -> None:
        assert read_card(f"BEGIN:VCARD\n{line}\nEND:VCARD")["phone"] == phone

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_several_in_one_text_are_several(self, end: str) -> None:
        lines = ["begin:VCARD", "FN:Ana", "TEL:1234567", "END:VCARD"]
        lines += ["BEGIN:VCARD", "FN:Bia", "TEL:7654", " 321", "END:VCARD", ""]
        assert [read_card(card) for card in split_cards(end.join(lines))] == [
            {"name": "Ana", "phone": "1234567"},
            {"name": "Bia", "phone": "7654321"},
        ]

    @given(st.text())
    def test_of_any_text_hold_nothing_up(self, card: str) -> None:
        assert set(read_card(card)) <= {"name", "phone", "phones"}

    @given(st.text("aé,;:\\\\ \\n=", min_size=1).filter(lambda name: name.strip()))
    def test_a_card_of_ours_reads_as_it_was_written(self, name: str) -> None:
        phones = ["5511988880001", "551932120001"]
        read = read_card(write_card(name, phones))
        assert read == {"name": " ".join(name.split()), "phone": phones[0], "phones": phones}
