"""The whole platform on one page: which pieces there are and what each is told.

A set DATABASE_URL (an administrator's), RABBITMQ_URL or TEMPORAL_ADDRESS takes the place of our
own server, which is then only asked whether it is there. CRM_REPLICAS says how many processes of
each service there are (`crm_dev.replicas`); a service's processes differ in nothing but their port.
CRM_OBSERVE has Prometheus watch all of it (`crm_dev.prometheus`).
"""

import functools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from shared_events.definitions import bus, together, user
from shared_events.services import SERVICES

from crm_dev import credentials, prometheus, replicas
from crm_dev.credentials import Credentials
from crm_dev.piece import Piece
from crm_dev.ports import SERVICE_OFFSETS, PortBlock
from crm_dev.postgres import postgres
from crm_dev.probes import answers_amqp, answers_http, answers_sql, answers_tcp
from crm_dev.rabbitmq import RabbitPorts, rabbitmq
from crm_dev.state import Addresses
from crm_dev.temporal import NAMESPACE, TemporalPorts, temporal

DATABASE = "ventros_crm"
BEHIND_THE_QUEUES = 5
"""The `nice` of services that queues wait for: a third of the gateway's weight (docs/adr/0010)."""


@dataclass(frozen=True)
class Stack:
    """Declared pieces with the addresses at which they will be found."""

    pieces: tuple[Piece, ...]
    addresses: Addresses


def declare(directory: Path, environment: Mapping[str, str]) -> Stack:
    """Declare the stack that keeps its state in `directory`, as `environment` asks for it.

    Raises PieceMissingError or ValueError when that cannot be had.
    """
    ports = PortBlock.from_environment(environment)
    counts = replicas.read(environment.get("CRM_REPLICAS", ""))
    secrets = credentials.load_or_create(directory / "secrets.json")
    programs = Path(environment.get("CRM_PROGRAMS") or Path(sys.executable).parent)
    observed = prometheus.folder(environment.get("CRM_OBSERVE", ""))
    shown = ports.rabbitmq_metrics if observed else None
    servers = (
        _database(directory, ports, secrets, environment.get("DATABASE_URL")),
        _broker(directory, ports, secrets, environment.get("RABBITMQ_URL"), shown),
        _workflows(directory, ports, environment.get("TEMPORAL_ADDRESS")),
    )
    database, broker, workflows = servers
    ours = bool(workflows.command) and not workflows.missing
    gateways = [_http(ports.service("gateway", n)) for n in range(1, counts["gateway"] + 1)]
    addresses = Addresses(
        gateway_url=gateways[0],
        gateway_urls=gateways,
        database_url=_in_database(database.url),
        database_urls={
            name: _in_database(database.url, _role(name), secrets.service_database_password)
            for name in SERVICE_OFFSETS
        },
        amqp_url=broker.url,
        amqp_urls={
            service.name: _as_user(broker.url, service.bus_user, secrets.bus_password(service.name))
            if broker.command
            else broker.url
            for service in SERVICES
        },
        temporal_address=workflows.url,
        temporal_ui_url=_http(ports.temporal_ui) if ours else "",
        console_url=_http(ports.console),
        waha_url=_http(ports.waha),
        prometheus_url=_http(ports.prometheus) if observed else "",
    )
    services = [
        piece
        for name in SERVICE_OFFSETS
        for piece in _service(
            name, directory, counts, ports, secrets, database.url, addresses, programs
        )
    ]
    console = _console(ports.console, secrets, addresses, programs)
    simulator = _simulator(ports.waha, programs)
    pieces = [*servers, *services, console, simulator]
    if observed:
        targets = {
            name: [ports.service(name, n) for n in range(1, counts[name] + 1)]
            for name in SERVICE_OFFSETS
        }
        targets["rabbitmq"] = [ports.rabbitmq_metrics] if broker.command else []
        home = directory / "prometheus"
        pieces.append(prometheus.prometheus(home, ports.prometheus, observed, targets))
    return Stack(tuple(pieces), addresses)


def _database(directory: Path, ports: PortBlock, secrets: Credentials, url: str | None) -> Piece:
    if url:
        return Piece("postgres", (), functools.partial(answers_sql, url), url=url)
    return postgres(directory / "postgres", ports.postgres, secrets.postgres_password)


def _broker(
    directory: Path, ports: PortBlock, secrets: Credentials, url: str | None, metrics: int | None
) -> Piece:
    if url:
        parts = urlsplit(url)
        port, host = parts.port or 5672, parts.hostname or "localhost"
        return Piece(
            "rabbitmq",
            (),
            functools.partial(answers_amqp, port, host),
            healthy=functools.partial(answers_tcp, port, host),
            url=url,
        )
    own = RabbitPorts(ports.amqp, ports.erlang, ports.epmd, metrics=metrics)
    users = (user("/", service, secrets.bus_password(service.name)) for service in SERVICES)
    definitions = together([bus("/"), *users])
    return rabbitmq(directory / "rabbitmq", own, secrets.rabbitmq_password, definitions)


def _workflows(directory: Path, ports: PortBlock, address: str | None) -> Piece:
    if address:
        host, _, port = address.rpartition(":")
        probe = functools.partial(answers_tcp, int(port), host)
        return Piece("temporal", (), probe, url=address, optional=True, start_seconds=10)
    own = TemporalPorts(grpc=ports.temporal, http=ports.temporal_http, ui=ports.temporal_ui)
    return temporal(directory / "temporal", own)


def _service(
    name: str,
    directory: Path,
    counts: Mapping[str, int],
    ports: PortBlock,
    secrets: Credentials,
    admin_url: str,
    addresses: Addresses,
    programs: Path,
) -> Iterator[Piece]:
    """Declare a service's migration, which alone may administrate, and then its processes."""
    program = str(programs / f"crm-{name}")
    settings = {
        "CRM_ENV": "development",
        "SERVER_HOST": "127.0.0.1",
        "DATABASE_URL": addresses.database_urls[name],
        "RABBITMQ_URL": addresses.amqp_urls[name],
        "TEMPORAL_ADDRESS": addresses.temporal_address,
        "TEMPORAL_NAMESPACE": NAMESPACE,
        # Programs from elsewhere may be of a release that reads none.
        "OUTBOX_BUNDLES": str(programs == Path(sys.executable).parent).lower(),
        **_secrets_of(name, secrets),
    }
    if name == "gateway":
        # Tests and demonstrations open accounts all day, from one address.
        settings["REGISTRATIONS_PER_ADDRESS"] = "100000"
    if name == "channels-waha":
        settings["PUBLIC_BASE_URL"] = addresses.gateway_url
    if name in {"gateway", "webhooks"}:
        settings["MEDIA_BASE_URL"] = addresses.gateway_url
    if name in {"gateway", "channels-waha"}:
        settings["MEDIA_STORE_URL"] = (directory / "media").absolute().as_uri()
    migrate = Piece(
        name=f"{name}-migrate",
        command=(program, "migrate"),
        environment={**settings, "DATABASE_ADMIN_URL": admin_url},
        ready=None,
        needs=("postgres",),
    )
    yield migrate
    for process, number in replicas.names(name, counts).items():
        port = ports.service(name, number)
        yield Piece(
            name=process,
            command=(program, "run"),
            environment={**settings, "SERVER_PORT": str(port)},
            ready=functools.partial(answers_http, port, "/health"),
            needs=(migrate.name, "rabbitmq", "temporal"),
            ports=(port,),
            url=_http(port),
            nice=0 if name == "gateway" else BEHIND_THE_QUEUES,
        )


def _console(port: int, secrets: Credentials, addresses: Addresses, programs: Path) -> Piece:
    """Declare the console, which knows nothing but the gateway."""
    program = programs / "crm-console"
    return Piece(
        name="console",
        command=(str(program),),
        environment={
            "CRM_ENV": "development",
            "SERVER_HOST": "127.0.0.1",
            "SERVER_PORT": str(port),
            "GATEWAY_URL": addresses.gateway_url,
            "COOKIE_KEY": secrets.cookie_key,
        },
        ready=functools.partial(answers_http, port, "/health"),
        needs=("gateway",),
        ports=(port,),
        url=addresses.console_url,
        nice=BEHIND_THE_QUEUES,
        optional=True,
        missing="" if program.exists() else f"there is no {program}: this release has none",
    )


def _simulator(port: int, programs: Path) -> Piece:
    """Declare the WAHA simulator: a WhatsApp for who has none at hand."""
    program = programs / "crm-waha-sim"
    return Piece(
        name="waha-sim",
        command=(str(program), "--port", str(port), "--fetch-files", "--limit", "10000"),
        ready=functools.partial(answers_http, port, "/"),
        ports=(port,),
        url=_http(port),
        nice=BEHIND_THE_QUEUES,
        optional=True,
        missing="" if program.exists() else f"there is no {program}: this release has none",
    )


def _http(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _secrets_of(name: str, secrets: Credentials) -> dict[str, str]:
    """Return the secrets a service is entitled to, and no others."""
    holders = {
        "REQUEST_SIGNING_KEY": (set(SERVICE_OFFSETS), secrets.request_signing_key),
        "JWT_SECRET": ({"gateway"}, secrets.jwt_secret),
        "INGRESS_MASTER_KEY": ({"gateway", "channels-waha"}, secrets.ingress_master_key),
        "ENCRYPTION_KEY": ({"channels-waha", "webhooks"}, secrets.encryption_key),
    }
    return {key: value for key, (names, value) in holders.items() if name in names}


def _role(service: str) -> str:
    return f"crm_{service.replace('-', '_')}_app"


def _in_database(url: str, user: str = "", password: str = "") -> str:
    """Return the URL for our database instead of the server's own, perhaps as another user."""
    parts = urlsplit(_as_user(url, user, password) if user else url)
    named = parts.path.strip("/")
    database = named if named not in {"", "postgres"} else DATABASE
    return urlunsplit(parts._replace(path=f"/{database}"))


def _as_user(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}"))
