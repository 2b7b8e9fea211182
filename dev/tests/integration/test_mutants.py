import shlex
import sys
import time
from pathlib import Path

import pytest
from crm_dev import mutants

MODULE = """from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    most: int | None

    def allows(self, count: int) -> bool:
        return self.most is None or count < self.most
"""
WATCHED = "assert Limit(None).allows(9) and Limit(3).allows(2) and not Limit(3).allows(3)"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "limits").mkdir()
    (tmp_path / "limits" / "limit.py").write_text(MODULE)
    (tmp_path / "limits" / "models.py").write_text("most = 3\n")
    monkeypatch.chdir(tmp_path)
    return Path()


def command(test: str) -> str:
    """A test run that Python's cache of compiled modules cannot deceive."""
    return shlex.join([sys.executable, "-B", "-c", f"from limits.limit import Limit; {test}"])


class TestMutants:
    def test_that_change_what_a_test_looks_at_are_killed(self, source: Path) -> None:
        chosen = mutants.sample(source, ["limits"], 50, 1)
        score = mutants.trial(chosen, command(WATCHED), time.monotonic() + 600)

        assert score.tried == len(chosen) >= 5
        assert len(score.survivors) < score.tried / 3

    def test_that_nothing_looks_at_survive_and_are_shown(self, source: Path) -> None:
        chosen = mutants.sample(source, ["limits"], 50, 1)
        score = mutants.trial(chosen, command("assert Limit"), time.monotonic() + 600)

        assert len(score.survivors) == score.tried == len(chosen)
        assert any("<=" in survivor for survivor in score.survivors)
        assert str(score).endswith(f"0 of {score.tried} mutants killed: 0 %")
        assert (source / "limits" / "limit.py").read_text() == MODULE

    def test_leave_out_what_only_describes(self, source: Path) -> None:
        chosen = mutants.sample(source, [], 50, 1)
        lines = {item.mutations[0].start_pos[0] for item in chosen}

        assert {item.mutations[0].module_path.name for item in chosen} == {"limit.py"}
        assert lines == {9}

    def test_are_not_tried_where_the_tests_fail_by_themselves(self, source: Path) -> None:
        chosen = mutants.sample(source, ["limits"], 1, 1)

        with pytest.raises(RuntimeError, match="fail without a mutant"):
            mutants.trial(chosen, command("assert False"), time.monotonic() + 600)
