"""Files as rows, headers as columns, cells as values; and lines that are safe in a spreadsheet."""

import csv
import io
import tracemalloc
import zipfile
from datetime import UTC, datetime
from tempfile import TemporaryFile

import pytest
from crm_contacts.contacts.phone import parse_phone
from crm_contacts.custom_fields.models import CustomField
from crm_contacts.exports import masking
from crm_contacts.imports import reading
from crm_contacts.imports.columns import targets
from crm_contacts.imports.reading import Row, in_batches, read
from crm_contacts.imports.wanted import Reader, RowError, Wanted
from crm_contacts.jobs import csv_text
from crm_testing.scenes.files import workbook
from openpyxl import Workbook
from openpyxl.xml.constants import SHARED_STRINGS
from service_kit.errors import InvalidError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def defined(key: str, label: str, kind: str = "text") -> CustomField:
    return CustomField.model_construct(
        key=key, label=label, type=kind, required=False, options=[], position=0
    )


def rows_of(content: bytes) -> list[Row]:
    return list(read(io.BytesIO(content)))


def sharing(text: str, where: str) -> bytes:
    """An XLSX file whose only cell shares a text that lies there."""
    made, sheets = io.BytesIO(), 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    cell = '<sheetData><row r="1"><c r="A1" t="s"><v>0</v></c></row></sheetData>'
    parts = {
        "xl/worksheets/sheet1.xml": f"<worksheet {sheets}>{cell}</worksheet>",
        where: f"<sst {sheets}><si><t>{text}</t></si></sst>",
    }
    with (
        zipfile.ZipFile(io.BytesIO(workbook(["fone"]))) as plain,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in {*plain.namelist()} - parts.keys() - {"xl/theme/theme1.xml"}:
            told = plain.read(name).decode()
            kind = f'<Override PartName="/{where}" ContentType="{SHARED_STRINGS}"/></Types>'
            archive.writestr(name, told.replace("</Types>", kind))
        for name, part in parts.items():
            archive.writestr(name, part)
    return made.getvalue()


class TestReading:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_takes_usual_encodings_and_separators(self, encoding: str, separator: str) -> None:
        text = separator.join(["Nome", '"a,b;c\td,"', "É"]) + "\r\n\r\n"
        text += separator.join(["João", '"x\ny"', "'=1", "", ""]) + "\n"
        assert rows_of(text.encode(encoding)) == [
            Row(1, ["Nome", "a,b;c\td,", "É"]),
            Row(3, ["João", "x\ny", "=1"]),
        ]

    @pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
    def test_takes_the_unicode_text_of_spreadsheets(self, order: str) -> None:
        content = "\ufeffNome\tTelefone\r\nJosé \0😀\t11 98888-0001\r\n".encode(order)
        assert [row.cells for row in rows_of(content)] == [
            ["Nome", "Telefone"],
            ["José 😀", "11 98888-0001"],
        ]

    @pytest.mark.parametrize("said", ["sep=;", '"sep=;"', "SEP=;"])
    def test_passes_over_the_line_by_which_excel_is_told_the_separator(self, said: str) -> None:
        content = f"{said}\r\nnome;telefone\r\nJosé;1\r\n".encode()
        assert [row.cells for row in rows_of(content)] == [["nome", "telefone"], ["José", "1"]]

    def test_takes_headers_behind_lines_of_nothing(self) -> None:
        assert rows_of(b"\r\n  \r\nNome,Fone\r\nEva,1\r\n") == [
            Row(3, ["Nome", "Fone"]),
            Row(4, ["Eva", "1"]),
        ]

    def test_takes_spreadsheets_as_they_are_typed(self) -> None:
        rows = rows_of(workbook(["fone", None, "b"], [], [5511988880001, 1.5, True, NOW.date()]))
        assert rows == [
            Row(1, ["fone", "", "b"]),
            Row(3, ["5511988880001", "1.5", "true", "2026-01-02"]),
        ]

    def test_refuses_what_unpacks_to_too_much(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "_MAX_UNPACKED", 1000)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/workbook.xml", b"0" * 1001)
        with pytest.raises(InvalidError, match="file_too_large"):
            rows_of(packed.getvalue())

    def test_refuses_texts_that_would_fill_the_memory(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = workbook(["fone"], [5511988880001])
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            beside = sum(
                one.file_size for one in archive.infolist() if "sheets/" not in one.filename
            )
        monkeypatch.setattr(reading, "_MAX_BESIDE_ROWS", beside)
        assert len(rows_of(content)) == 2
        monkeypatch.setattr(reading, "_MAX_BESIDE_ROWS", beside - 1)
        with pytest.raises(InvalidError, match="file_too_large"):
            rows_of(content)

    @pytest.mark.parametrize("where", ["xl", "xl/worksheets"])
    def test_refuses_them_wherever_they_lie(
        self, monkeypatch: pytest.MonkeyPatch, where: str
    ) -> None:
        content = sharing("x" * 10_000, f"{where}/sharedStrings.xml")
        assert rows_of(content) == [Row(1, ["x" * 10_000])]
        monkeypatch.setattr(reading, "_MAX_BESIDE_ROWS", 20_000)
        assert rows_of(content) == [Row(1, ["x" * 10_000])]
        monkeypatch.setattr(reading, "_MAX_BESIDE_ROWS", 10_000)
        with pytest.raises(InvalidError, match="file_too_large"):
            rows_of(content)

    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_holds_a_few_rows_of_a_file_and_never_all(self, kind: str) -> None:
        cells = ["a" * 1000, "b" * 1000]
        with TemporaryFile() as file:
            if kind == "csv":
                file.writelines(f"{n},{','.join(cells)}\n".encode() for n in range(4000))
            else:
                book = Workbook(write_only=True)
                sheet = book.create_sheet()
                for n in range(4000):
                    sheet.append([n, *cells])
                book.save(file)
            tracemalloc.start()
            try:
                assert sum(len(batch) for batch in in_batches(read(file), 10)) == 4000
                assert tracemalloc.get_traced_memory()[1] < 2_000_000  # of eight
            finally:
                tracemalloc.stop()

    def test_tells_utf8_wherever_a_letter_is_cut(self) -> None:
        for before in range(3):
            for encoding in ("utf-8", "cp1252"):
                text = "a" * (reading.SNIFFED - before) + "€é"
                cells = [text[at : at + 9000] for at in range(0, len(text), 9000)]
                assert rows_of(",".join(cells).encode(encoding)) == [Row(1, cells)]
        assert rows_of("a,é".encode()[:-1]) == [Row(1, ["a", "Ã"])]

    def test_refuses_too_many_columns(self) -> None:
        assert len(rows_of(b"a," * (reading.MAX_COLUMNS - 1) + b"a")) == 1
        with pytest.raises(InvalidError, match="too_many_columns"):
            rows_of(b"a," * reading.MAX_COLUMNS + b"a")

    def test_gives_rows_in_batches(self) -> None:
        rows = [Row(n, ["x"]) for n in range(5)]
        assert [len(batch) for batch in in_batches(iter(rows), 2)] == [2, 2, 1]
        assert [len(batch) for batch in in_batches(iter(rows[:4]), 2)] == [2, 2]


class TestColumns:
    def test_are_known_by_their_headers(self) -> None:
        headers = ["NOME COMPLETO", "E-mail", "Número", "Celular", "Etiquetas", "cpf", "Cor", "x"]
        definitions = [defined("cpf", "C.P.F."), defined("color", "Cor"), defined("tag", "Tag")]
        assert targets(headers, None, definitions) == [
            *("name", "email", "phone", None, "tags", "custom_fields.cpf"),
            *("custom_fields.color", None),
        ]

    def test_are_what_a_mapping_says(self) -> None:
        headers = ["Nome", "Celular", "Obs"]
        mapping = {"NOME": None, "Obs": "name"}
        assert targets(headers, mapping, []) == [None, "phone", "name"]
        assert targets(headers, {"Obs": "name"}, []) == [None, "phone", "name"]
        assert targets(["Obs", *headers], {"Obs": "tags"}, []) == ["tags", "name", "phone", None]
        with pytest.raises(InvalidError, match="unknown_column"):
            targets(headers, {"Nomes": "name"}, [])
        with pytest.raises(InvalidError, match="same_target"):
            targets(headers, {"Obs": "name", "Nome": "name"}, [])


class TestValues:
    def test_are_read_as_their_fields_have_them(self) -> None:
        kinds = {"n": "number", "d": "number", "b": "boolean", "m": "multi_select", "t": "date"}
        definitions = {key: defined(key, key, kind) for key, kind in kinds.items()}
        named = [f"custom_fields.{key}" for key in kinds]
        reader = Reader(list(kinds), named, definitions, lambda text: parse_phone(text, "BR"))
        cells = ["41", "1,5", "Não", "a; b,c", "2026-01-31"]
        wanted, errors = list[Wanted](), list[RowError]()
        reader.read([Row(2, cells), Row(3, ["inf", "x", "talvez"])], wanted, errors)
        assert not errors
        assert wanted[0].custom_fields == {
            **{"n": 41, "d": 1.5, "b": False},
            **{"m": ["a", "b", "c"], "t": "2026-01-31"},
        }
        assert wanted[1].custom_fields == {"n": "inf", "d": "x", "b": "talvez"}


class TestLines:
    @pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1"])
    def test_hold_no_formula(self, cell: str) -> None:
        assert csv_text.neutral(cell) == f"'{cell}"

    @pytest.mark.parametrize("cell", ["+5511988880001", "-1.5", "a=1", "", "'=1"])
    def test_leave_texts_and_numbers_alone(self, cell: str) -> None:
        assert next(csv.reader([csv_text.lines([[cell, "x"]])]))[0] == cell


class TestMasks:
    def test_show_the_ends(self) -> None:
        assert masking.phone("+5511988880001") == "+55*******0001"
        assert masking.phone("1234567") == "*******"
        assert masking.email("maria@example.com") == "m***@example.com"
