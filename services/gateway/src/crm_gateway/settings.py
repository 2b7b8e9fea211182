"""Settings of the gateway."""

import base64
import hashlib
import hmac
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_settings import NoDecode
from service_kit.egress import Network
from service_kit.environment import SpareSecret
from service_kit.media_links import MediaLinkSettings
from service_kit.media_store import MediaStoreSettings
from service_kit.sealing import Seal
from service_kit.settings import listed

from crm_gateway.access.signing_keys import private_key, public_keys
from crm_gateway.mail.settings import MailSettings

Origin = Annotated[
    str,
    StringConstraints(
        to_lower=True, pattern=r"(?i)^https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?$"
    ),
]
"""As a browser names a page's: scheme, host, and the port unless it goes without saying."""


def _private_pem(pem: SecretStr | None) -> SecretStr | None:
    if pem is not None:
        private_key(pem.get_secret_value())
    return pem


def _public_pems(pems: str) -> str:
    list(public_keys(pems))
    return pems


PrivatePem = Annotated[SpareSecret, AfterValidator(_private_pem)]
PublicPems = Annotated[str, AfterValidator(_public_pems)]


class GatewaySettings(MediaStoreSettings, MediaLinkSettings, MailSettings):
    """What the gateway needs beside what every service needs."""

    jwt_secret: SecretStr = Field(
        default=SecretStr(""),
        description="signs access tokens (HS256); required, unless `JWT_PRIVATE_KEY` does: then it"
        " is still believed, if it is there",
    )
    jwt_secret_previous: SpareSecret = Field(
        default=None,
        description="still verifies what it signed, so that a rotation logs nobody out",
    )
    jwt_private_key: PrivatePem = Field(
        default=None,
        description="signs access tokens instead, so that others may judge them by"
        " `/.well-known/jwks.json`: PEM, of Ed25519 (EdDSA), P-256 (ES256) or RSA (RS256)",
    )
    jwt_public_keys: PublicPems = Field(
        default="",
        description="other keys that are believed, and told there, while it is turned: PEM, one"
        " behind the other",
    )
    jwt_ttl: int = Field(
        default=900,
        ge=30,
        le=86_400,
        description="seconds an access token lives; one that ended before is refused at once",
    )
    jwt_issuer: str = Field(default="ventros-crm", description="who issues tokens")
    jwt_audience: str = Field(default="ventros-crm-api", description="whom tokens are for")
    refresh_ttl: int = Field(
        default=30 * 86_400, ge=60, description="seconds a refresh token lives"
    )
    ingress_master_key: SecretStr = Field(
        default=SecretStr(""),
        description="makes webhook tokens and HMAC keys, as in channels-waha; required",
    )
    ingress_master_key_previous: SpareSecret = Field(
        default=None, description="is still believed, and opens what it sealed, while it is turned"
    )

    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(listed)] = Field(
        default=(),
        description="CIDRs, comma-separated, of the proxies in front of us, whose X-Forwarded-For"
        " says who asks; without it all users behind one are one address to the login throttle",
    )

    cors_allowed_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(listed)] = Field(
        default=(),
        description="whose pages may use the API from within a browser, comma-separated, such as"
        " `https://crm.example.com`",
    )

    login_failures_per_account: int = Field(
        default=5, ge=1, description="failed logins of an account from one address before 429"
    )
    login_failures_per_address: int = Field(
        default=50,
        ge=1,
        description="failed logins of an address, or tokens it makes up: a whole office may share"
        " one",
    )
    login_failures_of_strangers: int = Field(
        default=100,
        ge=1,
        description="failed logins of an account from all addresses its owner never came from;"
        " of a company's accounts together, ten times as many",
    )
    login_window_seconds: int = Field(default=900, ge=1, description="within this time")
    registrations_per_address: int = Field(
        default=200, ge=1, description="accounts an address may open within that time"
    )
    refreshes_per_user: int = Field(
        default=300, ge=1, description="refresh tokens a user may exchange within that time"
    )

    authenticator_issuer: str = Field(
        default="Ventros CRM",
        min_length=1,
        max_length=100,
        pattern="^[^:]*$",
        description="what authenticators show a code as being for",
    )

    request_timeout_seconds: float = Field(
        default=5.0, gt=0, description="a service may take to answer before 504"
    )
    reset_ttl: int = Field(
        default=3600,
        ge=60,
        le=86_400,
        description="seconds the link to a new password works, for who has forgotten the old one",
    )
    verification_ttl: int = Field(
        default=86_400,
        ge=300,
        le=7 * 86_400,
        description="seconds the link works by which a person proves an e-mail",
    )
    require_verified_email: bool = Field(
        default=False,
        description="who has not proved their e-mail may only prove it, have the mail sent again,"
        " and log out; API keys are not asked",
    )
    mails_per_account: int = Field(
        default=5,
        ge=1,
        description="mails about a forgotten password to one account, asked for from one address"
        " or by all strangers together, repeated invitations of a person, and repeated mails to"
        " prove an e-mail, within `LOGIN_WINDOW_SECONDS`",
    )
    invitations_per_tenant: int = Field(
        default=200, ge=1, description="mails that invite a company's people, within that time"
    )

    upload_max_bytes: int = Field(default=100 * 2**20, ge=1, description="of an uploaded file")
    upload_seconds: float = Field(default=300.0, gt=0, description="an upload may take")
    uploads_at_once: int = Field(
        default=16, ge=1, description="uploads a process takes at a time; others get 503"
    )

    audit_days: int = Field(default=400, ge=1, description="days the audit log is kept")

    rate_limit_per_tenant: int = Field(
        default=30_000, ge=1, description="requests of a company in a minute before 429"
    )
    rate_limit_per_key: int = Field(
        default=12_000, ge=1, description="requests of one of its API keys in a minute"
    )

    streams_per_tenant: int = Field(
        default=200, ge=1, description="event streams a company may have open at one gateway"
    )
    streams_at_most: int = Field(
        default=2_000, ge=1, description="event streams of all companies at one gateway"
    )

    @property
    def jwt_secrets(self) -> tuple[SecretStr, ...]:
        """The secret that signs, or is still believed, and the other one while it is turned."""
        secrets = self.jwt_secret, self.jwt_secret_previous
        return tuple(each for each in secrets if each is not None and each.get_secret_value())

    @property
    def ingress_master_keys(self) -> tuple[str, ...]:
        """The key in use and, while it is turned, the other one that is believed."""
        keys = self.ingress_master_key, self.ingress_master_key_previous
        return tuple(key.get_secret_value() for key in keys if key is not None)

    @property
    def seal(self) -> Seal:
        """Closes what is kept of replies that show a secret."""
        return self._seal_of(b"replies that show a secret")

    @property
    def mail_seal(self) -> Seal:
        """Closes mail that waits to be sent."""
        return self._seal_of(b"mail that waits")

    @property
    def authenticator_seal(self) -> Seal:
        """Closes the secrets of authenticators."""
        return self._seal_of(b"authenticators")

    @property
    def fingerprint_key(self) -> bytes:
        """By which requests with a secret are told apart that are not kept themselves."""
        return self._made_for(b"requests of strangers")[0]

    def _seal_of(self, purpose: bytes) -> Seal:
        keys = (base64.urlsafe_b64encode(key) for key in self._made_for(purpose))
        return Seal(SecretStr(b",".join(keys).decode()))

    def _made_for(self, purpose: bytes) -> list[bytes]:
        """Keys made from the master keys, for this purpose only."""
        masters = self.ingress_master_keys
        return [hmac.digest(master.encode(), purpose, hashlib.sha256) for master in masters]

    def problems(self) -> list[str]:
        """A mail is the only way to prove an e-mail."""
        found = super().problems()
        if self.require_verified_email and self.smtp_url is None:
            found.append("REQUIRE_VERIFIED_EMAIL needs SMTP_URL: without mail nobody gets in")
        return found

    def secrets(self) -> dict[str, SecretStr]:
        """What must be strong in production."""
        found = {"INGRESS_MASTER_KEY": self.ingress_master_key}
        if self.jwt_private_key is None or self.jwt_secret.get_secret_value():
            found["JWT_SECRET"] = self.jwt_secret
        if self.jwt_secret_previous is not None:
            found["JWT_SECRET_PREVIOUS"] = self.jwt_secret_previous
        if self.ingress_master_key_previous is not None:
            found["INGRESS_MASTER_KEY_PREVIOUS"] = self.ingress_master_key_previous
        return found
