"""What Prometheus says fires, and a look that nothing else does."""

import time
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
from e2e.crm import eventually

FIRES_SECONDS = 240.0
"""The longest alert takes 90 s to fire, and an outage some time to show."""
QUIET_SECONDS = 360.0
"""The longest window is three minutes, and a service takes some time to be back."""
OF_THE_MACHINE = "LoopLags"
"""Fires where there is no processor to spare, and is right: no fault of the alert looked for."""
_NOT_ITS_SUBJECT = {"__name__", "alertname", "alertstate", "severity", "instance", "job"}


class Watch:
    """Asks one Prometheus. An alert is named with what it is about, such as `ServiceDown webhooks`:
    its labels' values in the order of the labels' names."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=30)

    async def close(self) -> None:
        """Ask no more."""
        await self._http.aclose()

    async def ask(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        answer = await self._http.get("/api/v1/query", params={"query": expression})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    async def firing(self, within: float = 0) -> set[str]:
        """What fires now, or has fired within so many seconds."""
        alerts = 'ALERTS{alertstate="firing"}'
        over = f"max_over_time({alerts}[{max(round(within * 1000), 1)}ms])" if within else alerts
        return {_named(sample["metric"]) for sample in await self.ask(over)}

    async def fires(self, *alerts: str) -> None:
        """Wait until all of these fire at the same time."""

        async def all_of_them() -> bool:
            return set(alerts) <= await self.firing()

        try:
            await eventually(all_of_them, "alerts", seconds=FIRES_SECONDS, every=0.5)
        except AssertionError as error:
            there = sorted(await self.firing())
            missing = sorted(set(alerts) - set(there))
            raise AssertionError(f"{missing} did not fire, {there} did") from error

    async def quiet(self) -> None:
        """Wait until nothing fires any more, nor is about to."""

        async def none() -> bool:
            return not await self.ask("ALERTS")

        try:
            await eventually(none, "silence", seconds=QUIET_SECONDS, every=0.5)
        except AssertionError as error:
            raise AssertionError(f"{sorted(await self.firing())} did not resolve") from error

    async def sees(
        self,
        cause: AbstractAsyncContextManager[object],
        *expected: str,
        perhaps: Collection[str] = (),
    ) -> None:
        """Have the cause last until all of these fire; until then no other does, and all resolve.

        `perhaps`, by their names alone: what follows from the cause too, if it lasts so long here.
        What fires while all comes back is not judged: patience is divided here, and the time that
        a process takes to start is not.
        """
        await self.quiet()
        began = time.time()
        async with cause:
            await self.fires(*expected)
            others = await self.firing(within=time.time() - began) - set(expected)
        await self.quiet()
        allowed = {*perhaps, OF_THE_MACHINE}
        unwanted = sorted(one for one in others if one.partition(" ")[0] not in allowed)
        assert not unwanted, f"{unwanted} fired as well"


def _named(labels: dict[str, str]) -> str:
    about = (labels[name] for name in sorted(labels) if name not in _NOT_ITS_SUBJECT)
    return " ".join([labels["alertname"], *about])
