"""One private RabbitMQ from Debian's package: own node, own ports, own data.

The package's real script is used, not the wrapper on PATH, which forces Debian's user and
directories. `detached` makes the script replace itself by the Erlang machine, so that signals
reach the broker itself (it stops in 1 s); the HTTP plugins are left out of the development stack
because their connection draining makes that 6 s.
"""

import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path

from shared_events import definitions as bus_definitions
from shared_events.definitions import Definitions

from crm_dev.piece import Piece
from crm_dev.probes import answers_amqp, answers_tcp
from crm_dev.process import own_directory

ROOT = os.environ.get("CRM_RABBITMQ_ROOT", "/")
"""Where Debian's package is installed; `tools/rabbitmq4` makes a root with a newer one."""
DEBIAN_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
HOW_TO_GET = "RabbitMQ is missing: apt-get install rabbitmq-server (as root), or set RABBITMQ_URL"
USER = "crm"
PARTITIONING = "rabbitmq_consistent_hash_exchange"
"""The plugin by which the release before spread messages; `make upgrade` needs it."""

# The node registers with the port mapper at once and gives up when nobody is there, so the mapper
# comes first. It lives exactly as long as the broker it was started for.
START = (
    "setpriv --pdeathsig KILL epmd -address 127.0.0.1 & "
    "until epmd -names >/dev/null 2>&1; do sleep 0.05; done; "
    f"exec {DEBIAN_SCRIPT}"
)

# Erlang reads its memory from /proc. The mount is seen by these processes alone and goes with them.
ENTER = (
    *("unshare", "--mount", "sh", "-c"),
    'mount --rbind /proc "$0/proc" && exec chroot "$0" sh -c "$1"',
)


@dataclass(frozen=True)
class RabbitPorts:
    """The ports of one broker; None leaves the HTTP API or what Prometheus reads out."""

    amqp: int
    erlang: int
    epmd: int
    management: int | None = None
    metrics: int | None = None


def rabbitmq(
    directory: Path, ports: RabbitPorts, password: str, definitions: Definitions | None = None
) -> Piece:
    """Declare a broker that keeps its data in `directory`, with `crm` as its administrator.

    It imports definitions at every boot, before it listens; without any, all is left to `crm`.
    """
    home = directory.absolute()
    present = Path(ROOT, "usr/bin/epmd").exists() and Path(ROOT, *DEBIAN_SCRIPT.parts[1:]).exists()
    return Piece(
        name="rabbitmq",
        command=("sh", "-c", START) if ROOT == "/" else (*ENTER, ROOT, START),
        environment=_environment(_inside(home), ports),
        ready=functools.partial(answers_amqp, ports.amqp),
        # The broker logs a warning for every greeting that is not followed by a login.
        healthy=functools.partial(answers_tcp, ports.amqp),
        prepare=functools.partial(_configure, home, ports, password, definitions),
        ports=tuple(filter(None, (ports.amqp, ports.erlang, ports.epmd, ports.metrics))),
        url=f"amqp://{USER}:{password}@127.0.0.1:{ports.amqp}/",
        missing="" if present else HOW_TO_GET,
    )


def _inside(home: Path) -> Path:
    """The same directory as the broker sees it."""
    return Path("/", home.relative_to(Path(ROOT).absolute()))


def _environment(home: Path, ports: RabbitPorts) -> dict[str, str]:
    return {
        "HOME": str(home),
        "RABBITMQ_NODENAME": "crm@localhost",
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_DIST_PORT": str(ports.erlang),
        "ERL_EPMD_PORT": str(ports.epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        # Idle schedulers otherwise spin, on cores that the services beside them need.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        "detached": "true",
    }


async def _configure(
    home: Path, ports: RabbitPorts, password: str, definitions: Definitions | None
) -> None:
    """Write the broker's configuration anew at every start: it holds the ports."""
    own_directory(home, unprivileged=False)
    lines = [
        f"listeners.tcp.1 = 127.0.0.1:{ports.amqp}",
        f"default_user = {USER}",
        f"default_pass = {password}",
        "log.console = true",
        "log.console.level = warning",
        "log.console.use_colors = off",
        "log.file = false",
    ]
    plugins = [PARTITIONING]
    if definitions is not None:
        # Where definitions are imported, RabbitMQ makes no default user.
        administrator = bus_definitions.administrator("/", USER, password)
        everything = bus_definitions.together([definitions, administrator])
        (home / "definitions.json").write_text(json.dumps(everything))
        lines.append(f"load_definitions = {_inside(home) / 'definitions.json'}")
    if ports.management:
        plugins.append("rabbitmq_management")
        lines += ["management.tcp.ip = 127.0.0.1", f"management.tcp.port = {ports.management}"]
    if ports.metrics:
        plugins.append("rabbitmq_prometheus")
        lines += ["prometheus.tcp.ip = 127.0.0.1", f"prometheus.tcp.port = {ports.metrics}"]
    for name, text in {
        "rabbitmq.conf": "\n".join(lines) + "\n",
        "enabled_plugins": f"[{','.join(plugins)}].\n",
    }.items():
        (home / name).write_text(text)
