"""Requests that talk to WAHA: drive its session, show its QR code."""

from service_kit.calls import Call
from service_kit.cause import Cause
from service_kit.database import Database
from service_kit.errors import NotFoundError, PreconditionFailedError
from shared_events.channels.channel import Channel, DriveChannel, GetQrCode, QrCode

from crm_channels_waha.channels import repository
from crm_channels_waha.channels.asking import asking_waha
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.waha.client import Waha
from crm_channels_waha.waha.configuration import Subscription
from crm_channels_waha.waha.session import WahaSession

_NOT_PAIRING = "not_pairing", "The WAHA session does not wait for a scan; start it first."


class Driving:
    """No transaction is open while WAHA is asked; callers wait at most `timeout` seconds."""

    def __init__(
        self,
        database: Database,
        connections: Connections,
        status: StatusBook,
        *,
        timeout: float,
    ) -> None:
        self._database = database
        self._connections = connections
        self._status = status
        self._timeout = timeout

    async def drive(self, request: DriveChannel, call: Call) -> Channel:
        """Start, stop, restart or log out; starting registers our webhook in the session."""
        tenant_id = call.principal.tenant_id
        async with self._database.tenant(tenant_id, read_only=True) as tx:
            row = await repository.find(tx, request.channel_id)
            PreconditionFailedError.check(call.expected_version, row.version)
            if request.action == "start":
                await repository.require_own_session(tx, row)
        async with asking_waha(self._timeout):
            waha = self._connections.waha(row)
            if request.action == "start":
                session = await _start(waha, self._connections.subscription(row))
            else:
                session = await waha.drive(request.action)
        async with self._database.tenant(tenant_id, cause=Cause(call.correlation_id)) as tx:
            written = await self._status.answered(tx, row, session)
            if request.action == "logout" and written and written.status != "pairing":
                written = await self._status.declare(tx, request.channel_id, "logged_out", None)
        if written is None:
            raise NotFoundError("channel")
        return self._connections.resource(written)

    async def qr_code(self, request: GetQrCode, call: Call) -> QrCode:
        """The code to scan now; each lives 20 to 60 seconds."""
        async with self._database.tenant(call.principal.tenant_id, read_only=True) as tx:
            row = await repository.find(tx, request.channel_id)
        async with asking_waha(self._timeout, waiting=_NOT_PAIRING):
            mimetype, image = await self._connections.waha(row).qr_code()
        return QrCode(mimetype=mimetype, data=image)


async def _start(waha: Waha, subscription: Subscription) -> WahaSession:
    session = await waha.describe()
    if session is None:
        return await waha.create(subscription.new_config())
    config = subscription.applied_to(session.config)
    if config != session.config:  # a PUT restarts the session: only when something changes
        await waha.configure(config)
    return await waha.drive("start")
