from uuid import uuid4

from service_kit.cause import Cause
from service_kit.incoming import Handling, Incoming, Read
from service_kit.runs import Run, runs


async def anything(*_: object) -> None: ...


async def other(*_: object) -> None: ...


TOGETHER, OTHERS_TOGETHER = Handling(anything, together=True), Handling(other, together=True)
APART = Handling(other)


def read(said: str, handling: Handling | None = TOGETHER) -> Read:
    """A message `a1` of the company `a`."""
    return Read(Incoming(uuid4(), said[0], said, {}, Cause()), handling)


def calls(*reads: Read) -> list[list[str]]:
    return [[message.body for message in run.messages] for run in runs(reads)]


class TestRuns:
    def test_are_one_call_for_all_companies_that_are_at_it(self) -> None:
        assert calls(read("b1"), read("a1"), read("b2"), read("a2")) == [["a1", "a2", "b1", "b2"]]

    def test_keep_each_companys_order_through_several_handlers(self) -> None:
        found = calls(
            read("a1"),
            read("a2", OTHERS_TOGETHER),
            read("a3"),
            read("b1", OTHERS_TOGETHER),
            read("b2"),
        )
        assert found == [["a1"], ["a2", "b1"], ["a3", "b2"]]

    def test_go_on_with_what_most_are_at(self) -> None:
        found = calls(
            read("a1"),
            read("a2", OTHERS_TOGETHER),
            read("b1", OTHERS_TOGETHER),
            read("c1", OTHERS_TOGETHER),
        )
        assert found == [["b1", "c1"], ["a1"], ["a2"]]

    def test_are_one_for_each_company_where_the_handler_wants_it(self) -> None:
        found = list(runs([read("b1", APART), read("a1", APART), read("b2", APART)]))
        assert [(run.tenant_id, len(run.messages)) for run in found] == [("a", 1), ("b", 2)]

    def test_pass_over_what_nobody_handles(self) -> None:
        assert calls(read("a1", None), read("a2")) == [["a2"]]
        assert list[Run](runs([read("a1", None)])) == []
