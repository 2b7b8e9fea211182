"""WAHA sessions: one WhatsApp account each, with its config, status and history."""

import asyncio
import re
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from crm_fakes.waha.errors import VERSION, WahaError, bad_request
from crm_fakes.waha.messages import Engine, Message

STOPPED, STARTING, SCAN_QR_CODE = "STOPPED", "STARTING", "SCAN_QR_CODE"
WORKING, FAILED = "WORKING", "FAILED"

NAME = re.compile(r"[A-Za-z0-9_-]{1,54}\Z")
EVENTS = frozenset(
    {
        *("message", "message.any", "message.ack", "message.ack.group", "message.reaction"),
        *("message.edited", "message.revoked", "message.waiting", "session.status"),
        *("poll.vote", "poll.vote.failed", "event.response", "event.response.failed"),
        *("presence.update", "call.received", "call.accepted", "call.rejected"),
        *("chat.archive", "label.upsert", "label.deleted", "label.chat.added"),
        *("label.chat.deleted", "group.v2.join", "group.v2.leave", "group.v2.update"),
        *("group.v2.participants", "group.join", "group.leave"),
        *("state.change", "engine.event", "*"),
    }
)
NOT_IN_STAR = frozenset({"engine.event", "state.change"})
_CONFIG_FIELDS = frozenset(
    {"metadata", "webhooks", "ignore", "proxy", "debug", "client", "noweb", "gows", "webjs"}
)
_IGNORED_CHATS = {
    "status": re.compile(r"status@broadcast"),
    "groups": re.compile(r".*@g\.us"),
    "channels": re.compile(r".*@newsletter"),
    "broadcast": re.compile(r"\d+@broadcast"),
}


def checked_config(value: Any) -> dict[str, Any]:
    """Return the config with unknown fields dropped; raises the 400 of a bad one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_request("config must be an object")
    problems = []
    for index, hook in enumerate(value.get("webhooks") or []):
        if not re.match(r"https?://.", str(hook.get("url", ""))):
            problems.append(f"config.webhooks.{index}.url must be a URL address")
        unknown = [event for event in hook.get("events") or [] if event not in EVENTS]
        if unknown or not hook.get("events"):
            problems.append(f"config.webhooks.{index}.events: unknown or missing {unknown}")
        policy = (hook.get("retries") or {}).get("policy", "constant")
        if policy not in ("constant", "linear", "exponential"):
            problems.append(f"config.webhooks.{index}.retries.policy must be a valid enum value")
    if problems:
        raise bad_request(*problems)
    return {key: item for key, item in value.items() if key in _CONFIG_FIELDS}


@dataclass
class WahaSession:
    """One session. `messages` is what WhatsApp holds of its chats, by bare id.

    While it is `deaf` for so many restarts it works by its own word, and tells nothing. A
    `timelock` is WhatsApp's restriction, which `me` shows where the build `tells_timelock`.
    """

    name: str
    engine: Engine
    config: dict[str, Any] = field(default_factory=dict)
    status: str = STOPPED
    statuses: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=3))
    phone: str | None = None
    push_name: str = ""
    qr: str = ""
    messages: dict[str, Message] = field(default_factory=dict)
    lids: dict[str, str] = field(default_factory=dict)
    activity: int = 0
    deaf: int = 0
    timelock: dict[str, Any] | None = None
    tells_timelock: bool = True
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def me_id(self) -> str:
        """Our chat id; raises if nobody has paired yet."""
        if self.phone is None:
            raise RuntimeError(f"WAHA session {self.name} is not paired")
        return f"{self.phone}@c.us"

    @property
    def me(self) -> dict[str, Any] | None:
        """The account, in the engine's shape; None before login."""
        if self.phone is None:
            return None
        account = {"id": self.me_id, "pushName": self.push_name, "lid": "201122334455667@lid"}
        if self.engine == "GOWS":
            account["jid"] = f"{self.phone}:12@s.whatsapp.net"
        if self.timelock is not None and self.tells_timelock:
            return {**account, "reachoutTimelock": self.timelock}
        return account

    def may_write_to(self, chat: str) -> bool:
        """Whether WhatsApp takes a message to a chat: under a restriction to who wrote before."""
        lock = self.timelock
        if lock is None or not lock["isActive"]:
            return True
        ends = lock["timeEnforcementEnds"]
        if ends is not None and ends <= time.time():
            return True
        return any(m.chat == chat and not m.from_me for m in self.messages.values())

    @property
    def environment(self) -> dict[str, Any]:
        """The `environment` of an envelope and of the version call."""
        return {
            "version": VERSION,
            "engine": self.engine,
            "tier": "CORE",
            "browser": "/usr/bin/google-chrome-stable" if self.engine == "WEBJS" else None,
            "platform": "linux/x64",
            "worker": {"id": "waha-1"},
        }

    @property
    def keeps_history(self) -> bool:
        """NOWEB has no chats nor messages to show without its store."""
        if self.engine != "NOWEB":
            return True
        return bool(((self.config.get("noweb") or {}).get("store") or {}).get("enabled"))

    def enter(self, status: str) -> None:
        """Record a status with its time in ms."""
        self.status = status
        self.statuses.append({"status": status, "timestamp": int(time.time() * 1000)})
        self.changed.set()
        self.changed = asyncio.Event()

    async def reach(self, timeout: float, *wanted: str) -> bool:
        """Wait at most `timeout` seconds for one of the statuses; say whether it came."""
        try:
            async with asyncio.timeout(timeout):
                while self.status not in wanted:
                    await self.changed.wait()
        except TimeoutError:
            return False
        return True

    def ignores(self, chat: str) -> bool:
        """Whether `config.ignore` drops webhooks of this chat."""
        ignore = self.config.get("ignore") or {}
        return any(
            ignore.get(kind) and chats.fullmatch(chat) for kind, chats in _IGNORED_CHATS.items()
        )

    def hooks(self, event: str) -> list[dict[str, Any]]:
        """Return the webhooks that subscribe to an event."""
        return [
            hook
            for hook in self.config.get("webhooks") or []
            if event in hook["events"] or ("*" in hook["events"] and event not in NOT_IN_STAR)
        ]

    def described(self) -> dict[str, Any]:
        """Return what `GET /api/sessions/{name}` answers."""
        return {
            "name": self.name,
            "status": self.status,
            "config": self.config,
            "me": self.me,
            "engine": {"engine": self.engine},
            "presence": None,
            "timestamps": {"activity": self.activity or None},
            "assignedWorker": "waha-1",
        }


def checked_name(name: Any) -> str:
    """Return a valid session name; raises the 400 of a bad one."""
    if not isinstance(name, str) or not NAME.match(name):
        raise bad_request("name must match /^[a-zA-Z0-9_-]*$/ and be at most 54 characters")
    return name


def already_exists(name: str) -> WahaError:
    """Return the 422 of creating a session twice."""
    message = f"Session '{name}' already exists. Use PUT to update it."
    return WahaError(422, {"statusCode": 422, "message": message, "error": "Unprocessable Entity"})
