"""The audit log, read by the official SDK's admin client, which validates every answer against its
own types: no event may have a type that it does not know."""

import json
import time

import openai
import pytest
from test_admin import organization, pages  # noqa: F401


@pytest.fixture
def project(organization):  # noqa: F811
    return organization.projects.create(name="Watched")


def kinds(listing):
    return [entry.type for entry in listing]


def test_what_is_done_is_told(organization, project):  # noqa: F811
    projects = organization.projects
    account = projects.service_accounts.create(project.id, name="Robot")
    projects.update(project.id, name="Watched still")
    projects.service_accounts.delete(account.id, project_id=project.id)
    projects.archive(project.id)
    seen = list(organization.audit_logs.list(project_ids=[project.id]))
    assert kinds(seen) == [
        "project.archived",
        "service_account.deleted",
        "project.updated",
        "api_key.created",
        "service_account.created",
        "project.created",
    ]
    archived, deleted, updated, key, made, created = seen
    assert archived.project_archived.id == project.id
    assert deleted.service_account_deleted.id == made.service_account_created.id == account.id
    assert made.service_account_created.data.role == "member"
    assert updated.project_updated.changes_requested.title == "Watched still"
    assert key.api_key_created.id == account.api_key.id
    assert created.project_created.data.name == "Watched"
    assert created.project.id == project.id
    actor = created.actor
    assert (actor.type, actor.api_key.type) == ("api_key", "user")
    (owner,) = [user for user in organization.users.list() if user.role == "owner"]
    assert (actor.api_key.user.id, actor.api_key.user.email) == (owner.id, owner.email)
    assert abs(created.effective_at - time.time()) < 600


def test_every_kind_of_event_is_one_that_the_sdk_knows(organization, project):  # noqa: F811
    asked = {
        "currency": "USD",
        "interval": "month",
        "notification_channel": {"type": "email", "recipients": ["boss@example.org"]},
    }
    alert = organization.spend_alerts.create(threshold_amount=5, **asked)
    organization.spend_alerts.update(alert.id, threshold_amount=6, **asked)
    organization.spend_alerts.delete(alert.id)
    invite = organization.invites.create(email="somebody@example.org", role="reader")
    organization.invites.delete(invite.id)
    key = organization.admin_api_keys.create(name="Other")
    organization.admin_api_keys.delete(key.id)
    kept = organization.data_retention.retrieve().type
    organization.data_retention.update(retention_type="zero_data_retention")
    organization.data_retention.update(retention_type=kept)
    (owner,) = [user for user in organization.users.list() if user.role == "owner"]
    organization.projects.users.create(project.id, role="member", user_id=owner.id)
    organization.projects.users.delete(owner.id, project_id=project.id)
    export = organization._client.get(
        "/organization/audit_logs/export",
        cast_to=str,
        options={"security": {"admin_api_key_auth": True}},
    )
    stored = {json.loads(line)["type"] for line in export.splitlines()}
    assert {"spend_alert.created", "audit.exported"} <= stored
    seen = set(kinds(organization.audit_logs.list(limit=100)))
    assert {
        "api_key.deleted",
        "invite.deleted",
        "invite.sent",
        "organization.updated",
        "role.assignment.created",
        "role.assignment.deleted",
        "tenant.billing.alerts.updated",
    } <= seen
    assert "audit.exported" not in seen
    (sent,) = organization.audit_logs.list(event_types=["invite.sent"], resource_ids=[invite.id])
    assert (sent.invite_sent.data.email, sent.invite_sent.data.role) == (
        "somebody@example.org",
        "reader",
    )


def test_paging_and_filters(organization):  # noqa: F811
    made = [organization.projects.create(name=f"Page {n}").id for n in range(5)]
    listing = organization.audit_logs.list(
        limit=2,
        event_types=["project.created"],
        resource_ids=made,
        effective_at={"gte": int(time.time()) - 3600, "lte": int(time.time()) + 60},
    )
    entries = list(listing)
    assert [entry.project_created.id for entry in entries] == made[::-1]
    page = organization.audit_logs.list(limit=2, resource_ids=made, before=entries[3].id)
    assert [entry.id for entry in page.data] == [entry.id for entry in entries[1:3]]
    (owner,) = [user for user in organization.users.list() if user.role == "owner"]
    for who in ({"actor_ids": [owner.id]}, {"actor_emails": [owner.email]}):
        by_owner = pages(organization.audit_logs.list(limit=100, resource_ids=made, **who))
        assert by_owner == [entry.id for entry in entries]
    assert not organization.audit_logs.list(effective_at={"gt": int(time.time()) + 3600}).data
    assert not organization.audit_logs.list(actor_emails=["nobody@example.org"]).data
    with pytest.raises(openai.BadRequestError) as caught:
        organization.audit_logs.list(limit=101)
    assert caught.value.param == "limit"


def test_the_command_line_acts_as_nobody(organization, server):  # noqa: F811
    made = json.loads(server.command("keys", "create", "--name", "by hand", "--json"))
    (entry,) = organization.audit_logs.list(resource_ids=[made["id"]])
    assert (entry.type, entry.actor.type) == ("api_key.created", "session")
    assert entry.actor.session.user is None
    assert entry.actor.model_extra["origin"] == "command_line"


def test_our_own_events_are_told_when_asked_for(organization, server):  # noqa: F811
    server.command("usage", "export")
    asked = {"include_all": "true"}
    raw = organization.audit_logs.with_raw_response.list(extra_query=asked, limit=1)
    (entry,) = json.loads(raw.http_response.text)["data"]
    assert entry["type"] == "usage.exported" and entry["details"]["id"] == "usage"
