"""Figure 6: search, lists, filters, boards of a company among a thousand, by the service's code.

`CONTACTS` of them are the one company's (100,000), made by SQL. Alone, on any PostgreSQL that may
be filled: `DATABASE_ADMIN_URL=... CONTACTS=1000000 python -m bench.contacts`.
"""

import asyncio
import os
from uuid import UUID

import asyncpg
from crm_contacts.board import repository as board
from crm_contacts.contact_lists import members
from crm_contacts.contact_lists.models import ContactList
from crm_contacts.contacts import listing
from service_kit.calls import Call
from shared_events.contacts.contact import ListContacts
from shared_events.contacts.contact_filter import Filter
from shared_events.contacts.contact_list import ListListed, PreviewContacts
from shared_events.requests import Principal

from bench.database import Work, cost, filled
from bench.figures import Figure

SIZE = int(os.environ.get("CONTACTS", "100000"))
OTHERS, OF_EACH = 999, 100
_BIG, _NAME = "big", "crm_bench_contacts"
_STATUS = UUID(int=7)
_SEARCHES: dict[str, dict[str, object]] = {
    "a common word": {"search": "maria"},
    "first and last name": {"search": "livia wanderley"},
    "last digits": {"search": "0012345"},
    "e-mail": {"search": "cliente7777@"},
    "a custom field": {"search": "pedido 4242"},
    "a tag": {"search": "raro"},
    "nobody": {"search": "ninguem"},
}
_LISTS: dict[str, dict[str, object]] = {
    "newest": {},
    "by name": {"sort": "name"},
    "of a tag": {"tags": ["raro"]},
}
# Values that one in 100,000 has, one in 1,000 and so on, a third, and nobody.
_FILTERS: dict[str, list[tuple[str, object]]] = {
    "a rare value": [("lote", 7)],
    "a middling value": [("turma", 7)],
    "1 in 200": [("loja", 7)],
    "1 in 30": [("dia", 7)],
    "a common value": [("plano", "pro")],
    "a common and a middling": [("plano", "pro"), ("turma", 7)],
    "no value": [("plano", "ouro")],
}
# Every 1,000th has the rare tag, every 10th the status.
_FILL = """
INSERT INTO contacts (id, tenant_id, name, phone, email, tags, tag_keys, custom_fields, source,
    search_text, sort_name, pipeline_id, pipeline_status_id, version, created_at, updated_at)
SELECT gen_random_uuid(), $1, name, phone, email, tags, tags,
    fields || jsonb_build_object('nota', note),
    'import', concat_ws(' ', '', name, phone, email, array_to_string(tags, ' '), note), name,
    status, status, 1, now() - i * interval '1 minute', now()
FROM (SELECT i,
    (ARRAY['maria', 'jose', 'ana', 'joao', 'livia'])[1 + floor(5 * random() ^ 3)::integer] || ' '
        || (ARRAY['silva', 'santos', 'souza', 'lima', 'wanderley'])[
            1 + floor(5 * random() ^ 3)::integer] || ' ' || substr(md5(i::text), 1, 4) AS name,
    '+5511' || 900000000 + i + $3 AS phone, 'cliente' || i || '@exemplo.com' AS email,
    CASE WHEN i % 1000 = 0 THEN '{raro}'::text[] ELSE '{vip}' END AS tags,
    'pedido ' || i AS note, jsonb_build_object('lote', i % 100000, 'turma', i * 7 % 1000,
        'loja', i * 3 % 200, 'dia', i * 11 % 30,
        'plano', (ARRAY['pro', 'free', 'free'])[1 + i % 3]) AS fields,
    CASE WHEN i % 10 = 0 THEN $4::uuid END AS status
    FROM generate_series(1, $2::integer) AS i) AS made
"""


async def found(admin_url: str) -> list[Figure]:
    """Fill a database of that server's and look for contacts in it."""
    reads: dict[str, Work] = {
        **{f"search, {name}": _listing(query) for name, query in _SEARCHES.items()},
        **{f"list, {name}": _listing(query) for name, query in _LISTS.items()},
        **{f"filter, {name}": _filtered(values) for name, values in _FILTERS.items()},
        **{f"preview, {name}": _previewed(values) for name, values in _FILTERS.items()},
        "board, a status": lambda tx: board.newest(tx, [_STATUS], 20),
    }
    async with filled(admin_url, "crm_contacts", "contacts", _fill) as database:
        return [
            (f"6 {name}, of {SIZE}", await cost(database, _BIG, work))
            for name, work in reads.items()
        ]


async def _fill(superuser: asyncpg.Connection) -> None:
    await superuser.execute(_FILL, _BIG, SIZE, 0, _STATUS)
    for number in range(OTHERS):
        await superuser.execute(_FILL, f"other-{number}", OF_EACH, number, None)
    await superuser.execute("VACUUM ANALYZE contacts")


def _listing(query: dict[str, object]) -> Work:
    request = ListContacts.model_validate(query)
    return lambda tx: listing.list_contacts(tx, request)


def _filtered(values: list[tuple[str, object]]) -> Work:
    """The first page of a list that is who has these values."""
    filter_ = _of(values)
    row = ContactList.model_construct(filter=filter_.model_dump(mode="json"))
    return lambda tx: members.page_of(tx, row, ListListed(list_id=UUID(int=1)))


def _previewed(values: list[tuple[str, object]]) -> Work:
    """As many as are counted, and the newest of them."""
    request, call = PreviewContacts(filter=_of(values)), Call(Principal(tenant_id=_BIG), "bench")
    return lambda tx: members.preview(tx, request, call)


def _of(values: list[tuple[str, object]]) -> Filter:
    rules = [
        {"field": f"custom_fields.{key}", "operator": "eq", "value": value} for key, value in values
    ]
    return Filter.model_validate({"groups": [{"rules": rules}]})


if __name__ == "__main__":
    for figure in asyncio.run(found(os.environ["DATABASE_ADMIN_URL"])):
        print(*figure)
