"""`crm`: one name for the programs of all services, wherever some of them are installed."""

import sys
from importlib.metadata import entry_points
from typing import NoReturn

from shared_events.services import SERVICES

_USAGE = """usage: crm [service] command ...

What operators do to a service: the program `crm-<service>` by another name. Where one service is
installed, as in its image, it need not be named. Installed here:
  {installed}

  crm doctor                    ask everything the service stands on; say what ails and what to do
  crm config check              the settings, redacted, and every fault of theirs
  crm migrate                   bring schema and bus to this code's revision
  crm outbox list | redrive | replay
                                events that could not be published, or must be once more
  crm dlq list | show | redrive | drop QUEUE
                                messages that could not be applied
  crm keys new | check | rotate turn secrets; what is at rest is brought to the newest key
  crm gateway erase             forget a person, where no admin of the company can
  crm channels-waha ledger distrust
                                after a restore: what waits to be sent may have been sent
  crm healthcheck | run | asyncapi

`crm <command> --help` says more; docs/operations.md has what to do when."""


def main() -> NoReturn:
    """The console script `crm`; exits as the service's own program does."""
    programs = {
        service.name: found
        for service in SERVICES
        for found in entry_points(group="console_scripts", name=f"crm-{service.name}")
    }
    words = sys.argv[1:]
    if words and words[0] in programs:
        name, words = words[0], words[1:]
    elif len(programs) == 1 and words and words[0] not in ("-h", "--help"):
        (name,) = programs
    else:
        asked = words[:1] in (["-h"], ["--help"])
        sys.stdout.write(_USAGE.format(installed=", ".join(programs) or "none") + "\n")
        sys.exit(0 if asked else 2)
    sys.argv = [f"crm-{name}", *words]
    programs[name].load()()
    sys.exit(0)
