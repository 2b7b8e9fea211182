"""Prometheus metrics of sending. No tenant and no URL in a label."""

from prometheus_client import Counter, Gauge, Histogram

ATTEMPTS = Counter(
    "webhooks_attempts_total", "Attempts, by failure class or `delivered`", ["outcome"]
)
ATTEMPT_SECONDS = Histogram(
    "webhooks_attempt_duration_seconds",
    "Time of one attempt",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
EXHAUSTED = Counter("webhooks_exhausted_total", "Deliveries given up on")
DISABLED = Counter("webhooks_endpoints_disabled_total", "Endpoints disabled by us", ["reason"])
for _reason in ("gone", "failing"):
    DISABLED.labels(_reason)  # there from the start: an alert on what is added would miss the first
_IN_FLIGHT = Gauge("webhooks_in_flight", "Attempts in flight", ["slots"])
FAST_IN_FLIGHT, SLOW_IN_FLIGHT = _IN_FLIGHT.labels("fast"), _IN_FLIGHT.labels("slow")
IN_HAND = Gauge("webhooks_in_hand", "Deliveries leased by this process")
FLUSH_SIZE = Histogram(
    "webhooks_flush_size", "Attempts written together", buckets=(1, 2, 5, 10, 20, 50, 100, 200)
)
LAG_SECONDS = Histogram(
    "webhooks_lag_seconds",
    "From an event to its first attempt, where nothing of the customer's has held it",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300),
)
