"""Alerts that no test causes, each with the reason."""

EXCUSED = {
    "ApiSheds": "asking for more than the gateway can do leaves its watchers no processor here:"
    " tests/e2e/journeys/test_overload.py asks, and reads the metric",
}
