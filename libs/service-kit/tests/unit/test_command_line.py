import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from service_kit.main import command_line
from service_kit.operating import installed
from shared_events.services import CONTACTS, MESSAGING, SERVICES

COMMANDS = (
    *("run", "migrate", "healthcheck", "asyncapi", "doctor", "config check"),
    *(
        "outbox list",
        "outbox redrive",
        "keys new",
        "keys new --ed25519",
        "keys check",
        "keys rotate",
    ),
    "dlq list contacts.erasures",
    "dlq redrive contacts.erasures --rate 5 --limit 3",
    "dlq drop contacts.erasures --older-than 60",
    "outbox replay --since 2026-01-31T03:00:00+00:00",
)


class TestCommandLine:
    @pytest.mark.parametrize("typed", COMMANDS)
    def test_understands(self, typed: str) -> None:
        words = typed.split()
        command = command_line(CONTACTS).parse_args(words).command
        assert list(command.words) == words[: len(command.words)]
        assert command.help

    @pytest.mark.parametrize(
        "typed",
        ["", "outbox", "keys", "outbox replay", "dlq list nobodys.queue", "ledger distrust"],
    )
    def test_refuses_what_says_too_little_or_is_anothers(
        self, typed: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as refused:
            command_line(CONTACTS).parse_args(typed.split())
        assert refused.value.code == 2
        assert "usage: crm-contacts" in capsys.readouterr().err


class TestInstalled:
    @pytest.fixture
    def here(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
        """These services' programs are installed, and write down what they were called with."""

        def install(*names: str) -> list[list[str]]:
            called: list[list[str]] = []

            def found(*, group: str, name: str) -> list[Any]:
                assert group == "console_scripts"
                there = name.removeprefix("crm-") in names
                return [EntryPoint(name, "x:y", group)] if there else []

            monkeypatch.setattr(installed, "entry_points", found)
            monkeypatch.setattr(EntryPoint, "load", lambda _: lambda: called.append(list(sys.argv)))
            return called

        return install

    def run(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
        monkeypatch.setattr("sys.argv", ["crm", *words])
        with pytest.raises(SystemExit) as ended:
            installed.main()
        return ended.value.code

    def test_of_several_one_is_named(
        self, here: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        called = here("contacts", "messaging")
        assert self.run(monkeypatch, "messaging", "outbox", "list") == 0
        assert self.run(monkeypatch, "doctor") == 2
        assert called == [[f"crm-{MESSAGING.name}", "outbox", "list"]]

    def test_a_single_one_needs_no_name(
        self, here: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        called = here("contacts")
        assert self.run(monkeypatch, "doctor") == 0
        assert self.run(monkeypatch, "contacts", "doctor") == 0
        assert called == [["crm-contacts", "doctor"]] * 2

    def test_help_says_what_there_is(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, "--help") == 0
        said = capsys.readouterr().out
        assert all(service.name in said for service in SERVICES)
        for word in ("doctor", "config", "outbox", "dlq", "keys", "erase", "distrust"):
            assert word in said
