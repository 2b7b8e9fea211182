"""What the auth routes take and give."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    Field,
    SecretStr,
    StringConstraints,
)
from shared_events.envelope import Contract
from shared_events.requests import Command, Given, Nothing, Page, Query, seen

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=255),
    BeforeValidator(seen),
]
Email = Annotated[EmailStr, Field(max_length=255), AfterValidator(str.lower)]
"""Compared without case, so it is kept in lower case."""
NewPassword = Annotated[SecretStr, Field(min_length=8, max_length=128)]
GivenPassword = Annotated[SecretStr, Field(max_length=128)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Code = Annotated[SecretStr, Field(min_length=6, max_length=40)]
"""Six digits that an authenticator shows, or a recovery code; blanks and hyphens do not matter."""


class WithPassword(Given):
    """Base of what carries a password: its blanks belong to it."""

    model_config = ConfigDict(str_strip_whitespace=False)


class UserView(Contract):
    """A person, as shown to the person. `email_verified`: the address is proved to be theirs."""

    id: UUID
    name: str
    email: str
    email_verified: bool = False


class TenantView(Contract):
    """A company."""

    id: UUID
    name: str


class Tokens(Contract):
    """A pair of tokens; `expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a scheme, not a secret
    expires_in: int


class LoggedIn(Tokens):
    """The tokens and whom they are for. `tenants`: all companies the person may switch to."""

    user: UserView
    tenant: TenantView
    tenants: tuple[TenantView, ...] = ()


class MyTenant(TenantView):
    """A company of the caller's; `current`: the one the tokens are for."""

    current: bool


class KeyView(Contract):
    """The API key that asks."""

    id: UUID
    name: str


class Profile(Contract):
    """Who asks. Permissions may be patterns such as `contacts.*`.

    With an API key it is the key, and `user` is the person who made it.
    """

    user: UserView
    api_key: KeyView | None = None
    tenant: TenantView
    roles: tuple[str, ...]
    permissions: tuple[str, ...]


class Register(Command[LoggedIn], WithPassword, key="gateway.auth.register"):
    """Open an account: a company with its first user, who is its admin."""

    name: Name
    email: Email
    password: NewPassword
    organization: Name | None = None


class Login(Command[LoggedIn], WithPassword, key="gateway.auth.login"):
    """Log in. The answer to a wrong e-mail and to a wrong password is the same.

    Who is of several companies comes to the one they were in last; the answer names them all.

    Who has a second factor sends a code as well: without one the right password is answered with
    401 `two_factor_required`, with a wrong one 401 `invalid_code`.
    """

    email: Annotated[str, StringConstraints(strip_whitespace=True, max_length=255, to_lower=True)]
    password: GivenPassword
    code: Code | None = None


class Refresh(Command[Tokens], key="gateway.auth.refresh"):
    """Exchange a refresh token for a new pair. Each works once; a second use ends the login."""

    refresh_token: Token


class Logout(Command[Nothing], key="gateway.auth.logout"):
    """End a login. An unknown token is fine: it is logged out."""

    refresh_token: Token


class AcceptInvitation(Command[LoggedIn], WithPassword, key="gateway.auth.accept_invitation"):
    """Choose a password with the invitation token, and be logged in.

    Who has an account already, in another company, proves it by its password instead, and by a code
    if there is a second factor: without the right ones the answer is 401 `account_exists`,
    `two_factor_required` or `invalid_code`.
    """

    invitation_token: Token
    password: NewPassword
    code: Code | None = None


class ForgotPassword(Command[Nothing], key="gateway.auth.forgot_password"):
    """Have a link to a new password mailed. The answer is the same whoever has an account.

    The link leads to the product's page and works once, for an hour unless it is set otherwise.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"email": "ana@example.com"}})

    email: Email


class ResetPassword(Command[Nothing], WithPassword, key="gateway.auth.reset_password"):
    """Choose a new password with the token of such a mail. Every login ends; log in anew."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "reset_token": "T0dZb3UgYXJlIGN1cmlvdXMsIGFyZW4ndCB5b3U_",
                "password": "uma senha comprida",
            }
        }
    )

    reset_token: Token
    password: NewPassword


class VerifyEmail(Command[Nothing], key="gateway.auth.verify_email"):
    """Prove that an e-mail is mine, with the token of the mail that asks for it. It works once."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"token": "T0dZb3UgYXJlIGN1cmlvdXMsIGFyZW4ndCB5b3U_"}}
    )

    token: Token


class MailVerification(Command[Nothing], key="gateway.auth.mail_verification"):
    """Have the mail that asks me to prove my e-mail sent again. The link of the one before ends."""


class ChangePassword(Command[Tokens], WithPassword, key="gateway.auth.change_password"):
    """Choose another password. Every other login ends; the reply has tokens to go on with."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"current_password": "uma senha comprida", "new_password": "outra, maior"}
        }
    )

    current_password: GivenPassword
    new_password: NewPassword


class LogoutEverywhere(Command[Nothing], key="gateway.auth.logout_everywhere"):
    """End all logins of mine, this one as well: no token of mine is worth anything any more."""


class ListMyTenants(Query[Page[MyTenant]], key="gateway.auth.tenants"):
    """The companies I may switch to, the one I am in included."""


class SwitchTenant(Command[LoggedIn], key="gateway.auth.switch"):
    """Go on in another company of mine: tokens for it, with my role there.

    Tokens for this one stay good, the refresh token as well.
    """

    tenant_id: UUID
    refresh_token: Token


class GetMe(Query[Profile], key="gateway.auth.me"):
    """Who am I, and what may I do?"""


class Member(Contract):
    """A user with the place in the tenant; internal to the gateway.

    `user_id` is who this is to the tenant (the agent), `account_id` who it is to the gateway.
    """

    user_id: UUID
    account_id: UUID
    tenant_id: str
    name: str
    email: str
    email_verified: bool
    tenant_name: str
    role: Literal["admin", "supervisor", "agent"]
    active: bool
    account_version: int
    place_version: int

    @property
    def token_version(self) -> int:
        """Of tokens that are worth something: what ends logins, here or everywhere, raises it."""
        return self.account_version + self.place_version
