"""`make demo`: the whole platform up, the three journeys played on real WAHA payloads, down again.

Every step waits for what it promises and the demo fails, with a non-zero exit, if it does not
come. WhatsApp and the customer's own system are played by `crm_fakes`.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from crm_fakes.receiver import ReceivedRequest, WebhookReceiver
from crm_fakes.waha import WahaSimulator
from rich.console import Console

from crm_dev import commands
from crm_dev.state import Addresses, StackState
from crm_dev.timeline import Timeline

PORT_BASE = "18080"
STEP_SECONDS = 20.0
SESSION = "loja-exemplo"
SILENCE_SECONDS = 3
MARIA = "5511988880001"
GROUP = "120363025246125486@g.us"
PASSWORD = "uma senha bem comprida"  # of a company that ends with the demo


class StepMissingError(Exception):
    """Something the demo promised did not happen in time."""


class Demo:
    """One company, its WhatsApp number, its agent and its own system behind a webhook."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        waha: WahaSimulator,
        receiver: WebhookReceiver,
        line: Timeline,
    ) -> None:
        self.http = http
        self.waha = waha
        self.receiver = receiver
        self.line = line
        self.channel: dict[str, Any] = {}
        self.email = f"ana-{uuid4().hex[:8]}@loja.example"

    async def play(self) -> None:
        """All chapters; raises StepMissingError at the first that does not hold."""
        with self.line.journey("0", "A company joins and connects its WhatsApp number"):
            await self._join()
            await self._connect()
        with self.line.journey("A", "Customers write: contact, session, message, webhook"):
            await self._customers_write()
        with self.line.journey("B", "An agent answers: queued, sent, delivered, read"):
            question, answer = await self._agent_answers()
            await self._minds_change(question, answer)
            await self._a_group_talks()
        with self.line.journey("C", "Conversations end: by an agent, and by silence"):
            await self._conversations_end()

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One REST call that must succeed."""
        answer = await self.http.request(method, path, json=body)
        if answer.is_error:
            raise StepMissingError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    async def _join(self) -> None:
        self.line.mark()
        joined = await self.call(
            "POST",
            "/auth/register",
            {
                "name": "Ana Souza",
                "email": self.email,
                "password": PASSWORD,
                "organization": "Loja Exemplo",
            },
        )
        self.http.headers["Authorization"] = f"Bearer {joined['access_token']}"
        self.line.row("agent", "POST /auth/register", f"{joined['tenant']['name']}, admin Ana")
        endpoint = await self.call("POST", "/webhook-endpoints", {"url": self.receiver.url})
        self.receiver.trust(endpoint["secret"])
        self.line.row("agent", "POST /webhook-endpoints", "all events, signed")

    async def _connect(self) -> None:
        self.line.mark()
        self.channel = await self.call(
            "POST",
            "/channels",
            {
                "name": "Vendas",
                "type": "waha",
                "session_timeout_seconds": SILENCE_SECONDS,
                "waha": {
                    "base_url": self.waha.url,
                    "api_key": self.waha.api_key,
                    "session": SESSION,
                },
            },
        )
        self.line.row("agent", "POST /channels", self.channel["name"])
        await self.call("POST", f"/channels/{self.channel['id']}/start")
        await self.waha.session(SESSION).reach(STEP_SECONDS, "SCAN_QR_CODE")
        code = await self.call("GET", f"/channels/{self.channel['id']}/qr")
        self.line.row("WhatsApp", "QR code", f"{len(code['data'])} bytes of image to scan")
        self.line.mark()
        self.waha.scan(SESSION)
        await self.told("channel.status_changed", "connected", is_connected)

    async def _customers_write(self) -> None:
        for example, who, is_new in (
            ("text_inbound_dm_gows", "Maria", True),
            ("image_inbound_with_caption_webjs", "Maria", False),
            ("text_inbound_lid_gows_with_phone_alt", "João", True),
            ("voice_ptt_inbound_noweb", "Maria", False),
            ("location_inbound_webjs", "Maria", False),
        ):
            await self._post_example(example, who, is_new=is_new)
        self.line.mark()
        await self.waha.post_example("text_inbound_dm_gows", SESSION)
        await self.waha.post_example("text_inbound_dm_gows_message_any_duplicate", SESSION)
        self.line.row("WhatsApp", "the first message again", "twice, as WAHA's retries do")
        await self._post_example("document_inbound_noweb", "Maria")
        page = await self.call("GET", "/messages?limit=100")
        if len(page["data"]) != 6:
            raise StepMissingError(f"6 messages were sent, {len(page['data'])} are stored")
        self.line.row("agent", "GET /messages", "6 messages, none doubled")

    async def _post_example(self, name: str, who: str, *, is_new: bool = False) -> None:
        """One real WAHA webhook; somebody new becomes a contact with a session as well."""
        before = len(list(self.receiver.requests))
        self.line.mark()
        await self.waha.post_example(name, SESSION)
        self.line.row("WhatsApp", f"{who} writes", name)
        first = ("contact.created", "session.started") if is_new else ()
        for event in (*first, "message.received"):
            await self.told(event, name, since=before)

    def _show(self, request: ReceivedRequest) -> None:
        at = time.perf_counter() - (time.monotonic() - request.arrived_monotonic)
        self.line.row("webhook", request.type, described(request.json["data"]), at=at)

    def _require_signature(self, request: ReceivedRequest) -> None:
        if not (request.signature_valid and request.legacy_valid):
            raise StepMissingError(f"the signature of {request.type} does not verify")

    async def _agent_answers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns Maria's question and the answer she got."""
        self.waha.acks = "read"
        await self.waha.receive_text(SESSION, MARIA, "Vocês abrem amanhã?", push_name="Maria Souza")
        question = await self.told(
            "message.received",
            "Maria asks",
            lambda d: d["message"]["content"] == "Vocês abrem amanhã?",
        )
        self.line.mark()
        message = await self.call(
            "POST",
            "/messages/send",
            {
                "contact_id": question["contact"]["id"],
                "channel_id": self.channel["id"],
                "content": "Abrimos sim, às 9 h!",
            },
        )
        self.line.row("agent", "POST /messages/send", f"201, {message['status']}")

        def own(data: dict[str, Any]) -> bool:
            return bool(data["message"]["id"] == message["id"])

        for event in ("message.queued", "message.sent", "message.delivered", "message.read"):
            await self.told(event, "Abrimos sim", own)
        copies = [m.times for m in self.waha.sent.values() if m.text == "Abrimos sim, às 9 h!"]
        if copies != [1]:
            raise StepMissingError(f"WhatsApp received {copies} copies instead of one")
        self.line.row("WhatsApp", "received it", "exactly once")
        self.line.mark()
        await self.waha.sent_from_phone(SESSION, MARIA, "Respondi pelo celular")
        await self.told(
            "message.sent", "phone", lambda d: d["message"]["content"] == "Respondi pelo celular"
        )
        answered: dict[str, Any] = await self.call("GET", f"/messages/{message['id']}")
        return question["message"], answered

    async def _minds_change(self, question: dict[str, Any], answer: dict[str, Any]) -> None:
        """A reaction, an edit and a deletion, by Maria and by the agent."""
        self.line.mark()
        await self.waha.react(SESSION, answer["external_id"], "👍")
        await self.told("message.reaction_changed", "Maria's thumb")
        self.line.mark()
        await self.waha.edit(SESSION, question["external_id"], "Vocês abrem no domingo?")
        await self.told("message.edited", "Maria", lambda d: d["message"]["id"] == question["id"])
        self.line.mark()
        path = f"/messages/{answer['id']}"
        await self.call("PATCH", path, {"content": "No domingo não abrimos."})
        self.line.row("agent", "PATCH /messages/..", "No domingo não abrimos.")
        await self.told("message.edited", "agent", lambda d: d["message"]["id"] == answer["id"])
        self.line.mark()
        await self.call("DELETE", path)
        self.line.row("agent", "DELETE /messages/..", "for everyone")
        await self.told("message.revoked", "agent", lambda d: d["message"]["id"] == answer["id"])
        await self.waha.deliveries.wait_for(lambda d: d.event == "message.revoked", STEP_SECONDS)
        done = [kind for kind, _, _ in self.waha.actions]
        if done != ["edit", "revoke"]:
            raise StepMissingError(f"WhatsApp was asked for {done}")
        self.line.row("WhatsApp", "edited and deleted it", "each once")

    async def _a_group_talks(self) -> None:
        """What Maria says in a group stands apart from her own thread, and is answered there."""
        asked = "Alguém já comprou nessa loja?"
        self.line.mark()
        await self.waha.receive_text(SESSION, MARIA, asked, group=GROUP, push_name="Maria Souza")
        heard = await self.told(
            "message.received", "group", lambda d: d["message"]["content"] == asked
        )
        inbox = await self.call("GET", f"/conversations?channel_id={self.channel['id']}")
        (group,) = (one for one in inbox["data"] if one["is_group"])
        if group["id"] != heard["message"]["conversation_id"]:
            raise StepMissingError("the group's message stands in another conversation")
        self.line.row("agent", "GET /conversations", "the group beside its members")
        said = "Nós entregamos amanhã, viu?"
        self.line.mark()
        await self.call(
            "POST",
            "/messages/send",
            {
                "conversation_id": group["id"],
                "channel_id": self.channel["id"],
                "content": said,
            },
        )
        await self.told("message.sent", "group", lambda d: d["message"]["content"] == said)
        chats = [m.chat for m in self.waha.sent.values() if m.text == said]
        if chats != [GROUP]:
            raise StepMissingError(f"WhatsApp received it in {chats}, not in the group")
        self.line.row("WhatsApp", "received it in the group", "exactly once")

    async def _conversations_end(self) -> None:
        await self.waha.receive_text(SESSION, MARIA, "Obrigada!", push_name="Maria Souza")
        thanks = await self.told(
            "message.received", "thanks", lambda d: d["message"]["content"] == "Obrigada!"
        )
        session_id = thanks["session"]["id"]
        self.line.mark()
        await self.call("POST", f"/sessions/{session_id}/close", {"reason": "resolved"})
        self.line.row("agent", "POST /sessions/../close", "resolved")
        await self.told("session.closed", "closed", lambda d: d["session"]["id"] == session_id)
        self.line.mark()
        await self.waha.receive_text(SESSION, "5521977770002", "Alô?", push_name="João P.")
        alone = await self.told(
            "message.received", "João", lambda d: d["message"]["content"] == "Alô?"
        )
        self.line.note(f"... silence; this channel's sessions expire after {SILENCE_SECONDS} s")
        waiting = alone["session"]["id"]
        await self.told("session.expired", "João", lambda d: d["session"]["id"] == waiting)
        ends = [
            r
            for r in self.receiver.requests
            if r.type in {"session.closed", "session.expired"}
            and r.json["data"]["session"]["id"] in {session_id, waiting}
        ]
        if len(ends) != 2:
            raise StepMissingError(f"two sessions ended, {len(ends)} terminal events came")

    async def told(
        self,
        event: str,
        what: str,
        fits: Callable[[dict[str, Any]], bool] = lambda _: True,
        *,
        since: int = 0,
    ) -> dict[str, Any]:
        """Wait for a webhook of this type whose data fits, verify and show it.

        `since` passes over those that had come before: so many requests in all.
        """
        try:
            request = await self.receiver.wait_for(
                lambda r: r.type == event and r.seq > since and fits(r.json["data"]), STEP_SECONDS
            )
        except TimeoutError as error:
            raise StepMissingError(f"no {event} ({what}): {error}") from None
        self._require_signature(request)
        self._show(request)
        data: dict[str, Any] = request.json["data"]
        return data


def is_connected(data: dict[str, Any]) -> bool:
    """Whether a channel's event says that it reaches WhatsApp."""
    return bool(data["channel"]["status"] == "connected")


def described(data: dict[str, Any]) -> str:
    """A few words on what an event tells."""
    if message := data.get("message"):
        text = message["content"] or f"({message['content_type']})"
        return f"{data['contact']['name']}: {text}".replace("\n", " ")
    if contact := data.get("contact"):
        extra = contact.get("phone") or ""
        if session := data.get("session"):
            extra = session.get("end_reason") or session["status"]
        return f"{contact['name']} {extra}"
    if channel := data.get("channel"):
        return f"{channel['name']} {channel['status']}"
    return ""


def look(console: Console, addresses: Addresses, demo: Demo) -> None:
    """Say where the company and its customers are in a browser, and stay until Enter."""
    console.print("\n[bold]Look at it[/bold], in two windows:")
    console.print(f"  the agent's inbox   {addresses.console_url}", markup=False)
    console.print(f"    log in as         {demo.email}  {PASSWORD}", markup=False)
    console.print(f"  Maria's WhatsApp    {demo.waha.url}/?session={SESSION}", markup=False)
    with suppress(EOFError):
        console.input("Write on either side. Enter ends it. ")


async def _run(console: Console, addresses: Addresses, started: float) -> None:
    line = Timeline(console)
    async with (
        WahaSimulator() as waha,
        WebhookReceiver() as receiver,
        httpx.AsyncClient(base_url=f"{addresses.gateway_url}/api/v1", timeout=15) as http,
    ):
        demo = Demo(http, waha, receiver, line)
        await demo.play()
        messages = await demo.call("GET", "/messages?limit=100")
        contacts = await demo.call("GET", "/contacts?limit=100")
        sessions = await demo.call("GET", "/sessions?limit=100")
        forged = [r for r in receiver.requests if not (r.signature_valid and r.legacy_valid)]
        if forged:
            raise StepMissingError(f"{len(forged)} webhooks did not verify")
        line.summary(
            {
                "contacts, sessions, messages": " / ".join(
                    str(len(page["data"])) for page in (contacts, sessions, messages)
                ),
                "webhooks received, all signatures valid": str(len(list(receiver.requests))),
                "from the trigger to its webhook, median": (
                    f"{statistics.median(line.latencies_ms):.0f} ms"
                ),
                "messages WhatsApp received, none twice": str(len(waha.sent)),
                "the whole demo, start of the platform included": (
                    f"{time.perf_counter() - started:.1f} s"
                ),
            }
        )
        if os.environ.get("LOOK"):
            await asyncio.to_thread(look, console, addresses, demo)


def main() -> int:
    """Play the demo on a stack of its own; 0 when every step happened."""
    started = time.perf_counter()
    console = Console(highlight=False, width=80)
    os.environ.setdefault("CRM_PORT_BASE", PORT_BASE)
    directory = Path(os.environ.get("CRM_DEV_DIR") or Path(__file__).parents[3] / ".dev") / "demo"
    directory.mkdir(parents=True, exist_ok=True)
    if StackState.load(directory / "state.json"):
        commands.down(directory)
    try:
        if commands.up(directory, [], foreground=False) != 0:
            return 1
        state = StackState.load(directory / "state.json")
        if state is None:
            return 1
        asyncio.run(_run(console, state.addresses, started))
    except (StepMissingError, TimeoutError, httpx.HTTPError) as error:
        console.print(f"\n[red]The demo failed:[/red] {error}")
        return 1
    finally:
        commands.down(directory)
    console.print("\nEvery step happened. Nothing is left running.")
    console.print("To look at it in a browser: make demo LOOK=1")
    return 0
