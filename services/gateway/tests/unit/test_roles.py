from crm_gateway.access.roles import PERMISSIONS, covers, is_grantable, permissions_of
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.table import AUTHENTICATED, PUBLIC
from shared_events.permissions import permits

ADMIN = {"admin"}
STAFF = {"admin", "supervisor"}
ALL = {"admin", "supervisor", "agent"}

# The oracle: who may use each route that asks for a permission.
MAY_USE = {
    ("GET", "/contacts"): ALL,
    ("POST", "/contacts"): STAFF,
    ("POST", "/contacts/bulk"): ALL,
    ("GET", "/contacts/deleted"): STAFF,
    ("GET", "/contacts/{contact_id}"): ALL,
    ("PUT", "/contacts/{contact_id}"): ALL,
    ("PATCH", "/contacts/{contact_id}"): ALL,
    ("DELETE", "/contacts/{contact_id}"): STAFF,
    ("POST", "/contacts/{contact_id}/restore"): STAFF,
    ("POST", "/contacts/{contact_id}/merge"): ALL,
    ("POST", "/contacts/{contact_id}/unmerge"): ALL,
    ("PUT", "/contacts/by-identity/{identity_kind}/{value}"): STAFF,
    ("GET", "/contacts/{contact_id}/legal-hold"): STAFF,
    ("PUT", "/contacts/{contact_id}/legal-hold"): ADMIN,
    ("DELETE", "/contacts/{contact_id}/legal-hold"): ADMIN,
    ("POST", "/erasures"): STAFF,
    ("GET", "/erasures/{erasure_id}"): STAFF,
    ("POST", "/erasures/{erasure_id}/approve"): ADMIN,
    ("GET", "/contacts/{contact_id}/sessions"): ALL,
    ("GET", "/contacts/{contact_id}/messages"): ALL,
    ("GET", "/contacts/{contact_id}/notes"): ALL,
    ("POST", "/contacts/{contact_id}/notes"): ALL,
    ("GET", "/contacts/{contact_id}/notes/{note_id}"): ALL,
    ("PATCH", "/contacts/{contact_id}/notes/{note_id}"): STAFF,
    ("DELETE", "/contacts/{contact_id}/notes/{note_id}"): STAFF,
    ("GET", "/sessions/{session_id}/notes"): ALL,
    ("GET", "/contacts/{contact_id}/events"): ALL,
    ("GET", "/contacts/{contact_id}/trackings"): ALL,
    ("POST", "/contacts/{contact_id}/trackings"): ALL,
    ("PUT", "/contacts/{contact_id}/pipeline-status"): ALL,
    ("GET", "/contacts/{contact_id}/opt-outs"): ALL,
    ("PUT", "/contacts/{contact_id}/opt-outs/{channel_id}"): ALL,
    ("DELETE", "/contacts/{contact_id}/opt-outs/{channel_id}"): ALL,
    ("GET", "/contacts/{contact_id}/pipeline-history"): ALL,
    ("POST", "/contacts/{contact_id}/tags"): ALL,
    ("DELETE", "/contacts/{contact_id}/tags/{tag}"): ALL,
    ("GET", "/tags"): ALL,
    ("GET", "/pipelines"): STAFF,
    ("POST", "/pipelines"): ADMIN,
    ("GET", "/pipelines/{pipeline_id}"): STAFF,
    ("PUT", "/pipelines/{pipeline_id}"): ADMIN,
    ("PATCH", "/pipelines/{pipeline_id}"): ADMIN,
    ("DELETE", "/pipelines/{pipeline_id}"): ADMIN,
    ("GET", "/pipelines/{pipeline_id}/board"): STAFF,
    ("GET", "/pipelines/{pipeline_id}/statuses"): STAFF,
    ("POST", "/pipelines/{pipeline_id}/statuses"): ADMIN,
    ("GET", "/pipelines/{pipeline_id}/statuses/{status_id}"): STAFF,
    ("PUT", "/pipelines/{pipeline_id}/statuses/{status_id}"): ADMIN,
    ("PATCH", "/pipelines/{pipeline_id}/statuses/{status_id}"): ADMIN,
    ("DELETE", "/pipelines/{pipeline_id}/statuses/{status_id}"): ADMIN,
    ("GET", "/custom-fields"): ALL,
    ("POST", "/custom-fields"): STAFF,
    ("GET", "/custom-fields/{field_id}"): ALL,
    ("PUT", "/custom-fields/{field_id}"): STAFF,
    ("PATCH", "/custom-fields/{field_id}"): STAFF,
    ("DELETE", "/custom-fields/{field_id}"): STAFF,
    ("GET", "/contact-lists"): ALL,
    ("POST", "/contact-lists"): ALL,
    ("POST", "/contact-lists/preview"): ALL,
    ("GET", "/contact-lists/{list_id}"): ALL,
    ("PUT", "/contact-lists/{list_id}"): ALL,
    ("PATCH", "/contact-lists/{list_id}"): ALL,
    ("DELETE", "/contact-lists/{list_id}"): ALL,
    ("GET", "/contact-lists/{list_id}/count"): ALL,
    ("GET", "/contact-lists/{list_id}/contacts"): ALL,
    ("POST", "/contact-lists/{list_id}/contacts"): ALL,
    ("DELETE", "/contact-lists/{list_id}/contacts"): ALL,
    ("POST", "/imports"): STAFF,
    ("GET", "/imports/{import_id}"): STAFF,
    ("GET", "/imports/{import_id}/errors"): STAFF,
    ("POST", "/imports/{import_id}/pause"): STAFF,
    ("POST", "/imports/{import_id}/resume"): STAFF,
    ("POST", "/imports/{import_id}/cancel"): STAFF,
    ("POST", "/contacts/{contact_id}/subject-export"): STAFF,
    ("GET", "/subject-exports/{export_id}"): STAFF,
    ("POST", "/exports"): ALL,
    ("GET", "/exports/{export_id}"): ALL,
    ("GET", "/exports/{export_id}/file"): ALL,
    ("GET", "/messages"): ALL,
    ("POST", "/messages/send"): ALL,
    ("POST", "/messages/send-bulk"): STAFF,
    ("GET", "/bulk-sends/{bulk_send_id}"): STAFF,
    ("GET", "/bulk-sends/{bulk_send_id}/recipients"): STAFF,
    ("POST", "/bulk-sends/{bulk_send_id}/pause"): STAFF,
    ("POST", "/bulk-sends/{bulk_send_id}/resume"): STAFF,
    ("POST", "/bulk-sends/{bulk_send_id}/cancel"): STAFF,
    ("GET", "/messages/scheduled"): ALL,
    ("DELETE", "/messages/scheduled/{message_id}"): ALL,
    ("GET", "/messages/{message_id}"): ALL,
    ("POST", "/media"): ALL,
    ("GET", "/media/{media_id}"): ALL,
    ("GET", "/conversations"): ALL,
    ("GET", "/conversations/{conversation_id}"): ALL,
    ("GET", "/conversations/{conversation_id}/messages"): ALL,
    ("GET", "/conversations/{conversation_id}/participants"): ALL,
    ("POST", "/conversations/{conversation_id}/read"): ALL,
    ("POST", "/conversations/{conversation_id}/typing"): ALL,
    ("PATCH", "/messages/{message_id}"): ALL,
    ("DELETE", "/messages/{message_id}"): ALL,
    ("POST", "/messages/{message_id}/retry"): ALL,
    ("PUT", "/messages/{message_id}/reaction"): ALL,
    ("DELETE", "/messages/{message_id}/reaction"): ALL,
    ("GET", "/messages/{message_id}/versions"): ALL,
    ("GET", "/messages/{message_id}/receipts"): ALL,
    ("GET", "/messages/{message_id}/journey"): ALL,
    ("GET", "/contacts/{contact_id}/journey"): ALL,
    ("GET", "/sessions"): ALL,
    ("GET", "/sessions/{session_id}"): ALL,
    ("GET", "/sessions/{session_id}/messages"): ALL,
    ("POST", "/sessions/{session_id}/assign"): ALL,
    ("GET", "/sessions/{session_id}/assignments"): ALL,
    ("POST", "/sessions/{session_id}/close"): ALL,
    ("POST", "/sessions/{session_id}/reopen"): ALL,
    ("GET", "/settings"): ADMIN,
    ("PATCH", "/settings"): ADMIN,
    ("GET", "/agents"): STAFF,
    ("POST", "/agents"): ADMIN,
    ("GET", "/agents/{agent_id}"): STAFF,
    ("PUT", "/agents/{agent_id}"): ADMIN,
    ("POST", "/agents/{agent_id}/resend-invitation"): ADMIN,
    ("DELETE", "/agents/{agent_id}/two-factor"): ADMIN,
    ("GET", "/roles"): ADMIN,
    ("POST", "/roles"): ADMIN,
    ("GET", "/roles/{role_id}"): ADMIN,
    ("PATCH", "/roles/{role_id}"): ADMIN,
    ("DELETE", "/roles/{role_id}"): ADMIN,
    ("GET", "/api-keys"): ADMIN,
    ("POST", "/api-keys"): ADMIN,
    ("GET", "/api-keys/{api_key_id}"): ADMIN,
    ("DELETE", "/api-keys/{api_key_id}"): ADMIN,
    ("POST", "/api-keys/{api_key_id}/rotate"): ADMIN,
    ("GET", "/audit-log"): ADMIN,
    ("GET", "/channels"): ADMIN,
    ("POST", "/channels"): ADMIN,
    ("GET", "/channels/{channel_id}"): ADMIN,
    ("PUT", "/channels/{channel_id}"): ADMIN,
    ("DELETE", "/channels/{channel_id}"): ADMIN,
    ("GET", "/channels/{channel_id}/health"): ADMIN,
    ("GET", "/channels/{channel_id}/labels"): ALL,
    ("POST", "/channels/{channel_id}/number-checks"): ALL,
    ("GET", "/channels/{channel_id}/qr"): ADMIN,
    ("GET", "/channels/{channel_id}/raw-events"): ADMIN,
    ("POST", "/channels/{channel_id}/raw-events/replay"): ADMIN,
    ("GET", "/channels/{channel_id}/raw-events/{event_id}"): ADMIN,
    ("POST", "/channels/{channel_id}/raw-events/{event_id}/replay"): ADMIN,
    ("POST", "/channels/{channel_id}/history-imports"): ADMIN,
    ("GET", "/history-imports/{history_import_id}"): ADMIN,
    ("POST", "/history-imports/{history_import_id}/pause"): ADMIN,
    ("POST", "/history-imports/{history_import_id}/resume"): ADMIN,
    ("POST", "/history-imports/{history_import_id}/cancel"): ADMIN,
    ("POST", "/channels/{channel_id}/start"): ADMIN,
    ("POST", "/channels/{channel_id}/stop"): ADMIN,
    ("POST", "/channels/{channel_id}/restart"): ADMIN,
    ("POST", "/channels/{channel_id}/logout"): ADMIN,
    ("GET", "/webhook-endpoints"): ADMIN,
    ("POST", "/webhook-endpoints"): ADMIN,
    ("GET", "/webhook-endpoints/{endpoint_id}"): ADMIN,
    ("PATCH", "/webhook-endpoints/{endpoint_id}"): ADMIN,
    ("DELETE", "/webhook-endpoints/{endpoint_id}"): ADMIN,
    ("POST", "/webhook-endpoints/{endpoint_id}/rotate-secret"): ADMIN,
    ("GET", "/webhook-endpoints/{endpoint_id}/stats"): ADMIN,
    ("POST", "/webhook-endpoints/{endpoint_id}/test"): ADMIN,
    ("POST", "/webhook-endpoints/{endpoint_id}/verify"): ADMIN,
    ("POST", "/webhook-endpoints/{endpoint_id}/recover"): ADMIN,
    ("POST", "/webhook-endpoints/{endpoint_id}/replay"): ADMIN,
    ("GET", "/webhook-recoveries/{recovery_id}"): ADMIN,
    ("GET", "/webhook-endpoints/{endpoint_id}/deliveries"): ADMIN,
    ("GET", "/webhook-deliveries/{delivery_id}"): ADMIN,
    ("POST", "/webhook-deliveries/{delivery_id}/redeliver"): ADMIN,
    ("GET", "/reports/conversations"): STAFF,
    ("GET", "/events"): ALL,
    ("GET", "/events/stream"): ALL,
    ("GET", "/events/{event_id}"): ALL,
    ("GET", "/event-types"): ADMIN,
}
OPEN = {
    ("POST", "/auth/register"),
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/accept-invitation"),
    ("POST", "/auth/password/forgot"),
    ("POST", "/auth/password/reset"),
    ("POST", "/auth/email/verify"),
    ("GET", "/media/{media_id}/file"),
    ("GET", "/subject-exports/{export_id}/file"),
}


class TestRoutes:
    def test_every_role_may_use_exactly_the_routes_of_the_matrix(self) -> None:
        found = {
            (row.method, row.path): {
                role for role in ALL if permits(permissions_of([role]), row.permission)
            }
            for row in ROUTES
            if row.permission not in (PUBLIC, AUTHENTICATED)
        }
        assert found == MAY_USE

    def test_only_the_ways_in_are_public(self) -> None:
        assert {(r.method, r.path) for r in ROUTES if r.permission == PUBLIC} == OPEN
        assert [r.path for r in ROUTES if r.permission == AUTHENTICATED] == [
            "/auth/email/verification",
            "/auth/logout-everywhere",
            "/auth/password",
            "/auth/two-factor",
            "/auth/two-factor",
            "/auth/two-factor/confirm",
            "/auth/two-factor/recovery-codes",
            "/auth/two-factor/disable",
            "/auth/tenants",
            "/auth/switch",
            "/auth/me",
        ]

    def test_who_lacks_a_proof_may_have_it_mailed_or_leave(self) -> None:
        assert {(r.method, r.path) for r in ROUTES if "email_unverified" in r.despite} == {
            ("POST", "/auth/email/verification"),
            ("POST", "/auth/logout-everywhere"),
        }

    def test_who_lacks_a_second_factor_may_set_one_up_or_leave(self) -> None:
        lack = "two_factor_required_by_company"
        assert {(r.method, r.path) for r in ROUTES if lack in r.despite} == {
            ("GET", "/auth/two-factor"),
            ("POST", "/auth/two-factor"),
            ("POST", "/auth/two-factor/confirm"),
            ("GET", "/auth/tenants"),
            ("POST", "/auth/switch"),
            ("POST", "/auth/email/verification"),
            ("POST", "/auth/logout-everywhere"),
        }

    def test_a_key_may_use_exactly_the_routes_of_its_scopes(self) -> None:
        asked = [row for row in ROUTES if row.permission not in (PUBLIC, AUTHENTICATED)]
        for scope in (*PERMISSIONS, *{f"{each.partition('.')[0]}.*" for each in PERMISSIONS}):
            assert is_grantable(scope)
            for row in asked:
                noun, _, verb = row.permission.partition(".")
                may = scope in (row.permission, f"{noun}.*")
                assert permits((scope,), row.permission) == may, (scope, row.path, verb)
        for nothing in ("", "contacts", "contacts.", "contact*", "contacts.r*", "x.*", "**", ".*"):
            assert not is_grantable(nothing)


class TestCovers:
    def test_nobody_gives_more_than_they_have(self) -> None:
        assert covers(["*"], ["*", "contacts.*", "contacts.read"])
        assert covers(["contacts.*"], ["contacts.*", "contacts.read"])
        assert not covers(["contacts.*"], ["*"])
        assert not covers(["contacts.*"], ["contacts.read", "agents.read"])
        assert not covers([p for p in PERMISSIONS if p.startswith("contacts.")], ["contacts.*"])


class TestPermits:
    def test_a_wildcard_covers_only_its_own_prefix(self) -> None:
        assert permits(["contacts.*"], "contacts.read")
        assert not permits(["contacts.*"], "contactsx.read")
        assert not permits(["contacts.*"], "contacts")
        assert not permits(["contacts.*"], "messages.read")

    def test_a_permission_covers_only_itself(self) -> None:
        assert permits(["contacts.read"], "contacts.read")
        assert not permits(["contacts.read"], "contacts.readonly")

    def test_nothing_granted_permits_nothing(self) -> None:
        assert not permits([], "contacts.read")

    def test_an_unknown_role_grants_nothing(self) -> None:
        assert permissions_of(["owner"]) == ()
