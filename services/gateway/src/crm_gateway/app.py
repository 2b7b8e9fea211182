"""The gateway: composition root and console script."""

import asyncio
from collections.abc import Sequence

from service_kit.main import run_service
from service_kit.request_client import RequestClient
from service_kit.resealing import SealedColumn
from service_kit.service import Service
from service_kit.settings import ConfigurationError
from shared_events.services import GATEWAY
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from crm_gateway import endpoint_notices, erasures
from crm_gateway.access.callers import KnownCallers
from crm_gateway.access.jwks import jwks_route
from crm_gateway.access.quotas import Quotas
from crm_gateway.access.standings import Standings
from crm_gateway.access.tokens import AccessTokens
from crm_gateway.admission import Admission
from crm_gateway.agents.invitations import Invitations
from crm_gateway.agents.service import Agents
from crm_gateway.api_keys.service import ApiKeys
from crm_gateway.audit import service as audit
from crm_gateway.audit.repository import purge as purge_audit_log
from crm_gateway.audit.service import AuditedActs
from crm_gateway.auth.email_proofs import EmailProofs
from crm_gateway.auth.guards import Guards
from crm_gateway.auth.known_password import KnownPassword
from crm_gateway.auth.logins import Logins
from crm_gateway.auth.memberships import Memberships
from crm_gateway.auth.passwords import Passwords
from crm_gateway.auth.repeats import Repeats
from crm_gateway.auth.repository import purge_refresh_tokens
from crm_gateway.auth.resets import PasswordResets
from crm_gateway.auth.service import Accounts
from crm_gateway.auth.switching import Switching
from crm_gateway.auth.throttle import purge as purge_tallies
from crm_gateway.body import Bodies
from crm_gateway.company.service import Company
from crm_gateway.custom_roles.service import CustomRoles
from crm_gateway.erasures.command import ERASE
from crm_gateway.event_types import service as event_types
from crm_gateway.ingress.receiver import WahaReceiver
from crm_gateway.ingress.spool import CONNECTIONS, Spool
from crm_gateway.ingress.webhook import raw_webhooks
from crm_gateway.journeys.service import Journeys
from crm_gateway.live.notices import Notices
from crm_gateway.live.streams import SharedPages, Streams
from crm_gateway.mail.letters import Letters
from crm_gateway.mail.mailer import LoggingMailer, Mailer, SmtpMailer
from crm_gateway.mail.post import Post
from crm_gateway.media.files import Files
from crm_gateway.presence.service import Presence
from crm_gateway.problems import edge
from crm_gateway.rest import api, table
from crm_gateway.rest.endpoint import Backing
from crm_gateway.rest.own import OwnRequests
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.table import Row
from crm_gateway.settings import GatewaySettings
from crm_gateway.two_factor.service import SecondFactor, TwoFactors

_PURGE_SECONDS = 3600.0


def create_service(settings: GatewaySettings, rows: Sequence[Row] = ROUTES) -> Service:
    """The gateway, ready to run.

    Raises ConfigurationError for an unfit route table, for a missing secret in any environment (a
    token signed with nothing would prove nothing), and for mail that is set in part only.
    """
    table.check(rows)
    missing = [name for name, secret in settings.secrets().items() if not secret.get_secret_value()]
    if missing:
        raise ConfigurationError([f"{name} is missing" for name in missing])
    service = Service(GATEWAY, settings)
    database = service.database
    tokens = AccessTokens(settings)
    passwords = Passwords(strong=settings.is_production)
    standings = Standings(database)
    guards = Guards(settings)
    post = Post(
        database,
        settings.mail_seal,
        _mailer(settings),
        retry_seconds=settings.mail_retry_seconds,
    )
    letters = Letters(settings.mail_pages)
    known = KnownPassword(database, passwords, guards)
    second = SecondFactor(guards, settings.authenticator_seal)
    proofs = EmailProofs(
        database, guards, standings, post, letters, ttl_seconds=settings.verification_ttl
    )
    repeats = Repeats(database, guards, settings.seal, settings.fingerprint_key)
    own = OwnRequests(database, settings.seal, repeats)
    proofs.add_to(own)
    memberships = Memberships(database)
    logins = Logins(tokens, refresh_ttl_seconds=settings.refresh_ttl)
    Switching(memberships, logins).add_to(own)
    Accounts(
        database,
        logins,
        memberships,
        passwords,
        guards,
        standings,
        known,
        second,
        proofs,
    ).add_to(own)
    TwoFactors(
        known,
        second,
        standings,
        settings.authenticator_seal,
        issuer=settings.authenticator_issuer,
    ).add_to(own)
    PasswordResets(
        database,
        memberships,
        passwords,
        guards,
        standings,
        post,
        letters,
        ttl_seconds=settings.reset_ttl,
    ).add_to(own)
    Agents(
        database,
        passwords,
        standings,
        Invitations(guards, post, letters),
        proofs,
        proof_required=settings.require_verified_email,
    ).add_to(own)
    CustomRoles(standings).add_to(own)
    ApiKeys(standings).add_to(own)
    Company(standings).add_to(own)
    audit.add_to(own)
    event_types.add_to(own)
    bus = RequestClient(
        settings.amqp_url, settings.signatures, timeout=settings.request_timeout_seconds
    )
    Journeys(bus).add_to(own)
    Presence(bus).add_to(own)
    own.check(rows)
    # Without the broker ingress and own data still work: not to be taken out of service for it.
    for name in ("rabbitmq", "topology", "publishing", "consuming"):
        service.health.tolerate(name)
    service.health.require("requests", bus.check)
    service.health.tolerate("requests")
    service.speaks(bus.router())
    service.speaks(raw_webhooks())
    spool = Spool(service.pool("ingress", CONNECTIONS), service.publisher)
    erasures.add_to(service)
    endpoint_notices.add_to(service, post, letters)

    quotas = Quotas(
        database,
        per_tenant=settings.rate_limit_per_tenant,
        per_key=settings.rate_limit_per_key,
    )
    streams = Streams(
        SharedPages(bus),
        per_tenant=settings.streams_per_tenant,
        at_most=settings.streams_at_most,
    )
    notices = Notices(settings.amqp_url, streams)
    service.speaks(notices.router())
    backing = Backing(
        callers=KnownCallers(tokens, standings, proof_required=settings.require_verified_email),
        quotas=quotas,
        witness=AuditedActs(database),
        own=own,
        bus=bus,
        files=Files(
            settings.media_store,
            settings.media_links,
            max_bytes=settings.upload_max_bytes,
            seconds=settings.upload_seconds,
            at_once=settings.uploads_at_once,
        ),
        streams=streams,
        bodies=Bodies(),
    )
    api.add_to(service.app, rows, backing)
    service.app.router.routes.append(jwks_route(tokens))
    # The receiver around it: webhooks of WAHA are never refused for what others ask.
    service.app.add_middleware(Admission, lag=service.lag)
    service.app.add_middleware(WahaReceiver, master_keys=settings.ingress_master_keys, spool=spool)
    edge.install(service.app, settings.cors_allowed_origins)
    service.app.add_middleware(
        ProxyHeadersMiddleware, trusted_hosts=[str(network) for network in settings.trusted_proxies]
    )

    async def purge() -> None:
        """Forget expired logins, old attempts and old acts."""
        while True:
            async with database.system("purge") as tx:
                await purge_refresh_tokens(tx)
                await purge_tallies(tx)
                await purge_audit_log(tx, settings.audit_days)
            await asyncio.sleep(_PURGE_SECONDS)

    for kept_in, column, key, seal in (
        ("authenticators", "sealed_secret", "user_id", settings.authenticator_seal),
        ("mails", "sealed", "id", settings.mail_seal),
    ):
        service.keeps_sealed(SealedColumn(kept_in, column, seal, ("users", "login"), key))
    service.examines("media store", settings.media_store.examine)

    if post.sends:
        service.health.prefer("mail", post.check)
        service.background("mail", post.run)
    service.background("requests", bus.run)
    service.background("feed_notices", notices.run)
    service.background("streams", lambda: streams.drain(service.health))
    service.background("spool", spool.run)
    service.background("access", standings.run)
    service.background("quotas", quotas.run)
    service.background("purge-logins", purge)
    return service


def _mailer(settings: GatewaySettings) -> Mailer | None:
    """Who brings mail: a server, the log of who develops, or nobody."""
    if half := settings.half_set():
        raise ConfigurationError(half)
    server, sender = settings.smtp_server, settings.mail_sender
    if server is not None and sender is not None:
        return SmtpMailer(server, sender)
    return None if settings.is_production else LoggingMailer()


def main() -> None:
    """Console script `crm-gateway`."""
    run_service(GATEWAY, create_service, GatewaySettings, [ERASE])
