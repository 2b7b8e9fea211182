"""This service's part of an erasure (docs/adr/0022)."""

from service_kit.erasing import Erasures, Pass
from service_kit.media_store import MediaStore
from service_kit.service import Service
from shared_events.channels.erasure import ErasedByChannels
from shared_events.contacts.erasure import ErasureStarted
from shared_events.topology import CHANNELS_ERASURES

from crm_channels_waha.erasures import files
from crm_channels_waha.erasures.statements import PICTURES, conversations, erase


def add_to(service: Service, store: MediaStore) -> None:
    """What is owed to an erased person is not sent any more; what was sent is emptied."""

    async def everything(one: Pass) -> None:
        await one.erase("profile_pictures", PICTURES, one.chats)  # before their files
        await files.erase(one, store)
        await erase(one)

    erasures = Erasures(service, ErasedByChannels, everything, conversations)
    service.on(CHANNELS_ERASURES, ErasureStarted, erasures.on_started, together=True)
