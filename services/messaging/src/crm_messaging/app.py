"""Composition root of messaging."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress

from service_kit.main import run_service
from service_kit.service import Service
from shared_events import channel, contact, gateway, messaging, topology
from shared_events.requests import messaging as requests
from temporalio.client import Client
from temporalio.worker import Worker

from crm_messaging.messages import requests as message_requests
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import (
    on_message_failed,
    on_message_sent,
    on_status_reported,
)
from crm_messaging.outbox_processor.activities import OutboxActivities, ensure_running
from crm_messaging.outbox_processor.schemas import OUTBOX_QUEUE, DrainWindow
from crm_messaging.outbox_processor.workflow import OutboxProcessorWorkflow
from crm_messaging.replicas import consumers as replicas
from crm_messaging.schema import SCHEMA
from crm_messaging.sessions import requests as session_requests
from crm_messaging.sessions.activities import SessionActivities
from crm_messaging.sessions.consumers import SessionStarter
from crm_messaging.sessions.lifecycles import CALL_SECONDS, UNREACHABLE, Lifecycles
from crm_messaging.sessions.requests import SessionClosing
from crm_messaging.sessions.schemas import SESSION_QUEUE
from crm_messaging.sessions.sweep import Sweep
from crm_messaging.sessions.workflow import SessionLifecycleWorkflow
from crm_messaging.settings import MessagingSettings
from crm_messaging.temporal import GRACE, Temporal

PACKAGE = "crm_messaging"

_CACHED_WORKFLOWS = 10
"""A session sleeps for minutes between two activations: replaying its dozen events when it wakes
costs 1 ms or so, keeping it in memory for that long 40 KB."""


def create_service(settings: MessagingSettings) -> Service:
    """Messaging, wired and not started yet."""
    service = Service("messaging", settings, package=PACKAGE, schema=SCHEMA)
    temporal = _temporal(service, settings)
    lifecycles = Lifecycles(temporal, service.database)
    _consume(service, lifecycles)
    _answer(service, lifecycles)
    sweep = Sweep(
        service.database,
        lifecycles,
        lambda: _ensure_drain(temporal, settings),
        seconds=settings.sweep_seconds,
        grace_seconds=settings.sweep_grace_seconds,
    )
    service.background("sweep", sweep.run)
    if temporal is not None:
        service.background("temporal", temporal.run)
        service.background("signal-ended", lifecycles.signal_ended)
        service.health.prefer("temporal", temporal.check)
    return service


def _consume(service: Service, lifecycles: Lifecycles) -> None:
    service.consume(
        topology.MESSAGING_CHANNEL_EVENTS,
        {
            channel.ChannelMessageReceived: on_message_received,
            channel.ChannelMessageSent: on_message_sent,
            channel.ChannelMessageFailed: on_message_failed,
            channel.ChannelMessageStatusReported: on_status_reported,
        },
    )
    service.consume(
        topology.MESSAGING_REPLICAS,
        {
            contact.ContactCreated: replicas.on_contact_changed,
            contact.ContactUpdated: replicas.on_contact_changed,
            contact.ContactDeleted: replicas.on_contact_deleted,
            contact.ContactIdentityLinked: replicas.on_identity_linked,
            channel.ChannelCreated: replicas.on_channel_changed,
            channel.ChannelUpdated: replicas.on_channel_changed,
            channel.ChannelDeleted: replicas.on_channel_deleted,
            gateway.AgentCreated: replicas.on_agent_changed,
            gateway.AgentUpdated: replicas.on_agent_changed,
        },
    )
    starter = SessionStarter(lifecycles)
    service.consume(
        topology.MESSAGING_WORKFLOWS, {messaging.SessionStarted: starter.on_session_started}
    )


def _answer(service: Service, lifecycles: Lifecycles) -> None:
    closing = SessionClosing(lifecycles.ended)
    service.answer(
        "messaging",
        {
            requests.SendMessage: message_requests.send_message,
            requests.GetMessage: message_requests.get_message,
            requests.ListMessages: message_requests.list_messages,
            requests.ListContactMessages: message_requests.list_contact_messages,
            requests.ListSessionMessages: message_requests.list_session_messages,
            requests.GetSession: session_requests.get_session,
            requests.ListSessions: session_requests.list_sessions,
            requests.ListContactSessions: session_requests.list_contact_sessions,
            requests.AssignSession: session_requests.assign_session,
            requests.CloseSession: closing.close_session,
        },
    )


def _window(settings: MessagingSettings) -> DrainWindow:
    return DrainWindow(
        seconds=settings.outbox_drain_window_seconds, poll_seconds=settings.outbox_poll_seconds
    )


def _temporal(service: Service, settings: MessagingSettings) -> Temporal | None:
    """The connection to Temporal with both workers; None when no address is set."""
    if settings.temporal_address is None:
        return None
    sessions = SessionActivities(service.database)
    outbox = OutboxActivities(service.relay)
    identity = f"crm-messaging@{socket.gethostname()}"

    def workers(client: Client) -> Sequence[Worker]:
        return (
            Worker(
                client,
                task_queue=SESSION_QUEUE,
                workflows=[SessionLifecycleWorkflow],
                activities=[sessions.close_session_if_idle],
                max_cached_workflows=_CACHED_WORKFLOWS,
                max_concurrent_workflow_tasks=8,
                identity=identity,
                max_concurrent_activities=settings.db_pool_size,
                graceful_shutdown_timeout=GRACE,
            ),
            Worker(
                client,
                task_queue=OUTBOX_QUEUE,
                workflows=[OutboxProcessorWorkflow],
                activities=[outbox.drain_outbox],
                identity=identity,
                max_concurrent_activities=1,
                graceful_shutdown_timeout=GRACE,
            ),
        )

    async def connected(client: Client) -> None:
        await ensure_running(client, _window(settings))

    return Temporal(settings.temporal_address, settings.temporal_namespace, workers, connected)


async def _ensure_drain(temporal: Temporal | None, settings: MessagingSettings) -> None:
    """Bring the outbox workflow back, should somebody have ended it."""
    if temporal is not None and temporal.client is not None:
        with suppress(TimeoutError, *UNREACHABLE):
            async with asyncio.timeout(CALL_SECONDS):
                await ensure_running(temporal.client, _window(settings))


def main() -> None:
    """Entry point of `crm-messaging`."""
    run_service(create_service, MessagingSettings, package=PACKAGE, schema=SCHEMA)
