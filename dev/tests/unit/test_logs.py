from pathlib import Path

from crm_dev.logs import follow, prefixed, tail


class TestFollow:
    def test_yields_whole_lines_with_their_piece(self, tmp_path: Path) -> None:
        (tmp_path / "contacts.log").write_text("one\ntwo\nhalf a li")
        lines = list(follow(tmp_path, None, from_start=True, until=lambda: True))
        assert lines == [("contacts", "one"), ("contacts", "two")]

    def test_skips_what_was_written_before_when_asked(self, tmp_path: Path) -> None:
        (tmp_path / "contacts.log").write_text("old\n")
        assert not list(follow(tmp_path, "contacts", from_start=False, until=lambda: True))


class TestTail:
    def test_returns_the_last_lines(self, tmp_path: Path) -> None:
        (tmp_path / "a.log").write_text("1\n2\n3\n")
        assert tail(tmp_path / "a.log", 2) == ["2", "3"]

    def test_is_empty_without_a_file(self, tmp_path: Path) -> None:
        assert tail(tmp_path / "a.log", 2) == []


class TestPrefixed:
    def test_is_plain_without_colour(self) -> None:
        assert prefixed("gateway", "ready", colour=False).split() == ["gateway", "|", "ready"]
