import pytest
from crm_dev.graph import only, tiers
from crm_dev.piece import Piece


def make_piece(name: str, *needs: str) -> Piece:
    return Piece(name=name, command=("true",), ready=None, needs=needs)


class TestTiers:
    def test_puts_every_piece_after_what_it_needs(self) -> None:
        pieces = [
            make_piece("api", "migrate", "broker"),
            make_piece("migrate", "database"),
            make_piece("broker"),
            make_piece("database"),
        ]
        names = [[piece.name for piece in tier] for tier in tiers(pieces)]
        assert names == [["broker", "database"], ["migrate"], ["api"]]

    def test_refuses_a_circle_and_names_it(self) -> None:
        with pytest.raises(ValueError, match="need each other"):
            tiers([make_piece("a", "b"), make_piece("b", "a")])

    def test_refuses_a_need_nobody_declares(self) -> None:
        with pytest.raises(ValueError, match="api needs database"):
            tiers([make_piece("api", "database")])

    def test_refuses_two_pieces_of_one_name(self) -> None:
        with pytest.raises(ValueError, match="share a name"):
            tiers([make_piece("api"), make_piece("api")])


class TestOnly:
    def test_keeps_the_named_and_what_they_need(self) -> None:
        pieces = [make_piece("database"), make_piece("migrate", "database"), make_piece("other")]
        assert [piece.name for piece in only(pieces, ["migrate"])] == ["database", "migrate"]

    def test_refuses_an_unknown_name(self) -> None:
        with pytest.raises(ValueError, match="no piece nobody"):
            only([make_piece("database")], ["nobody"])
