import base64
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from asyncpg import Record
from pydantic import AwareDatetime
from service_kit.errors import MalformedError
from service_kit.paging import Order
from sqlalchemy import Column, MetaData, Table

TABLE = Table("things", MetaData(), Column("at"), Column("id"), Column("tenant_id"))
KEYS = [(TABLE.c.at, AwareDatetime), (TABLE.c.id, UUID)]
ORDER = Order("things", KEYS, tenant=TABLE.c.tenant_id)
NAMES = Order("names", [(TABLE.c.at, str)], tenant=TABLE.c.tenant_id)


def row(**values: Any) -> Record:
    return cast(Record, values)


class TestCursor:
    def test_reads_back_what_it_names(self) -> None:
        at, thing = datetime.now(UTC), uuid4()
        assert ORDER.read(ORDER.cursor(row(at=at, id=thing))) == (at, thing)

    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            "x",
            "ção",
            "bnVsbA",
            base64.b64encode(b'["things","now"]').decode(),
            base64.b64encode(b'["things",1,2]').decode(),
            base64.b64encode(
                f'["things","0001-01-01T00:00:00+14:00","{UUID(int=1)}"]'.encode()
            ).decode(),
            base64.b64encode(f'["things","2026-03-01T12:00","{UUID(int=1)}"]'.encode()).decode(),
        ],
    )
    def test_is_refused_when_we_did_not_give_it(self, cursor: str) -> None:
        with pytest.raises(MalformedError) as refused:
            ORDER.read(cursor)
        assert refused.value.problem.code == "invalid_cursor"

    def test_is_refused_when_it_is_of_another_list(self) -> None:
        other = Order("others", KEYS, tenant=TABLE.c.tenant_id)
        cursor = other.cursor(row(at=datetime.now(UTC), id=uuid4()))
        with pytest.raises(MalformedError):
            ORDER.read(cursor)

    def test_is_refused_when_it_holds_text_no_database_holds(self) -> None:
        with pytest.raises(MalformedError):
            NAMES.read(NAMES.cursor(row(at="a\x00b")))
