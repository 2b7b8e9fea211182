"""`keys`: another one drawn, what is at rest counted and brought to it (docs/operations.md)."""

import asyncio
import secrets
from argparse import ArgumentParser, Namespace

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from service_kit.operating import passwords
from service_kit.operating.command import Command, Operated, Report, report
from service_kit.service import Service


def commands() -> tuple[Command, ...]:
    """Those of every service."""
    return (
        Command(("keys", "new"), "print a fresh secret; nothing is changed", _new, _takes_kind),
        Command(
            ("keys", "check"),
            "count what is at rest under older keys; exit 0 when they can be taken away",
            _check,
        ),
        Command(
            ("keys", "rotate"),
            "bring all that is at rest to the newest keys, beside the service at work",
            _rotate,
            _takes_passwords,
        ),
    )


def _takes_kind(parser: ArgumentParser) -> None:
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--fernet", action="store_true", help="a Fernet key, for ENCRYPTION_KEY")
    kinds.add_argument(
        "--ed25519",
        action="store_true",
        help="a pair, for JWT_PRIVATE_KEY: the private half and the public one, PEM",
    )


def _takes_passwords(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--passwords",
        action="store_true",
        help="instead, give the service's users of database (DATABASE_ADMIN_URL) and broker"
        " (RABBITMQ_ADMIN_URL) the passwords of these settings; restart the service then",
    )


def _new(operated: Operated, asked: Namespace) -> Report:
    del operated
    if asked.ed25519:
        return Report((_pair(),))
    return Report((Fernet.generate_key().decode() if asked.fernet else secrets.token_hex(32),))


def _pair() -> str:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return (private + public).decode().rstrip()


def _check(operated: Operated, asked: Namespace) -> Report:
    del asked
    return asyncio.run(_turn(operated.service(), change=False))


def _rotate(operated: Operated, asked: Namespace) -> Report:
    if asked.passwords:
        return asyncio.run(passwords.turn(operated.settings, operated.name))
    return asyncio.run(_turn(operated.service(), change=True))


async def _turn(service: Service, *, change: bool) -> Report:
    """A line for each kind of thing, with how many; not well while any is left behind."""
    await service.database.connect()
    documents, ok = [], True
    try:
        for name, turn in service.keys.items():
            found = await turn(change)
            ok = ok and not found.left and (change or not found.turned)
            documents.append(
                {
                    "what": name,
                    "current": found.current,
                    "rotated" if change else "older": found.turned,
                    "left": [str(one) for one in found.left],
                }
            )
    finally:
        await service.database.close()
        await service.release()
    return report(documents, ok=ok)
