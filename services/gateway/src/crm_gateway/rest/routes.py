"""The whole REST surface on one page: method, path, who may, and what it asks.

Of two paths that fit, the first wins: literal paths stand before paths with parameters.
"""

from shared_events.requests import channels, contacts, messaging, webhooks

from crm_gateway.agents import schemas as agents
from crm_gateway.auth import schemas as auth
from crm_gateway.event_types import schemas as event_types
from crm_gateway.rest.table import AUTHENTICATED, PUBLIC, Row

ROUTES: tuple[Row, ...] = (
    Row("POST", "/auth/register", PUBLIC, auth.Register, 201, location="/auth/me"),
    Row("POST", "/auth/login", PUBLIC, auth.Login),
    Row("POST", "/auth/refresh", PUBLIC, auth.Refresh),
    Row("POST", "/auth/logout", PUBLIC, auth.Logout, 204),
    Row("POST", "/auth/accept-invitation", PUBLIC, auth.AcceptInvitation),
    Row("GET", "/auth/me", AUTHENTICATED, auth.GetMe),
    Row("GET", "/contacts", "contacts.read", contacts.ListContacts),
    Row("POST", "/contacts", "contacts.create", contacts.CreateContact, 201),
    Row("GET", "/contacts/{contact_id}", "contacts.read", contacts.GetContact),
    Row("PUT", "/contacts/{contact_id}", "contacts.update", contacts.ReplaceContact),
    Row("PATCH", "/contacts/{contact_id}", "contacts.update", contacts.PatchContact),
    Row("DELETE", "/contacts/{contact_id}", "contacts.delete", contacts.DeleteContact, 204),
    Row("GET", "/contacts/{contact_id}/sessions", "sessions.read", messaging.ListContactSessions),
    Row("GET", "/contacts/{contact_id}/messages", "messages.read", messaging.ListContactMessages),
    Row("GET", "/messages", "messages.read", messaging.ListMessages),
    Row(
        "POST",
        "/messages/send",
        "messages.send",
        messaging.SendMessage,
        201,
        location="/messages/{id}",
    ),
    Row("GET", "/messages/{message_id}", "messages.read", messaging.GetMessage),
    Row("GET", "/sessions", "sessions.read", messaging.ListSessions),
    Row("GET", "/sessions/{session_id}", "sessions.read", messaging.GetSession),
    Row("GET", "/sessions/{session_id}/messages", "sessions.read", messaging.ListSessionMessages),
    Row("POST", "/sessions/{session_id}/assign", "sessions.update", messaging.AssignSession),
    Row("POST", "/sessions/{session_id}/close", "sessions.update", messaging.CloseSession),
    Row("GET", "/agents", "agents.read", agents.ListAgents),
    Row("POST", "/agents", "agents.manage", agents.CreateAgent, 201),
    Row("GET", "/agents/{agent_id}", "agents.read", agents.GetAgent),
    Row("PUT", "/agents/{agent_id}", "agents.manage", agents.UpdateAgent),
    Row("GET", "/channels", "channels.read", channels.ListChannels),
    Row("POST", "/channels", "channels.manage", channels.CreateChannel, 201),
    Row("GET", "/channels/{channel_id}", "channels.read", channels.GetChannel),
    Row("PUT", "/channels/{channel_id}", "channels.manage", channels.UpdateChannel),
    Row("DELETE", "/channels/{channel_id}", "channels.manage", channels.DeleteChannel, 204),
    Row("GET", "/channels/{channel_id}/qr", "channels.manage", channels.GetQrCode),
    *(
        Row(
            "POST",
            f"/channels/{{channel_id}}/{action}",
            "channels.manage",
            channels.DriveChannel,
            fixed={"action": action},
        )
        for action in ("start", "stop", "restart", "logout")
    ),
    Row("GET", "/webhook-endpoints", "webhooks.read", webhooks.ListEndpoints),
    Row("POST", "/webhook-endpoints", "webhooks.manage", webhooks.CreateEndpoint, 201),
    Row("GET", "/webhook-endpoints/{endpoint_id}", "webhooks.read", webhooks.GetEndpoint),
    Row("PATCH", "/webhook-endpoints/{endpoint_id}", "webhooks.manage", webhooks.PatchEndpoint),
    Row(
        "DELETE",
        "/webhook-endpoints/{endpoint_id}",
        "webhooks.manage",
        webhooks.DeleteEndpoint,
        204,
    ),
    Row(
        "GET",
        "/webhook-endpoints/{endpoint_id}/deliveries",
        "webhooks.read",
        webhooks.ListDeliveries,
    ),
    Row("GET", "/webhook-deliveries/{delivery_id}", "webhooks.read", webhooks.GetDelivery),
    Row(
        "POST", "/webhook-deliveries/{delivery_id}/redeliver", "webhooks.manage", webhooks.Redeliver
    ),
    Row("GET", "/event-types", "webhooks.read", event_types.ListEventTypes),
)
