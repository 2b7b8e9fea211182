import json
import os
import stat
from pathlib import Path

from crm_dev.process import birth
from crm_dev.screen import age
from crm_dev.state import Addresses, PieceState, StackState


def make_state(**overrides: object) -> StackState:
    born = birth(os.getpid())
    assert born is not None
    state = StackState(
        phase="up",
        supervisor_pid=os.getpid(),
        supervisor_born=born,
        addresses=Addresses(gateway_url="http://here", database_urls={"contacts": "postgresql://"}),
        pieces=[PieceState(name="contacts", port=8081, pid=os.getpid(), born=born)],
    )
    for name, value in overrides.items():
        setattr(state, name, value)
    return state


class TestStackState:
    def test_comes_back_from_disk_as_it_was(self, tmp_path: Path) -> None:
        make_state().save(tmp_path / "state.json")
        assert StackState.load(tmp_path / "state.json") == make_state()

    def test_shows_addresses_at_the_top_level(self, tmp_path: Path) -> None:
        make_state().save(tmp_path / "state.json")
        document = json.loads((tmp_path / "state.json").read_text())
        assert document["gateway_url"] == "http://here"
        assert document["database_urls"] == {"contacts": "postgresql://"}

    def test_is_read_as_an_older_version_wrote_it(self, tmp_path: Path) -> None:
        path = tmp_path / "state.json"
        make_state().save(path)
        document = json.loads(path.read_text())
        del document["gateway_urls"]
        path.write_text(json.dumps(document))
        assert StackState.load(path) == make_state()

    def test_is_readable_by_its_owner_only(self, tmp_path: Path) -> None:
        make_state().save(tmp_path / "state.json")
        assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600

    def test_is_none_when_no_stack_was_started(self, tmp_path: Path) -> None:
        assert StackState.load(tmp_path / "state.json") is None

    def test_trusts_a_pid_only_with_its_birth(self) -> None:
        assert make_state().supervised
        assert not make_state(supervisor_born=1).supervised


class TestAge:
    def test_says_dash_for_never(self) -> None:
        assert age(None) == "-"
