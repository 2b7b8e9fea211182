"""A command of a service's program: what it is called, what it takes, what it does."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from shared_events.services import ServiceName

from service_kit import logs
from service_kit.service import Service
from service_kit.settings import ServiceSettings, load

Load = Callable[[], ServiceSettings]


class Operated:
    """The service that a command is about, by its settings; nothing is connected.

    Whatever is asked for first reads the environment, and raises ConfigurationError if it is unfit.
    """

    def __init__(
        self,
        name: ServiceName,
        create: Callable[[Any], Service],
        settings_type: type[ServiceSettings],
    ) -> None:
        self.name = name
        self.settings_type = settings_type
        self._create = create
        self._settings: ServiceSettings | None = None

    @property
    def settings(self) -> ServiceSettings:
        """Its settings; from then on it logs as they say."""
        if self._settings is None:
            self._settings = load(self.settings_type)
            level = self._settings.log_level
            logs.configure(self.name.schema, level, human=sys.stdout.isatty())
        return self._settings

    def service(self) -> Service:
        """The service, put together and not started."""
        return self._create(self.settings)


@dataclass(frozen=True, slots=True)
class Report:
    """What a command prints, line by line, and whether it went well: that is its exit code."""

    lines: tuple[str, ...] = ()
    ok: bool = True


def report(documents: Iterable[object], *, ok: bool = True) -> Report:
    """A report of JSON documents, one a line."""
    return Report(tuple(json.dumps(document, default=str) for document in documents), ok)


def takes_nothing(parser: ArgumentParser) -> None:
    """The arguments of a command that has none."""


@dataclass(frozen=True, slots=True)
class Command:
    """`words` are what is typed: one, or a group and one of its own."""

    words: tuple[str, ...]
    help: str
    act: Callable[[Operated, Namespace], Report]
    takes: Callable[[ArgumentParser], None] = takes_nothing
