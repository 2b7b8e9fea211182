"""`crm-dev`: the native development stack from the command line."""

import argparse
import asyncio
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from shared_events.services import SERVICES

from crm_dev import asyncapi, commands, daemon, listen, migration, settings_tables, skeleton

DEMO = "crm_dev.demo"
CHECKOUT = Path(__file__).parents[3]


def state_directory() -> Path:
    """Return where the stack keeps its data: CRM_DEV_DIR, or `.dev` in the checkout."""
    chosen = os.environ.get("CRM_DEV_DIR")
    return Path(chosen).absolute() if chosen else CHECKOUT / ".dev"


def parser() -> argparse.ArgumentParser:
    """Return the command line; `demo` stands there only when its module is installed."""
    root = argparse.ArgumentParser(prog="crm-dev", description=__doc__)
    verbs = root.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    up = verbs.add_parser("up", help="start the stack")
    up.add_argument("--foreground", action="store_true", help="stay, show logs, Ctrl-C stops")
    up.add_argument("--only", nargs="+", default=[], metavar="NAME", help="and what they need")
    up.add_argument("--company", action="store_true", help="with a company to log in to")
    verbs.add_parser("down", help="stop the stack; data stays")
    verbs.add_parser("status", help="show every piece")
    logs = verbs.add_parser("logs", help="show logs")
    logs.add_argument("-f", "--follow", action="store_true", help="keep showing")
    logs.add_argument("name", nargs="?", metavar="NAME")
    for verb in ("stop", "start"):
        one = verbs.add_parser(verb, help=f"{verb} one piece")
        one.add_argument("name", metavar="NAME")
    # Without a help text it stays out of the list: `up` runs it, people do not.
    supervise = verbs.add_parser("supervise")
    supervise.add_argument("names", nargs="*", metavar="NAME")
    documents = verbs.add_parser("asyncapi", help="write the AsyncAPI document of every service")
    documents.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    revision = verbs.add_parser("migration", help="write a service's next migration")
    revision.add_argument("service", choices=[service.name for service in SERVICES])
    revision.add_argument("message", metavar="MESSAGE")
    service = verbs.add_parser("service", help="write a new service from the skeleton")
    service.add_argument("name", metavar="NAME", help="a plural in one word, such as surveys")
    mutants = verbs.add_parser("mutants", help="which small changes a service's tests notice")
    mutants.add_argument("service", choices=[service.name for service in SERVICES])
    mutants.add_argument("--folders", nargs="*", default=[], metavar="FOLDER", help="features")
    mutants.add_argument("--count", type=int, default=40)
    mutants.add_argument("--seed", type=int, default=0)
    mutants.add_argument("--minutes", type=float, default=15)
    listener = verbs.add_parser("listen", help="forward a company's events to a local URL")
    listener.add_argument("--to", required=True, metavar="URL", help="what takes the webhooks")
    listener.add_argument("--types", nargs="*", default=[], metavar="PATTERN", help="all if none")
    listener.add_argument("--secret", help="signs them (whsec_...); a new one if none is given")
    listener.add_argument("--api", default="http://127.0.0.1:8080/api/v1", metavar="URL")
    verbs.add_parser("docs", help="write the settings tables of the READMEs anew")
    if find_spec(DEMO):
        verbs.add_parser("demo", help="play the three journeys and leave nothing running")
    return root


def main() -> int:
    """Run one command and return its exit code; Ctrl-C and a closed pipe are ordinary ends."""
    try:
        return run(parser().parse_args())
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The interpreter flushes once more at its end, into a pipe nobody reads.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run(arguments: argparse.Namespace) -> int:
    """Run one parsed command and return its exit code."""
    directory = state_directory()
    directory.mkdir(parents=True, exist_ok=True)
    match arguments.verb:
        case "up":
            return commands.up(
                directory,
                arguments.only,
                foreground=arguments.foreground,
                with_company=arguments.company,
            )
        case "down":
            return commands.down(directory)
        case "status":
            return commands.status(directory)
        case "logs":
            return commands.show_logs(
                directory,
                arguments.name,
                following=arguments.follow,
                from_start=True,
            )
        case "stop" | "start":
            return commands.ask(directory, arguments.verb, arguments.name)
        case "asyncapi":
            for path in asyncapi.write(directory, arguments.folder or directory / "asyncapi"):
                print(path)
            return 0
        case "migration":
            written = migration.write(arguments.service, arguments.message)
            print(written or "The migrations say what the models say.")
            return 0
        case "service":
            try:
                print("\n".join(map(str, skeleton.copy(arguments.name, CHECKOUT))))
            except (ValueError, FileExistsError) as error:
                print(error, file=sys.stderr)
                return 1
            print("\nThe lists it must stand in: docs/how-to/add-a-service.md")
            return 0
        case "mutants":
            return _mutants(arguments)
        case "docs":
            for path in settings_tables.write(CHECKOUT):
                print(path)
            return 0
        case "listen":
            given = arguments
            return asyncio.run(listen.listen(given.api, given.to, given.secret, given.types))
        case "supervise":
            return daemon.main(directory, arguments.names)
        case _:
            return int(import_module(DEMO).main())


def _mutants(arguments: argparse.Namespace) -> int:
    from crm_dev import mutants  # only this command needs the tool behind it

    score = mutants.run(
        arguments.service,
        folders=arguments.folders,
        count=arguments.count,
        seed=arguments.seed,
        minutes=arguments.minutes,
    )
    print(score)
    return 0
