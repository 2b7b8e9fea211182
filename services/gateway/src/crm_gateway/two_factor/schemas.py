"""What the two-factor routes take and give."""

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict
from pydantic.config import JsonDict
from shared_events.envelope import Contract
from shared_events.requests import Command, Nothing, Query

from crm_gateway.auth.schemas import Code, GivenPassword, WithPassword

_PASSWORD_AND_CODE: JsonDict = {"example": {"password": "uma senha comprida", "code": "492 039"}}


class TwoFactor(Contract):
    """Whether logging in takes a code beside the password, and how many recovery codes are left."""

    enabled: bool
    enabled_at: datetime | None
    recovery_codes_left: int


class NewAuthenticator(Contract):
    """What to put into an authenticator, by hand or as a QR code; it is not shown again."""

    secret: str
    otpauth_uri: str


class RecoveryCodes(Contract):
    """Codes that let you in without the authenticator, each once; they are not shown again."""

    recovery_codes: tuple[str, ...]


class GetTwoFactor(Query[TwoFactor], key="gateway.auth.get_two_factor"):
    """Does logging in take a code of mine?"""


class BeginTwoFactor(Command[NewAuthenticator], WithPassword, key="gateway.auth.begin_two_factor"):
    """Begin with an authenticator (TOTP). Nobody is asked for its codes before one is confirmed;
    beginning anew gives another secret."""

    model_config = ConfigDict(json_schema_extra={"example": {"password": "uma senha comprida"}})

    password: GivenPassword


class ConfirmTwoFactor(Command[RecoveryCodes], key="gateway.auth.confirm_two_factor"):
    """Show that the authenticator works. From now on logging in takes one of its codes."""

    model_config = ConfigDict(json_schema_extra={"example": {"code": "492039"}})

    code: Code


class RenewRecoveryCodes(
    Command[RecoveryCodes], WithPassword, key="gateway.auth.renew_recovery_codes"
):
    """Get other recovery codes; those from before are worth nothing any more."""

    model_config = ConfigDict(json_schema_extra=_PASSWORD_AND_CODE)

    password: GivenPassword
    code: Code


class DisableTwoFactor(Command[Nothing], WithPassword, key="gateway.auth.disable_two_factor"):
    """Log in with the password alone again."""

    model_config = ConfigDict(json_schema_extra=_PASSWORD_AND_CODE)

    password: GivenPassword
    code: Code


class ResetTwoFactor(Command[Nothing], key="gateway.agents.reset_two_factor"):
    """Let somebody who has lost authenticator and recovery codes log in with the password alone."""

    agent_id: UUID
