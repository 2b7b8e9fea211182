"""How a channel reaches WAHA, and how WAHA reaches us."""

from datetime import UTC, datetime
from uuid import UUID

from service_kit.media_links import MediaLinks
from service_kit.sealing import Seal, WrongKeyError
from shared_events.channels import ingress
from shared_events.channels.channel import Channel, WahaConnection

from crm_channels_waha.channels import quiet_hours, restrictions, rules, warm_up
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.waha.client import Waha, WahaRefusedError
from crm_channels_waha.waha.configuration import WEBHOOK_PATH, Subscription
from crm_channels_waha.waha.http import WahaHttp, WahaTimeouts


class Connections:
    """Turns channel rows into WAHA clients, subscriptions and resources."""

    def __init__(self, settings: ChannelsSettings, http: WahaHttp) -> None:
        self.seal = Seal(settings.encryption_key)
        self.links = MediaLinks(
            settings.signatures, settings.public_base_url, settings.media_waha_link_seconds
        )
        self._http = http
        self._master_key = settings.ingress_master_key.get_secret_value()
        previous = settings.ingress_master_key_previous
        self._known_keys = [
            self._master_key,
            *([previous.get_secret_value()] if previous is not None else []),
        ]
        self._public_base_url = settings.public_base_url.rstrip("/")
        self._timeouts = WahaTimeouts(
            settings.waha_text_timeout_seconds,
            settings.waha_media_timeout_seconds,
            settings.waha_control_timeout_seconds,
            settings.media_timeout_seconds,
        )

    def waha(self, row: ChannelRow) -> Waha:
        """A client of the channel's WAHA session; WahaRefusedError if its key cannot be sent."""
        try:
            api_key = self.seal.open_text(row.waha_api_key_encrypted)
        except WrongKeyError as error:
            raise WahaRefusedError(str(error)) from None
        if not rules.is_sendable(api_key):
            raise WahaRefusedError("the API key cannot be a header's value")
        return Waha(self._http, row.waha_base_url, row.waha_session, api_key, self._timeouts)

    def subscription(self, row: ChannelRow) -> Subscription:
        """Our webhook for the channel; nobody has to look anything up to accept its posts."""
        address = _address(row)
        token = ingress.channel_token(self._master_key, address)
        return Subscription(
            url=f"{self._public_base_url}{WEBHOOK_PATH}{token}",
            hmac_key=ingress.webhook_hmac_key(self._master_key, address),
            tenant_id=row.tenant_id,
            channel_id=str(row.id),
            is_ours=lambda url: self._leads_to(address, url),
        )

    def _leads_to(self, address: ingress.ChannelAddress, url: str) -> bool:
        """Whether a webhook URL is this channel's: its token proves it, its host does not."""
        _, found, token = url.partition(WEBHOOK_PATH)
        claims = (ingress.read_channel_token(key, token) for key in self._known_keys if found)
        return any(
            claimed is not None
            and (claimed.tenant_id, claimed.channel_id) == (address.tenant_id, address.channel_id)
            for claimed in claims
        )

    def resource(self, row: ChannelRow, *, with_key: bool = False) -> Channel:
        """The channel as customers see it; the webhook's HMAC key only when it was just made."""
        subscription = self.subscription(row)
        return Channel(
            id=row.id,
            name=row.name,
            type=row.type,
            status=row.status,
            status_reason=row.status_reason,
            phone=row.phone,
            waha=WahaConnection(base_url=row.waha_base_url, session=row.waha_session),
            webhook_url=subscription.url,
            webhook_hmac_key=subscription.hmac_key if with_key else None,
            session_timeout_minutes=row.session_timeout_seconds / 60,
            session_timeout_seconds=row.session_timeout_seconds,
            allow_groups=row.allow_groups,
            send_seen=row.send_seen,
            link_previews=row.link_previews,
            simulate_typing=row.simulate_typing,
            reject_calls=row.reject_calls,
            quiet_hours=quiet_hours.of(row),
            warm_up=warm_up.of(row),
            restriction=restrictions.of(row, datetime.now(UTC)),
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


def _address(row: ChannelRow) -> ingress.ChannelAddress:
    return ingress.ChannelAddress(UUID(row.tenant_id), row.id, row.key_generation)
