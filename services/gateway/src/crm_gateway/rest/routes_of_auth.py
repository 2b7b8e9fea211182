"""The routes by which people come in, and see to how they do: rows like those of `routes`."""

from crm_gateway.access.lacks import LACKS, Lack
from crm_gateway.auth import schemas as auth
from crm_gateway.rest.table import AUTHENTICATED, PUBLIC, Row
from crm_gateway.two_factor import schemas as two_factor

_NO_SECOND_FACTOR: tuple[Lack, ...] = ("two_factor_required_by_company",)

ROUTES_OF_AUTH: tuple[Row, ...] = (
    Row(
        "POST",
        "/auth/register",
        PUBLIC,
        auth.Register,
        201,
        location="/auth/me",
        keyed_by="email",
    ),
    Row("POST", "/auth/login", PUBLIC, auth.Login, keyed_by="email"),
    Row("POST", "/auth/refresh", PUBLIC, auth.Refresh, keyed_by="refresh_token"),
    Row("POST", "/auth/logout", PUBLIC, auth.Logout, 204, keyed_by="refresh_token"),
    Row(
        "POST",
        "/auth/accept-invitation",
        PUBLIC,
        auth.AcceptInvitation,
        keyed_by="invitation_token",
    ),
    Row("POST", "/auth/password/forgot", PUBLIC, auth.ForgotPassword, 202, keyed_by="email"),
    Row("POST", "/auth/password/reset", PUBLIC, auth.ResetPassword, 204, keyed_by="reset_token"),
    Row("POST", "/auth/email/verify", PUBLIC, auth.VerifyEmail, 204, keyed_by="token"),
    Row(
        "POST",
        "/auth/email/verification",
        AUTHENTICATED,
        auth.MailVerification,
        202,
        despite=LACKS,
    ),
    Row(
        "POST",
        "/auth/logout-everywhere",
        AUTHENTICATED,
        auth.LogoutEverywhere,
        204,
        despite=LACKS,
    ),
    Row("POST", "/auth/password", AUTHENTICATED, auth.ChangePassword),
    Row(
        "GET",
        "/auth/two-factor",
        AUTHENTICATED,
        two_factor.GetTwoFactor,
        despite=_NO_SECOND_FACTOR,
    ),
    Row(
        "POST",
        "/auth/two-factor",
        AUTHENTICATED,
        two_factor.BeginTwoFactor,
        201,
        despite=_NO_SECOND_FACTOR,
    ),
    Row(
        "POST",
        "/auth/two-factor/confirm",
        AUTHENTICATED,
        two_factor.ConfirmTwoFactor,
        despite=_NO_SECOND_FACTOR,
    ),
    Row("POST", "/auth/two-factor/recovery-codes", AUTHENTICATED, two_factor.RenewRecoveryCodes),
    Row("POST", "/auth/two-factor/disable", AUTHENTICATED, two_factor.DisableTwoFactor, 204),
    Row(
        "GET",
        "/auth/tenants",
        AUTHENTICATED,
        auth.ListMyTenants,
        despite=_NO_SECOND_FACTOR,
    ),
    Row("POST", "/auth/switch", AUTHENTICATED, auth.SwitchTenant, despite=_NO_SECOND_FACTOR),
    Row("GET", "/auth/me", AUTHENTICATED, auth.GetMe),
)
