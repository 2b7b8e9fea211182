"""A page of a chat's history means what it would have meant live."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.history.models import HistoryImportRow
from crm_channels_waha.history.reading import read
from crm_channels_waha.waha.meaning import Heard
from service_kit.cause import Cause

UNTIL = datetime(2026, 7, 23, 10, 0, tzinfo=UTC)
CHANNEL = ChannelRow.model_construct(
    id=uuid4(),
    tenant_id="t",
    name="Loja",
    session_timeout_seconds=1800,
    allow_groups=True,
    waha_base_url="http://waha.internal:3000",
    waha_session="default",
    phone="5511900000001",
)
JOB = HistoryImportRow.model_construct(
    id=uuid4(),
    tenant_id="t",
    channel_id=CHANNEL.id,
    until=UNTIL,
    since=None,
    notify=False,
    recovered=False,
)


def message(chat: str, **payload: Any) -> dict[str, Any]:
    return {"id": f"false_{chat}_{uuid4().hex}", "timestamp": 1784800119, "body": "oi", **payload}


class TestPage:
    @pytest.mark.parametrize(
        "row",
        [
            message("5511900000001@c.us", fromMe=True),
            message("0@c.us"),
            message("5511988880001@c.us", body="", _data={"type": "e2e_notification"}),
            message("5511988880001@c.us", body="", _data={"type": "revoked"}),
            message("5511988880001@c.us", body=None, _data={"key": {}, "messageStubType": 2}),
        ],
    )
    def test_holds_nothing_that_nobody_wrote_to_us(self, row: dict[str, Any]) -> None:
        page = read(JOB, CHANNEL, [row, message("5511988880001@c.us")], Cause("c"))
        heard = [one for one in page.understood if isinstance(one.meaning, Heard)]
        assert (len(heard), page.errors) == (1, 0)
