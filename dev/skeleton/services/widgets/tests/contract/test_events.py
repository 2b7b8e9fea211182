"""What this service publishes can be read by everybody."""

from crm_testing.services import Company, read_back
from shared_events.widgets.widget import CreateWidget, WidgetCreated


class TestPublished:
    async def test_a_widget_made_is_told_of(self, company: Company) -> None:
        made = await company.value(CreateWidget(name="ours"))
        (row,) = await company.outbox("widget.created")
        told = read_back(row)
        assert isinstance(told.data, WidgetCreated)
        assert told.data.widget.name == "ours"
        assert str(told.aggregate_id) == made["id"]
