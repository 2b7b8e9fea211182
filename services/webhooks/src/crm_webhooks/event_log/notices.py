"""Telling the gateways whose feeds have grown, for those who follow them."""

import asyncio
from collections.abc import Iterable
from typing import NoReturn
from uuid import uuid4

from faststream.rabbit import RabbitRouter
from service_kit.bus import Publisher, UnroutableError
from shared_events.notices import FEED_NOTICES, FeedsGrown


class Notices:
    """Gathers whose feeds have grown while the last notice was on its way, and tells it once.

    A notice may be lost with this process: gateways also look by themselves.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._grown: set[str] = set()
        self._news = asyncio.Event()

    def grown(self, tenant_ids: Iterable[str]) -> None:
        """Have it told that these companies' feeds have grown."""
        self._grown.update(tenant_ids)
        self._news.set()

    async def run(self) -> NoReturn:
        """Tell it until cancelled; raises BrokerDownError, after which it goes on from there."""
        while True:
            await self._news.wait()
            told, self._grown = self._grown, set()
            self._news.clear()
            try:
                await self._tell(told)
            except BaseException:
                self.grown(told)
                raise

    async def _tell(self, tenant_ids: set[str]) -> None:
        notice = FeedsGrown(tenant_ids=sorted(tenant_ids))
        try:
            await self._publisher.publish(
                FEED_NOTICES,
                "",
                notice.model_dump_json().encode(),
                message_id=str(uuid4()),
                headers={},
            )
        except UnroutableError:
            return  # no gateway runs, so nobody follows anything


def spoken() -> RabbitRouter:
    """What it says on the bus, for AsyncAPI."""
    router = RabbitRouter()
    router.publisher(
        exchange=FEED_NOTICES,
        title=FEED_NOTICES.name,
        description=FeedsGrown.__doc__,
        schema=FeedsGrown,
    )
    return router
