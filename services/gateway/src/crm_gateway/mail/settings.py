"""Settings of outgoing mail."""

from dataclasses import dataclass, field
from email.headerregistry import Address
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, NameEmail, SecretStr
from service_kit.settings import ServiceSettings

Security = Literal["tls", "starttls", "none"]
_SCHEMES: dict[str, tuple[int, Security]] = {
    "smtps": (465, "tls"),
    "smtp": (587, "starttls"),
    "smtp+plain": (25, "none"),
}
_IN_DEVELOPMENT = "http://localhost:3000"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Whom mail is handed to."""

    host: str
    port: int
    security: Security
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def _given(value: Any) -> Any:
    """What a deployment passes on without having it is not set."""
    return None if value == "" else value


def _split(url: str) -> SplitResult:
    """The parts; raises ValueError without a word of what may be a password."""
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise ValueError("it must be an address with a host and perhaps a port")


def _smtp(url: SecretStr) -> SecretStr:
    if _split(url.get_secret_value()).scheme not in _SCHEMES:
        raise ValueError(f"it must begin with one of {', '.join(s + '://' for s in _SCHEMES)}")
    return url


def _page(url: str) -> str:
    parts = _split(url)
    if parts.scheme not in ("http", "https") or parts.query or parts.fragment or parts.username:
        raise ValueError("it must be http:// or https://, a host and perhaps a path")
    return url.rstrip("/")


_Smtp = Annotated[SecretStr, AfterValidator(_smtp)]
_Page = Annotated[str, AfterValidator(_page)]


class MailSettings(ServiceSettings):
    """Settings of who writes to people."""

    smtp_url: Annotated[_Smtp | None, BeforeValidator(_given)] = Field(
        default=None,
        description="who sends our mail, `smtps://user:password@host:465` or `smtp://` (587, with"
        " STARTTLS; `smtp+plain://` for a relay without); unset: outside production mail is"
        " logged, in production none is sent",
    )
    mail_from: Annotated[NameEmail | None, BeforeValidator(_given)] = Field(
        default=None, description="whom mail is from, `Name <name@example.com>`; with `SMTP_URL`"
    )
    public_url: Annotated[_Page | None, BeforeValidator(_given)] = Field(
        default=None,
        description="the product's pages: links in mail lead to `/reset-password`,"
        " `/accept-invitation` and `/verify-email` below it, each with `#token=...`;"
        " with `SMTP_URL`",
    )
    mail_retry_seconds: float = Field(
        default=30.0,
        gt=0,
        description="before mail is tried again, twice as long each time, up to 15 minutes",
    )

    @property
    def smtp_server(self) -> SmtpServer | None:
        """Whom to hand mail to, if anybody."""
        if self.smtp_url is None:
            return None
        parts = urlsplit(self.smtp_url.get_secret_value())
        port, security = _SCHEMES[parts.scheme]
        user, password = (part and unquote(part) for part in (parts.username, parts.password))
        return SmtpServer(parts.hostname or "", parts.port or port, security, user, password)

    @property
    def mail_sender(self) -> Address | None:
        """Whom mail is from."""
        if self.mail_from is None:
            return None
        return Address(self.mail_from.name, addr_spec=self.mail_from.email)

    @property
    def mail_pages(self) -> str:
        """Where links lead."""
        return self.public_url or _IN_DEVELOPMENT

    def half_set(self) -> list[str]:
        """What mail lacks that is set in part only."""
        parts = {
            "SMTP_URL": self.smtp_url,
            "MAIL_FROM": self.mail_from,
            "PUBLIC_URL": self.public_url,
        }
        missing = [name for name, value in parts.items() if value is None]
        if len(missing) in (0, len(parts)):
            return []
        return [f"mail is set in part only: {name} is missing" for name in missing]

    def problems(self) -> list[str]:
        """Half of it sends nothing, and neither links nor passwords travel in the clear."""
        found = super().problems() + self.half_set()
        if self.public_url is not None and not self.public_url.startswith("https://"):
            found.append("PUBLIC_URL must begin with https://")
        server = self.smtp_server
        if server is not None and server.security == "none" and server.password:
            found.append("SMTP_URL: smtp+plain:// is for a relay that asks for no password")
        return found
