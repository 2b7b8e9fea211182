"""The REST surface: method, path, who may, and what it asks. Ways in are in `routes_of_auth`.

Of two paths that fit, the first wins: literal paths stand before paths with parameters.
"""

from collections.abc import Iterator
from typing import Any

from shared_events.channels import channel, history, label, media, number, raw_event
from shared_events.contacts import (
    bulk,
    contact,
    contact_export,
    contact_import,
    contact_list,
    custom_field,
    erasure,
    merge,
    note,
    opt_out,
    pipeline,
    subject_export,
    tag,
    timeline,
    tracking,
)
from shared_events.messaging import bulk_send, conversation, message, report, scheduled, session
from shared_events.messaging.subject_export import ReadSubjectMessages
from shared_events.requests import Request
from shared_events.webhooks import delivery, endpoint, event, recovery

from crm_gateway.agents import schemas as agents
from crm_gateway.api_keys import schemas as api_keys
from crm_gateway.audit import schemas as audit
from crm_gateway.company import schemas as company
from crm_gateway.custom_roles import schemas as custom_roles
from crm_gateway.event_types import schemas as event_types
from crm_gateway.journeys import schemas as journeys
from crm_gateway.presence import schemas as presence
from crm_gateway.rest.routes_of_auth import ROUTES_OF_AUTH
from crm_gateway.rest.table import PUBLIC, Row
from crm_gateway.two_factor import schemas as two_factor

_BULK_SEND = "/bulk-sends/{bulk_send_id}"
_CONVERSATION = "/conversations/{conversation_id}"
_CUSTOM_FIELD = "/custom-fields/{field_id}"
_EXPORT = "/exports/{export_id}"
_ENDPOINT = "/webhook-endpoints/{endpoint_id}"
_HISTORY = "/history-imports/{history_import_id}"
_IMPORT = "/imports/{import_id}"
_LIST = "/contact-lists/{list_id}"
_OPT_OUT = "/contacts/{contact_id}/opt-outs/{channel_id}"
_RAW_EVENTS = "/channels/{channel_id}/raw-events"
_SECOND_FACTOR = "/agents/{agent_id}/two-factor"
_SUBJECT_EXPORT = "/subject-exports/{export_id}"
_STATUSES = "/pipelines/{pipeline_id}/statuses"
_SESSION = {"contact": "contact_id", "channel": "channel_id", "agent": "assigned_agent_id"}
_MESSAGE = {
    "contact": "contact_id",
    "channel": "channel_id",
    "session": "session_id",
    "agent": "sent_by",
}
_CHAT = {
    "contact": "contact.id",
    "channel": "channel_id",
    "session": "active_session.id",
    "agent": "active_session.assigned_agent_id",
}
"""What may be shown whole with a session, a message and a conversation, and where its id stands."""
_OF_CHANNELS = ("start", "stop", "restart", "logout")
_OF_JOBS = ("pause", "resume", "cancel")


def _acts(
    path: str, permission: str, request: type[Request[Any]], *actions: str, audited: bool = False
) -> Iterator[Row]:
    """A route for each of these values of the request's `action`."""
    for action in actions:
        fixed = {"action": action}
        yield Row("POST", f"{path}/{action}", permission, request, fixed=fixed, audited=audited)


ROUTES: tuple[Row, ...] = (
    *ROUTES_OF_AUTH,
    Row("GET", "/contacts", "contacts.read", contact.ListContacts),
    Row("POST", "/contacts", "contacts.create", contact.CreateContact, 201),
    Row("POST", "/contacts/bulk", "contacts.update", bulk.BulkContacts),
    Row("GET", "/contacts/deleted", "contacts.delete", contact.ListDeletedContacts),
    Row("GET", "/contacts/{contact_id}", "contacts.read", contact.GetContact),
    Row("PUT", "/contacts/{contact_id}", "contacts.update", contact.ReplaceContact),
    Row("PATCH", "/contacts/{contact_id}", "contacts.update", contact.PatchContact),
    Row("DELETE", "/contacts/{contact_id}", "contacts.delete", contact.DeleteContact, 204),
    Row("POST", "/contacts/{contact_id}/restore", "contacts.delete", contact.RestoreContact),
    Row("POST", "/contacts/{contact_id}/merge", "contacts.update", merge.MergeContacts),
    Row("POST", "/contacts/{contact_id}/unmerge", "contacts.update", merge.UnmergeContacts),
    Row(
        "PUT",
        "/contacts/by-identity/{identity_kind}/{value}",
        "contacts.create",
        contact.UpsertContact,
    ),
    Row("GET", "/contacts/{contact_id}/legal-hold", "contacts.delete", erasure.GetLegalHold),
    Row("PUT", "/contacts/{contact_id}/legal-hold", "erasures.manage", erasure.PlaceLegalHold),
    Row(
        "DELETE", "/contacts/{contact_id}/legal-hold", "erasures.manage", erasure.LiftLegalHold, 204
    ),
    Row("POST", "/erasures", "contacts.delete", erasure.RequestErasure, 201),
    Row("GET", "/erasures/{erasure_id}", "contacts.delete", erasure.GetErasure),
    Row(
        "POST",
        "/erasures/{erasure_id}/approve",
        "erasures.manage",
        erasure.ApproveErasure,
        four_eyes=True,
    ),
    Row(
        "GET",
        "/contacts/{contact_id}/sessions",
        "sessions.read",
        session.ListContactSessions,
        expands=_SESSION,
    ),
    Row(
        "GET",
        "/contacts/{contact_id}/messages",
        "messages.read",
        message.ListContactMessages,
        expands=_MESSAGE,
    ),
    Row("GET", "/contacts/{contact_id}/journey", "messages.read", journeys.ListContactJourneys),
    Row("GET", "/contacts/{contact_id}/notes", "notes.read", note.ListContactNotes),
    Row("POST", "/contacts/{contact_id}/notes", "notes.create", note.CreateNote, 201),
    Row("GET", "/contacts/{contact_id}/notes/{note_id}", "notes.read", note.GetNote),
    Row("PATCH", "/contacts/{contact_id}/notes/{note_id}", "notes.update", note.PatchNote),
    Row("DELETE", "/contacts/{contact_id}/notes/{note_id}", "notes.delete", note.DeleteNote, 204),
    Row("GET", "/contacts/{contact_id}/events", "contacts.read", timeline.ListTimeline),
    Row("GET", "/contacts/{contact_id}/trackings", "contacts.read", tracking.ListTrackings),
    Row(
        "POST", "/contacts/{contact_id}/trackings", "contacts.update", tracking.CreateTracking, 201
    ),
    Row(
        "PUT",
        "/contacts/{contact_id}/pipeline-status",
        "contacts.update",
        pipeline.MoveContact,
    ),
    Row("GET", "/contacts/{contact_id}/opt-outs", "contacts.read", opt_out.ListOptOuts),
    Row("PUT", _OPT_OUT, "contacts.update", opt_out.PutOptOut),
    Row("DELETE", _OPT_OUT, "contacts.update", opt_out.RemoveOptOut, 204),
    Row("GET", "/contacts/{contact_id}/pipeline-history", "contacts.read", pipeline.ListStays),
    Row("POST", "/contacts/{contact_id}/tags", "contacts.update", tag.AddTags),
    Row("DELETE", "/contacts/{contact_id}/tags/{tag}", "contacts.update", tag.RemoveTag, 204),
    Row("GET", "/tags", "contacts.read", tag.ListTags),
    Row("GET", "/pipelines", "pipelines.read", pipeline.ListPipelines),
    Row("POST", "/pipelines", "pipelines.manage", pipeline.CreatePipeline, 201),
    Row("GET", "/pipelines/{pipeline_id}", "pipelines.read", pipeline.GetPipeline),
    Row("PUT", "/pipelines/{pipeline_id}", "pipelines.manage", pipeline.ReplacePipeline),
    Row("PATCH", "/pipelines/{pipeline_id}", "pipelines.manage", pipeline.PatchPipeline),
    Row("DELETE", "/pipelines/{pipeline_id}", "pipelines.manage", pipeline.DeletePipeline, 204),
    Row("GET", "/pipelines/{pipeline_id}/board", "pipelines.read", pipeline.GetBoard),
    Row("GET", _STATUSES, "pipelines.read", pipeline.ListStatuses),
    Row("POST", _STATUSES, "pipelines.manage", pipeline.CreateStatus, 201),
    Row("GET", f"{_STATUSES}/{{status_id}}", "pipelines.read", pipeline.GetStatus),
    Row("PUT", f"{_STATUSES}/{{status_id}}", "pipelines.manage", pipeline.ReplaceStatus),
    Row("PATCH", f"{_STATUSES}/{{status_id}}", "pipelines.manage", pipeline.PatchStatus),
    Row("DELETE", f"{_STATUSES}/{{status_id}}", "pipelines.manage", pipeline.DeleteStatus, 204),
    Row("GET", "/custom-fields", "contacts.read", custom_field.ListCustomFields),
    Row("POST", "/custom-fields", "custom_fields.manage", custom_field.CreateCustomField, 201),
    Row("GET", _CUSTOM_FIELD, "contacts.read", custom_field.GetCustomField),
    Row("PUT", _CUSTOM_FIELD, "custom_fields.manage", custom_field.ReplaceCustomField),
    Row("PATCH", _CUSTOM_FIELD, "custom_fields.manage", custom_field.PatchCustomField),
    Row("DELETE", _CUSTOM_FIELD, "custom_fields.manage", custom_field.DeleteCustomField, 204),
    Row("GET", "/contact-lists", "contacts.read", contact_list.ListContactLists),
    Row("POST", "/contact-lists", "contacts.update", contact_list.CreateContactList, 201),
    Row("POST", "/contact-lists/preview", "contacts.read", contact_list.PreviewContacts),
    Row("GET", _LIST, "contacts.read", contact_list.GetContactList),
    Row("PUT", _LIST, "contacts.update", contact_list.ReplaceContactList),
    Row("PATCH", _LIST, "contacts.update", contact_list.PatchContactList),
    Row("DELETE", _LIST, "contacts.update", contact_list.DeleteContactList, 204),
    Row("GET", f"{_LIST}/count", "contacts.read", contact_list.CountListed),
    Row("GET", f"{_LIST}/contacts", "contacts.read", contact_list.ListListed),
    Row("POST", f"{_LIST}/contacts", "contacts.update", contact_list.PutOnList),
    Row("DELETE", f"{_LIST}/contacts", "contacts.update", contact_list.TakeOffList, 204),
    Row(
        "POST",
        "/imports",
        "contacts.create",
        contact_import.CreateImport,
        201,
        pieces=contact_import.PutImportPart,
        audited=True,
    ),
    Row("GET", _IMPORT, "contacts.create", contact_import.GetImport),
    Row("GET", f"{_IMPORT}/errors", "contacts.create", contact_import.ReadImportErrors),
    *_acts(_IMPORT, "contacts.create", contact_import.DriveImport, *_OF_JOBS),
    Row("POST", "/exports", "contacts.read", contact_export.CreateExport, 201, audited=True),
    Row("GET", _EXPORT, "contacts.read", contact_export.GetExport),
    Row("GET", f"{_EXPORT}/file", "contacts.read", contact_export.ReadExport),
    Row(
        "POST",
        "/contacts/{contact_id}/subject-export",
        "contacts.export",
        subject_export.CreateSubjectExport,
        201,
        location="/subject-exports/{id}",
        audited=True,
    ),
    Row("GET", _SUBJECT_EXPORT, "contacts.export", subject_export.GetSubjectExport),
    Row(
        "GET",
        f"{_SUBJECT_EXPORT}/file",
        PUBLIC,
        subject_export.ReadSubjectExport,
        file="archive",
        pieces=ReadSubjectMessages,
    ),
    Row("GET", "/messages", "messages.read", message.ListMessages, expands=_MESSAGE),
    Row(
        "POST",
        "/messages/send",
        "messages.send",
        message.SendMessage,
        201,
        location="/messages/{id}",
    ),
    Row(
        "POST",
        "/messages/send-bulk",
        "messages.send_bulk",
        bulk_send.SendInBulk,
        201,
        location="/bulk-sends/{id}",
        audited=True,
        behind=contact_list.GetContactList,
    ),
    Row("GET", _BULK_SEND, "messages.send_bulk", bulk_send.GetBulkSend),
    Row("GET", f"{_BULK_SEND}/recipients", "messages.send_bulk", bulk_send.ListBulkRecipients),
    *_acts(_BULK_SEND, "messages.send_bulk", bulk_send.DriveBulkSend, *_OF_JOBS, audited=True),
    Row("GET", "/messages/scheduled", "messages.send", scheduled.ListScheduledMessages),
    Row(
        "DELETE",
        "/messages/scheduled/{message_id}",
        "messages.send",
        scheduled.CancelScheduledMessage,
        204,
    ),
    Row("GET", "/messages/{message_id}", "messages.read", message.GetMessage, expands=_MESSAGE),
    Row("POST", "/media", "messages.send", media.UploadMedia, 201, file="in"),
    Row("GET", "/media/{media_id}", "messages.read", media.GetMedia),
    Row("GET", "/media/{media_id}/file", PUBLIC, media.LocateMedia, file="out"),
    Row("GET", "/conversations", "sessions.read", conversation.ListConversations, expands=_CHAT),
    Row("GET", _CONVERSATION, "sessions.read", conversation.GetConversation, expands=_CHAT),
    Row(
        "GET",
        f"{_CONVERSATION}/messages",
        "messages.read",
        conversation.ListConversationMessages,
        expands=_MESSAGE,
    ),
    Row("GET", f"{_CONVERSATION}/participants", "sessions.read", conversation.ListParticipants),
    Row("POST", f"{_CONVERSATION}/read", "messages.read", conversation.ReadConversation, 204),
    Row("POST", f"{_CONVERSATION}/typing", "messages.send", presence.ShowTypingIn, 204),
    Row("PATCH", "/messages/{message_id}", "messages.send", message.EditMessage),
    Row("DELETE", "/messages/{message_id}", "messages.send", message.DeleteMessage, 204),
    Row("POST", "/messages/{message_id}/retry", "messages.send", message.RetryMessage),
    Row("PUT", "/messages/{message_id}/reaction", "messages.send", message.ReactToMessage),
    Row("DELETE", "/messages/{message_id}/reaction", "messages.send", message.RemoveReaction, 204),
    Row(
        "GET",
        "/messages/{message_id}/versions",
        "messages.read",
        message.ListMessageVersions,
    ),
    Row(
        "GET",
        "/messages/{message_id}/receipts",
        "messages.read",
        message.ListMessageReceipts,
    ),
    Row(
        "GET",
        "/messages/{message_id}/journey",
        "messages.read",
        journeys.GetMessageJourney,
    ),
    Row("GET", "/sessions", "sessions.read", session.ListSessions, expands=_SESSION),
    Row("GET", "/sessions/{session_id}", "sessions.read", session.GetSession, expands=_SESSION),
    Row(
        "GET",
        "/sessions/{session_id}/messages",
        "sessions.read",
        message.ListSessionMessages,
        expands=_MESSAGE,
    ),
    Row(
        "GET",
        "/sessions/{session_id}/notes",
        "notes.read",
        note.ListSessionNotes,
        behind=session.GetSession,
    ),
    Row("POST", "/sessions/{session_id}/assign", "sessions.update", session.AssignSession),
    Row(
        "GET",
        "/sessions/{session_id}/assignments",
        "sessions.read",
        session.ListSessionAssignments,
    ),
    Row("POST", "/sessions/{session_id}/close", "sessions.update", session.CloseSession),
    Row("POST", "/sessions/{session_id}/reopen", "sessions.update", session.ReopenSession),
    Row("GET", "/reports/conversations", "reports.read", report.GetConversationReport),
    Row("GET", "/settings", "settings.read", company.GetSettings),
    Row("PATCH", "/settings", "settings.manage", company.UpdateSettings),
    Row("GET", "/agents", "agents.read", agents.ListAgents),
    Row("POST", "/agents", "agents.manage", agents.CreateAgent, 201),
    Row("GET", "/agents/{agent_id}", "agents.read", agents.GetAgent),
    Row("PUT", "/agents/{agent_id}", "agents.manage", agents.UpdateAgent),
    Row("POST", "/agents/{agent_id}/resend-invitation", "agents.manage", agents.ResendInvitation),
    Row("DELETE", _SECOND_FACTOR, "agents.manage", two_factor.ResetTwoFactor, 204),
    Row("GET", "/roles", "roles.read", custom_roles.ListRoles),
    Row("POST", "/roles", "roles.manage", custom_roles.CreateRole, 201),
    Row("GET", "/roles/{role_id}", "roles.read", custom_roles.GetRole),
    Row("PATCH", "/roles/{role_id}", "roles.manage", custom_roles.PatchRole),
    Row("DELETE", "/roles/{role_id}", "roles.manage", custom_roles.DeleteRole, 204),
    Row("GET", "/api-keys", "api_keys.read", api_keys.ListApiKeys),
    Row("POST", "/api-keys", "api_keys.manage", api_keys.CreateApiKey, 201),
    Row("GET", "/api-keys/{api_key_id}", "api_keys.read", api_keys.GetApiKey),
    Row("DELETE", "/api-keys/{api_key_id}", "api_keys.manage", api_keys.DeleteApiKey, 204),
    Row("POST", "/api-keys/{api_key_id}/rotate", "api_keys.manage", api_keys.RotateApiKey),
    Row("GET", "/audit-log", "audit.read", audit.ListAuditLog),
    Row("GET", "/channels", "channels.read", channel.ListChannels),
    Row("POST", "/channels", "channels.manage", channel.CreateChannel, 201),
    Row("GET", "/channels/{channel_id}", "channels.read", channel.GetChannel),
    Row("PUT", "/channels/{channel_id}", "channels.manage", channel.UpdateChannel),
    Row("DELETE", "/channels/{channel_id}", "channels.manage", channel.DeleteChannel, 204),
    Row("GET", "/channels/{channel_id}/health", "channels.read", channel.GetChannelHealth),
    Row("GET", "/channels/{channel_id}/qr", "channels.manage", channel.GetQrCode),
    Row("GET", "/channels/{channel_id}/labels", "sessions.read", label.ListLabels),
    Row("POST", "/channels/{channel_id}/number-checks", "messages.send", number.CheckNumbers),
    *_acts("/channels/{channel_id}", "channels.manage", channel.DriveChannel, *_OF_CHANNELS),
    Row("GET", _RAW_EVENTS, "channels.manage", raw_event.ListRawEvents),
    Row("POST", f"{_RAW_EVENTS}/replay", "channels.manage", raw_event.ReplayRawEvents),
    Row("GET", f"{_RAW_EVENTS}/{{event_id}}", "channels.manage", raw_event.GetRawEvent),
    Row("POST", f"{_RAW_EVENTS}/{{event_id}}/replay", "channels.manage", raw_event.ReplayRawEvent),
    Row(
        "POST",
        "/channels/{channel_id}/history-imports",
        "channels.manage",
        history.CreateHistoryImport,
        201,
        location="/history-imports/{id}",
    ),
    Row("GET", _HISTORY, "channels.read", history.GetHistoryImport),
    *_acts(_HISTORY, "channels.manage", history.DriveHistoryImport, *_OF_JOBS),
    Row("GET", "/webhook-endpoints", "webhooks.read", endpoint.ListEndpoints),
    Row("POST", "/webhook-endpoints", "webhooks.manage", endpoint.CreateEndpoint, 201),
    Row("GET", _ENDPOINT, "webhooks.read", endpoint.GetEndpoint),
    Row("PATCH", _ENDPOINT, "webhooks.manage", endpoint.PatchEndpoint),
    Row("DELETE", _ENDPOINT, "webhooks.manage", endpoint.DeleteEndpoint, 204),
    Row("POST", f"{_ENDPOINT}/rotate-secret", "webhooks.manage", endpoint.RotateSecret),
    Row(
        "POST",
        f"{_ENDPOINT}/recover",
        "webhooks.manage",
        recovery.Recover,
        201,
        location="/webhook-recoveries/{id}",
    ),
    Row(
        "POST",
        f"{_ENDPOINT}/replay",
        "webhooks.manage",
        recovery.Replay,
        201,
        location="/webhook-recoveries/{id}",
    ),
    Row("GET", "/webhook-recoveries/{recovery_id}", "webhooks.read", recovery.GetRecovery),
    Row("GET", f"{_ENDPOINT}/stats", "webhooks.read", delivery.GetEndpointStats),
    Row("POST", f"{_ENDPOINT}/test", "webhooks.manage", endpoint.SendTest),
    Row("POST", f"{_ENDPOINT}/verify", "webhooks.manage", endpoint.VerifyEndpoint),
    Row("GET", f"{_ENDPOINT}/deliveries", "webhooks.read", delivery.ListDeliveries),
    Row("GET", "/webhook-deliveries/{delivery_id}", "webhooks.read", delivery.GetDelivery),
    Row(
        "POST", "/webhook-deliveries/{delivery_id}/redeliver", "webhooks.manage", delivery.Redeliver
    ),
    Row("GET", "/events", "events.read", event.ListEvents),
    Row("GET", "/events/stream", "events.read", event.FollowEvents, live=True),
    Row("GET", "/events/{event_id}", "events.read", event.GetEvent),
    Row("GET", "/event-types", "webhooks.read", event_types.ListEventTypes),
)
