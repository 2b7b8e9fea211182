"""The command line every service has: `crm-<service> run | migrate | healthcheck | ...`."""

import argparse
import gc
import json
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn, TypeVar

import asyncpg
import uvicorn
from aio_pika.exceptions import AMQPError
from shared_events.services import ServiceName

from service_kit import tracing
from service_kit.http_bounds import BoundedHttp
from service_kit.operating import configuration, doctor, keys, letters, parked
from service_kit.operating.command import Command, Operated, Report
from service_kit.service import Service
from service_kit.settings import ServiceSettings

# Longer than load balancers keep an idle connection, mostly 60 s: a request that they send while we
# close it would be lost.
_KEEP_ALIVE_SECONDS = 75
LISTENERS = 16
"""New connections that a process takes in one turn of its loop."""
_AWAY = (OSError, asyncpg.PostgresError, AMQPError)
_GROUPS = {
    "config": "settings: what they are, what is wrong with them",
    "outbox": "events that could not be published",
    "dlq": "dead letters: messages that could not be applied",
    "keys": "secrets: draw them, turn them",
}

Settings = TypeVar("Settings", bound=ServiceSettings)


def run_service(
    name: ServiceName,
    create: Callable[[Settings], Service],
    settings_type: type[Settings],
    commands: Sequence[Command] = (),
) -> NoReturn:
    """Entry point of a service's console script; exits non-zero with a reason when it cannot.

    `commands` are those that no other service has.
    """
    arguments = command_line(name, commands).parse_args()
    operated = Operated(name, create, settings_type)
    try:
        report = arguments.command.act(operated, arguments)
    except _AWAY as error:
        sys.exit(f"{type(error).__name__}: {error}\n`crm-{name.name} doctor` says what is away")
    for line in report.lines:
        print(line)  # noqa: T201
    sys.exit(0 if report.ok else 1)


def command_line(name: ServiceName, commands: Sequence[Command] = ()) -> argparse.ArgumentParser:
    """What a service's program understands."""
    parser = argparse.ArgumentParser(
        prog=f"crm-{name.name}",
        description=f"The service {name.name}, and what its operators do to it.",
        epilog="Settings come from the environment; docs/operations.md says what to do when.",
    )
    top = parser.add_subparsers(dest="word", required=True, metavar="command")
    groups: dict[str, Any] = {}
    every = (*_PLAIN, *configuration.commands(), *doctor.commands(), *parked.commands())
    for command in (*every, *letters.commands(name), *keys.commands(), *commands):
        place = top
        if len(command.words) > 1:
            group = command.words[0]
            if group not in groups:
                about = _GROUPS.get(group, command.help)
                told = top.add_parser(group, help=about, description=about)
                groups[group] = told.add_subparsers(required=True, metavar="command")
            place = groups[group]
        word = command.words[-1]
        own = place.add_parser(word, help=command.help, description=command.help)
        command.takes(own)
        own.set_defaults(command=command)
    return parser


def _run(operated: Operated, asked: argparse.Namespace) -> Report:
    del asked
    tracing.configure(operated.name.name, operated.settings.otel_exporter_otlp_endpoint)
    _serve(operated.service())
    return Report()


def _migrate(operated: Operated, asked: argparse.Namespace) -> Report:
    del asked
    # Only this command needs Alembic's 11 MB.
    from service_kit import migrations, provisioning

    name = operated.name
    migrations.run_migrate(operated.settings, package=name.package, schema=name.schema)
    provisioning.run_provision(operated.settings, name)
    return Report()


def _asyncapi(operated: Operated, asked: argparse.Namespace) -> Report:
    del asked
    from service_kit import asyncapi  # only this command needs FastStream's generator

    return Report((json.dumps(asyncapi.document(operated.service()), indent=2),))


def _healthcheck(operated: Operated, asked: argparse.Namespace) -> Report:
    del asked
    url = f"http://127.0.0.1:{operated.settings.server_port}/health/ready"
    try:
        with urllib.request.urlopen(url, timeout=3) as response:
            return Report((response.read().decode(),), response.status == 200)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Report((refusal.read().decode(),), ok=False)
    except OSError as error:
        return Report((f"nobody answers at {url}: {error}",), ok=False)


_PLAIN = (
    Command(("run",), "serve until told to stop", _run),
    Command(("migrate",), "bring schema and bus to this code's revision", _migrate),
    Command(("healthcheck",), "print the local process's checks; exit 0 when ready", _healthcheck),
    Command(("asyncapi",), "print what it says and hears on the bus", _asyncapi),
)


def _serve(service: Service) -> None:
    # What was imported stays for good: the collector need not walk it over and over.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        service.app,
        host=service.settings.server_host,
        port=service.settings.server_port,
        loop="uvloop",
        http=BoundedHttp,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        proxy_headers=False,  # whose word to take is the gateway's to say
        timeout_graceful_shutdown=int(service.settings.shutdown_grace_seconds),
    )
    _Server(config, service).run(listeners(config.bind_socket()))


def listeners(listening: socket.socket) -> list[socket.socket]:
    """The same socket several times: at each, libuv takes one connection a turn of the loop. With
    one alone, new connections wait for seconds when turns are long."""
    return [listening, *(listening.dup() for _ in range(LISTENERS - 1))]


class _Server(uvicorn.Server):
    """Says that it stops before it refuses connections, so that load balancers look elsewhere.

    uvicorn closes its sockets first and tells the application after that. A second signal ends the
    waiting.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._draining: threading.Timer | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        seconds = self._service.settings.drain_seconds
        self._service.health.draining = True
        if seconds and self._draining is None:
            self._draining = threading.Timer(seconds, super().handle_exit, (sig, frame))
            self._draining.daemon = True
            self._draining.start()
            return
        if self._draining is not None:
            self._draining.cancel()
        super().handle_exit(sig, frame)
