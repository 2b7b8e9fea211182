"""A platform for one measurement, from nothing and down again."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crm_dev import commands
from crm_dev.state import StackState


@contextmanager
def running(name: str, port_base: str) -> Iterator[Path]:
    """Bring it up under `.dev/<name>`, on ports of its own; gives the directory of its state.

    Exits with 1 when it does not come up; what is wrong was printed then.
    """
    os.environ.setdefault("CRM_PORT_BASE", port_base)
    directory = Path(os.environ.get("CRM_DEV_DIR") or ".dev").absolute() / name
    if directory.exists():
        commands.down(directory)
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    try:
        if commands.up(directory, [], foreground=False) != 0:
            raise SystemExit(1)
        yield directory
    finally:
        commands.down(directory)


def state_of(directory: Path) -> StackState:
    """Where its pieces are; raises FileNotFoundError when nothing runs."""
    state = StackState.load(directory / "state.json")
    if state is None:
        raise FileNotFoundError(directory / "state.json")
    return state
