from crm_webhooks.deliveries import metrics
from prometheus_client import REGISTRY


class TestDisabled:
    def test_is_counted_from_nothing_so_that_the_first_is_an_increase(self) -> None:
        name, *_ = (family.name for family in metrics.DISABLED.collect())
        for reason in ("gone", "failing"):
            assert REGISTRY.get_sample_value(f"{name}_total", {"reason": reason}) is not None
