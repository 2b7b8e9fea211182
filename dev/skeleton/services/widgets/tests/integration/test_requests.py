from uuid import uuid4

from crm_testing.services import Company
from shared_events.widgets.widget import CreateWidget, GetWidget, ListWidgets


class TestWidgets:
    async def test_are_read_as_they_were_made(self, company: Company) -> None:
        made = await company.value(CreateWidget(name="x" * 255))
        assert await company.value(GetWidget(widget_id=made["id"])) == made
        assert (await company.value(ListWidgets()))["data"] == [made]

    async def test_belong_to_one_company(self, company: Company, other_company: Company) -> None:
        made = await company.value(CreateWidget(name="ours"))
        refusal = await other_company.refusal(GetWidget(widget_id=made["id"]))
        assert refusal == ("not_found", "widget_not_found")
        assert (await other_company.value(ListWidgets()))["data"] == []

    async def test_nobody_made_are_not_found(self, company: Company) -> None:
        refusal = await company.refusal(GetWidget(widget_id=uuid4()))
        assert refusal == ("not_found", "widget_not_found")
