"""The command line every service has: `crm-<service> run | migrate | healthcheck | ...`."""

import argparse
import asyncio
import gc
import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

import uvicorn
from shared_events import topology
from shared_events.services import ServiceName

from service_kit import dead_letters, logs, relay, tracing
from service_kit.database import Database
from service_kit.service import Service
from service_kit.settings import ServiceSettings, load

# Longer than load balancers keep an idle connection, mostly 60 s: a request that they send while we
# close it would be lost.
_KEEP_ALIVE_SECONDS = 75
_QUEUES = {queue.name: queue for queue in topology.QUEUES}

Settings = TypeVar("Settings", bound=ServiceSettings)


def run_service(
    name: ServiceName, create: Callable[[Settings], Service], settings_type: type[Settings]
) -> None:
    """Entry point of a service's console script; exits non-zero with a reason when it cannot."""
    arguments = command_line(name).parse_args()
    settings = load(settings_type)
    logs.configure(name.schema, settings.log_level, human=sys.stdout.isatty())
    if arguments.command == "run":
        tracing.configure(name.name, settings.otel_exporter_otlp_endpoint)
        _serve(create(settings))
    elif arguments.command == "migrate":
        # Only this command needs Alembic's 11 MB.
        from service_kit import migrations, provisioning

        migrations.run_migrate(settings, package=name.package, schema=name.schema)
        provisioning.run_provision(settings, name)
    elif arguments.command == "asyncapi":
        from service_kit import asyncapi  # only this command needs FastStream's generator

        print(json.dumps(asyncapi.document(create(settings)), indent=2))  # noqa: T201
    elif arguments.command == "healthcheck":
        sys.exit(_healthcheck(settings))
    elif arguments.command == "redrive-outbox":
        print(asyncio.run(_redrive_outbox(settings, name.schema)))  # noqa: T201
    else:
        asyncio.run(_dead_letters(settings, arguments))


def command_line(name: ServiceName) -> argparse.ArgumentParser:
    """What a service's program understands."""
    parser = argparse.ArgumentParser(prog=f"crm-{name.name}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="serve until told to stop")
    commands.add_parser("migrate", help="bring schema and bus to this code's revision")
    commands.add_parser("healthcheck", help="print the local process's checks; exit 0 when ready")
    commands.add_parser("asyncapi", help="print what it says and hears on the bus")
    commands.add_parser("redrive-outbox", help="publish the parked outbox events again")
    _add_dlq(commands.add_parser("dlq", help="dead letters: look, send back, drop"), name)
    return parser


def _serve(service: Service) -> None:
    # What was imported stays for good: the collector need not walk it over and over.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        service.app,
        host=service.settings.server_host,
        port=service.settings.server_port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        proxy_headers=False,  # whose word to take is the gateway's to say
        timeout_graceful_shutdown=int(service.settings.shutdown_grace_seconds),
    )
    _Server(config, service).run()


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


async def _redrive_outbox(settings: ServiceSettings, schema: str) -> int:
    database = Database(settings.postgres_dsn, schema)
    await database.connect()
    try:
        return await relay.redrive(database)
    finally:
        await database.close()


def _add_dlq(parser: argparse.ArgumentParser, name: ServiceName) -> None:
    parser.add_argument("action", choices=["list", "show", "redrive", "drop"])
    queues = sorted(queue.name for queue in topology.queues_of(name))
    parser.add_argument("queue", choices=queues, help="the live queue's name")
    parser.add_argument("--id", help="the one letter with this message id")
    parser.add_argument("--reason", help="why they died")
    parser.add_argument("--tenant", help="whose they are")
    parser.add_argument("--type", help="the event's type")
    parser.add_argument("--older-than", type=float, metavar="SECONDS", help="dead for longer")
    parser.add_argument("--younger-than", type=float, metavar="SECONDS", help="dead for less")
    parser.add_argument("--limit", type=int, default=100, help="letters at most (100)")
    parser.add_argument("--rate", type=float, metavar="PER_SECOND", help="how fast to redrive")


async def _dead_letters(settings: ServiceSettings, asked: argparse.Namespace) -> None:
    """List, show and drop print a JSON document a line; redrive prints how many."""
    queue, limit = _QUEUES[asked.queue], asked.limit
    wanted = dead_letters.Wanted(
        message_id=asked.id,
        reason=asked.reason,
        tenant_id=asked.tenant,
        event_type=asked.type,
        older_than=asked.older_than,
        younger_than=asked.younger_than,
    )
    if asked.action == "redrive":
        done = await dead_letters.redrive(settings, queue, wanted, limit, rate=asked.rate)
        print(done)  # noqa: T201
        return
    if asked.action == "drop":
        documents = await dead_letters.drop(settings, queue, wanted, limit)
    else:
        letters = await dead_letters.look(settings, queue, wanted, limit)
        documents = [
            letter.whole() if asked.action == "show" else letter.summary() for letter in letters
        ]
    for document in documents:
        print(json.dumps(document))  # noqa: T201


def _healthcheck(settings: ServiceSettings) -> int:
    url = f"http://127.0.0.1:{settings.server_port}/health/ready"
    try:
        with urllib.request.urlopen(url, timeout=3) as response:
            ready, said = response.status == 200, response.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            ready, said = False, refusal.read().decode()
    except OSError as error:
        ready, said = False, f"nobody answers at {url}: {error}"
    print(said)  # noqa: T201
    return 0 if ready else 1
