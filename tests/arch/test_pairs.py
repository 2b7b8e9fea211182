"""A handler fits its request and its reply, and mypy proves it: a wrong pair fails `make check`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAD = """
from collections.abc import Sequence
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.service import Service
from shared_events import topology
from shared_events.contacts.contact import (
    Contact, ContactCreated, ContactDeleted, CreateContact, GetContact, ListContacts)
from shared_events.requests import Page

async def get(tx: Transaction, request: GetContact, call: Call) -> Contact: ...
async def page(tx: Transaction, request: ListContacts, call: Call) -> Page[Contact]: ...
async def hear(tx: Transaction, events: Sequence[Event[ContactCreated]]) -> None: ...

def add_to(service: Service) -> None:
"""
FITS = (
    "service.answer(GetContact, get)",
    "service.answer(ListContacts, page)",
    "service.on(topology.MESSAGING_REPLICAS, ContactCreated, hear)",
)
WRONG = (
    "service.answer(CreateContact, get)",  # another request
    "service.answer(ListContacts, get)",  # another request and another reply
    "service.answer(GetContact, page)",
    "service.on(topology.MESSAGING_REPLICAS, ContactDeleted, hear)",  # another event
    "service.answer(GetContact, hear)",  # no handler of requests at all
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Whether mypy, as strict as `make check`, takes each pair: one run for all of them."""
    folder = tmp_path_factory.mktemp("pairs")
    files = {}
    for number, pair in enumerate((*FITS, *WRONG)):
        files[pair] = folder / f"pair_{number}.py"
        handlers = HEAD.replace(": ...", ":\n    raise AssertionError")
        files[pair].write_text(f"{handlers}    {pair}\n")
    mypy = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    run = subprocess.run(
        [*mypy, *map(str, files.values())], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return {pair: f"{path.name}:" not in run.stdout for pair, path in files.items()}


class TestPairs:
    @pytest.mark.parametrize("pair", FITS)
    def test_that_fit_are_taken(self, judged: dict[str, bool], pair: str) -> None:
        assert judged[pair]

    @pytest.mark.parametrize("pair", WRONG)
    def test_that_do_not_fit_are_refused(self, judged: dict[str, bool], pair: str) -> None:
        assert not judged[pair]
