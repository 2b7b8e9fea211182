import asyncio
import time

from crm_testing.services import eventually
from prometheus_client import REGISTRY
from service_kit import loop_lag

NAME = "crm_event_loop_lag_seconds"


def measured(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"{NAME}_{name}", labels) or 0.0


async def test_what_holds_the_loop_up_is_how_late_it_wakes_who_waits() -> None:
    measuring = asyncio.create_task(loop_lag.measure())
    try:
        await asyncio.sleep(0)  # it has begun to wait
        count, late = measured("count"), measured("sum")
        end = time.monotonic() + 1
        while time.monotonic() < end:
            pass

        async def observed() -> bool:
            return measured("count") > count

        await eventually(observed)
        assert measured("sum") - late >= 0.4
    finally:
        measuring.cancel()
