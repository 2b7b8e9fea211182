from crm_widgets.settings import WidgetsSettings
from shared_events.services import WIDGETS


class TestWidgetsSettings:
    def test_listen_where_the_list_of_services_says(self) -> None:
        assert WidgetsSettings.model_fields["server_port"].default == WIDGETS.port
