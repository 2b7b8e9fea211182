"""Prometheus metrics of this service."""

from prometheus_client import Counter, Gauge

WAHA_EVENTS = Counter("crm_waha_events_total", "WAHA events by outcome", ["event", "outcome"])
WAHA_STALLED = Gauge(
    "crm_waha_stalled_messages", "Messages that WhatsApp has not got for long", ["channel", "state"]
)
WAHA_DEAF = Gauge(
    "crm_waha_deaf_channels", "Channels that work by their own word and hear nothing", ["channel"]
)
WAHA_PROBES = Counter(
    "crm_waha_probes_total", "Looks whether a channel misses messages, by outcome", ["outcome"]
)
WAHA_SENDS = Counter("crm_waha_sends_total", "Requests to send by outcome", ["outcome"])
WAHA_SENDS.labels("refused")  # there from the start: an alert on what is added would miss the first
MEDIA = Counter("crm_media_fetches_total", "Attempts to fetch a message's file", ["outcome"])
NUMBER_CHECKS = Counter("crm_number_checks_total", "Numbers asked of WAHA", ["outcome"])
PROFILE_PICTURES = Counter("crm_profile_pictures_total", "Looks at profile pictures", ["outcome"])
