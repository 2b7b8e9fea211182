"""`crm-fakes waha`, or `crm-waha-sim`, and `crm-fakes receiver`: each fake as its own process."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

import uvloop

from crm_fakes.receiver import WebhookReceiver
from crm_fakes.serving import LocalServer
from crm_fakes.waha import WahaSimulator


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    root = argparse.ArgumentParser("crm-fakes", description="Fakes for tests, demo and bench")
    fakes = root.add_subparsers(dest="fake", required=True)
    waha = fakes.add_parser("waha", help="a WAHA server with a WhatsApp behind it")
    waha.add_argument("--api-key", default="waha-api-key", help="the X-Api-Key to ask for")
    waha.add_argument("--engine", choices=["GOWS", "NOWEB", "WEBJS"], default="GOWS")
    waha.add_argument("--acks", choices=["none", "delivered", "read"], default="delivered")
    waha.add_argument("--no-echo", action="store_true", help="do not tell our own messages")
    waha.add_argument("--fetch-files", action="store_true", help="download the urls of sends")
    waha.add_argument("--auto-scan", action="store_true", help="pair sessions by themselves")
    waha.add_argument("--time-scale", type=float, default=1.0, help="scales webhook retries")
    receiver = fakes.add_parser("receiver", help="a customer's webhook endpoint")
    receiver.add_argument("--secret", help="the whsec_ secret to verify with")
    for fake in (waha, receiver):
        fake.add_argument("--host", default="127.0.0.1")
        fake.add_argument("--port", type=int, default=0, help="0 takes a free port")
        fake.add_argument("--limit", type=int, default=200_000, help="ledger entries kept")
    return root


def build(options: argparse.Namespace) -> LocalServer:
    """Return the fake the command line asks for."""
    if options.fake == "receiver":
        return WebhookReceiver(
            options.port, host=options.host, secret=options.secret, limit=options.limit
        )
    return WahaSimulator(
        options.port,
        options.api_key,
        host=options.host,
        default_engine=options.engine,
        acks=options.acks,
        echo=not options.no_echo,
        auto_scan=options.auto_scan,
        fetch_files=options.fetch_files,
        time_scale=options.time_scale,
        limit=options.limit,
    )


async def serve(fake: LocalServer, name: str) -> None:
    """Serve until SIGTERM or SIGINT; the first line printed carries the url."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with fake:
        sys.stdout.write(f"{name} listening on {fake.url}\n")
        sys.stdout.flush()
        await ended.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = parser().parse_args(arguments)
    uvloop.run(serve(build(options), options.fake))


def waha() -> None:
    """Run the WAHA simulator: `crm-fakes waha` under a name of its own."""
    main(["waha", *sys.argv[1:]])
