"""Alerts that no test causes, each with the reason."""

EXCUSED = {
    "ApiSheds": "asking for more than the gateway can do leaves its watchers no processor here:"
    " services/gateway/tests/unit/test_admission.py asks, and reads the metric",
}
