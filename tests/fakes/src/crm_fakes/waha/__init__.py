"""WAHA simulator: sessions, sends, webhooks and faults of a WhatsApp HTTP API server."""

from crm_fakes.waha.deliveries import Attempt, Delivery
from crm_fakes.waha.faults import Fault, FaultKind, Faults
from crm_fakes.waha.messages import Engine, Location, Media, Message, Poll
from crm_fakes.waha.sessions import WahaSession
from crm_fakes.waha.simulator import Inbound, WahaSimulator
from crm_fakes.waha.whatsapp import Timing

__all__ = [
    "Attempt",
    "Delivery",
    "Engine",
    "Fault",
    "FaultKind",
    "Faults",
    "Inbound",
    "Location",
    "Media",
    "Message",
    "Poll",
    "Timing",
    "WahaSession",
    "WahaSimulator",
]
