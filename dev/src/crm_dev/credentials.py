"""Secrets of one development stack, drawn once and kept with its data."""

import base64
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path


def _password() -> str:
    # Hexadecimal, because these end up inside URLs.
    return secrets.token_hex(16)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True)
class Credentials:
    """Every secret the stack's pieces are given, and what a person logs in with."""

    postgres_password: str = field(default_factory=_password)
    rabbitmq_password: str = field(default_factory=_password)
    bus_secret: str = field(default_factory=_password)
    service_database_password: str = field(default_factory=_password)
    jwt_secret: str = field(default_factory=lambda: secrets.token_hex(32))
    request_signing_key: str = field(default_factory=lambda: secrets.token_hex(32))
    ingress_master_key: str = field(default_factory=lambda: secrets.token_hex(32))
    encryption_key: str = field(default_factory=_fernet_key)
    cookie_key: str = field(default_factory=_fernet_key)
    company_password: str = field(default_factory=lambda: secrets.token_hex(6))

    def bus_password(self, service: str) -> str:
        """The password of a service's user in RabbitMQ, for services of tomorrow too."""
        return hmac.new(self.bus_secret.encode(), service.encode(), "sha256").hexdigest()


def load_or_create(path: Path) -> Credentials:
    """Return the stack's secrets, drawing (file mode 600) those that are not there yet."""
    known = json.loads(path.read_text()) if path.exists() else {}
    credentials = Credentials(**known)
    if asdict(credentials) != known:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(credentials), indent=2) + "\n")
    return credentials
