"""The administration, driven by the official SDK's admin client, which validates every answer
against its own types."""

import asyncio
import json

import openai
import pytest
from server import MODEL
from test_errors import HI

DAY = 24 * 60 * 60


@pytest.fixture(scope="module")
def organization(server, connect):
    client = connect(
        server, admin_api_key=server.admin_api_key, _strict_response_validation=True
    )
    return client.admin.organization


@pytest.fixture
def project(organization):
    return organization.projects.create(name="Tests")


@pytest.fixture
def project_key(organization, project):
    """A fresh service account's key, as text."""
    account = organization.projects.service_accounts.create(project.id, name="Robot")
    return account.api_key


def pages(listing, id=lambda entry: entry.id):
    """Every entry, by the SDK's own paging."""
    ids = [id(entry) for entry in listing]
    assert len(ids) == len(set(ids)), "an entry came twice"
    return ids


def test_admin_api_keys(organization, server, connect):
    made = organization.admin_api_keys.create(name="Auditor", expires_in_seconds=DAY)
    assert made.value.startswith("sk-mllm-admin-")
    assert made.expires_at - made.created_at == DAY
    assert made.value[-4:] == made.redacted_value[-4:] and made.value not in made.redacted_value
    seen = organization.admin_api_keys.retrieve(made.id)
    assert (seen.id, seen.name, seen.owner.role) == (made.id, "Auditor", "owner")
    assert made.id in pages(organization.admin_api_keys.list(limit=1))
    other = connect(server, admin_api_key=made.value)
    assert other.admin.organization.users.list().data
    assert organization.admin_api_keys.delete(made.id).deleted
    with pytest.raises(openai.AuthenticationError):
        other.admin.organization.users.list()
    with pytest.raises(openai.NotFoundError):
        organization.admin_api_keys.retrieve("key_none")


def test_scopes_of_admin_keys(organization, server, connect):
    made = organization.admin_api_keys.create(name="Reader", extra_body={"scopes": ["users.read"]})
    narrow = connect(server, admin_api_key=made.value).admin.organization
    assert narrow.users.list().data
    for call in (
        lambda: narrow.projects.list(),
        lambda: narrow.admin_api_keys.create(name="Wider"),
    ):
        with pytest.raises(openai.PermissionDeniedError):
            call()


def test_users_and_invites(organization):
    (owner,) = [user for user in organization.users.list() if user.role == "owner"]
    assert organization.users.retrieve(owner.id).email == owner.email
    with pytest.raises(openai.APIStatusError) as caught:
        organization.users.update(owner.id, role="reader")
    assert caught.value.status_code in (400, 409), "nobody would be left to manage the server"
    with pytest.raises(openai.APIStatusError):
        organization.users.delete(owner.id)
    invite = organization.invites.create(email="new@example.org", role="reader")
    assert invite.status == "pending" and invite.expires_at > invite.created_at
    assert invite.model_extra["token"].startswith("inv_")
    assert "token" not in (organization.invites.retrieve(invite.id).model_extra or {})
    assert invite.id in pages(organization.invites.list(limit=1))
    assert organization.invites.delete(invite.id).deleted
    with pytest.raises(openai.NotFoundError):
        organization.users.retrieve("user-none")


def test_roles(organization):
    roles = {role.id: role for role in organization.roles.list()}
    assert {"role-organization-owner", "role-organization-reader"} <= roles.keys()
    assert all(role.predefined_role for role in roles.values())
    for id, role in roles.items():
        assert organization.roles.retrieve(id).to_dict() == role.to_dict()
    with pytest.raises(openai.NotFoundError):
        organization.roles.retrieve("role-none")
    for call in (
        lambda: organization.roles.create(role_name="Auditor", permissions=["audit.read"]),
        lambda: organization.roles.delete("role-organization-reader"),
    ):
        with pytest.raises(openai.APIStatusError) as caught:
            call()
        assert caught.value.status_code == 405, "there are no other roles"
    (owner,) = [user for user in organization.users.list() if user.role == "owner"]
    (held,) = organization.users.roles.list(owner.id)
    assert held.id == "role-organization-owner"


def test_projects(organization, project):
    assert (project.name, project.status, project.archived_at) == ("Tests", "active", None)
    renamed = organization.projects.update(project.id, name="Renamed")
    assert renamed.name == organization.projects.retrieve(project.id).name == "Renamed"
    more = [organization.projects.create(name=f"More {n}").id for n in range(5)]
    listed = pages(organization.projects.list(limit=2))
    assert {project.id, *more} <= set(listed)
    archived = organization.projects.archive(more[0])
    assert archived.status == "archived" and archived.archived_at
    assert more[0] not in pages(organization.projects.list())
    assert more[0] in pages(organization.projects.list(include_archived=True))


def test_project_users(organization, project):
    (owner,) = [user for user in organization.users.list() if user.role == "owner"]
    added = organization.projects.users.create(project.id, role="member", user_id=owner.id)
    assert (added.id, added.role) == (owner.id, "member")
    users = organization.projects.users
    assert users.update(owner.id, project_id=project.id, role="owner").role == "owner"
    assert users.retrieve(owner.id, project_id=project.id).email == owner.email
    assert pages(users.list(project.id)) == [owner.id]
    assert users.delete(owner.id, project_id=project.id).deleted
    assert pages(users.list(project.id)) == []


def test_service_accounts_and_their_keys(organization, project, server, connect):
    accounts, keys = organization.projects.service_accounts, organization.projects.api_keys
    account = accounts.create(project.id, name="Robot")
    client = connect(server, api_key=account.api_key.value)
    assert [model.id for model in client.models.list()] == [MODEL]
    (listed,) = keys.list(project.id)
    assert listed.owner.service_account.id == account.id
    assert listed.redacted_value[-4:] == account.api_key.value[-4:]
    assert keys.retrieve(listed.id, project_id=project.id).owner_project_access == "active"

    renamed = accounts.update(account.id, project_id=project.id, name="Android", role="owner")
    assert (renamed.name, renamed.role) == ("Android", "owner")
    second = accounts.api_keys.create(
        account.id, project_id=project.id, name="Second", scopes=["model.read"]
    )
    narrow = connect(server, api_key=second.value)
    assert list(narrow.models.list())
    with pytest.raises(openai.PermissionDeniedError):
        narrow.chat.completions.create(model=MODEL, messages=HI, max_tokens=1)
    keys.update(second.id, project_id=project.id, scopes=["model.read", "model.request"])
    narrow.chat.completions.create(model=MODEL, messages=HI, max_tokens=1)

    assert accounts.retrieve(account.id, project_id=project.id).name == "Android"
    assert pages(accounts.list(project.id)) == [account.id]
    assert keys.delete(listed.id, project_id=project.id).deleted
    with pytest.raises(openai.AuthenticationError):
        client.models.list()
    assert accounts.delete(account.id, project_id=project.id).deleted
    with pytest.raises(openai.AuthenticationError):
        narrow.models.list()


def test_rotation_overlaps(organization, project, server, connect):
    account = organization.projects.service_accounts.create(project.id, name="Robot")
    old = account.api_key
    path = f"/organization/projects/{project.id}/api_keys/{old.id}/rotate"
    rotated = organization._client.post(
        path,
        body={"overlap_seconds": 60},
        cast_to=object,
        options={"security": {"admin_api_key_auth": True}},
    )
    assert rotated["id"] == old.id and rotated["value"] != old.value
    for value in (old.value, rotated["value"]):
        assert list(connect(server, api_key=value).models.list())


def test_rate_limits(organization, project, project_key, server, connect):
    limits = organization.projects.rate_limits
    (limit,) = limits.list_rate_limits(project.id)
    assert limit.model == MODEL and limit.max_requests_per_1_minute > 0
    changed = limits.update_rate_limit(
        limit.id, project_id=project.id, max_requests_per_1_minute=2
    )
    assert changed.max_requests_per_1_minute == 2
    client = connect(server, api_key=project_key.value)
    for left in (1, 0):
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL, messages=HI, max_tokens=1
        )
        assert raw.headers["x-ratelimit-limit-requests"] == "2"
        assert raw.headers["x-ratelimit-remaining-requests"] == str(left)
        assert int(raw.headers["x-ratelimit-remaining-tokens"]) > 0
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model=MODEL, messages=HI, max_tokens=1)
    assert caught.value.code == "rate_limit_exceeded"
    assert 0 < int(caught.value.response.headers["retry-after-ms"]) <= 60_000


def test_a_budget_that_is_spent(organization, project, project_key, server, connect):
    organization._client.post(
        f"/organization/projects/{project.id}",
        body={"limits": {"tokens_per_day": 60}},
        cast_to=object,
        options={"security": {"admin_api_key_auth": True}},
    )
    client = connect(server, api_key=project_key.value)
    with pytest.raises(openai.RateLimitError) as caught:
        for _ in range(60):
            client.chat.completions.create(model=MODEL, messages=HI, max_tokens=8)
    assert caught.value.code == "insufficient_quota"


def test_model_permissions(organization, project, project_key, server, connect):
    client = connect(server, api_key=project_key.value)
    permissions = organization.projects.model_permissions
    set_to = permissions.update(project.id, mode="deny_list", model_ids=[MODEL])
    assert (set_to.mode, set_to.api_model_ids) == ("deny_list", [MODEL])
    assert list(client.models.list()) == []
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model=MODEL, messages=HI, max_tokens=1)
    assert caught.value.code == "model_not_found"
    permissions.update(project.id, mode="allow_list", model_ids=[MODEL])
    assert permissions.retrieve(project.id).mode == "allow_list"
    client.chat.completions.create(model=MODEL, messages=HI, max_tokens=1)
    assert permissions.delete(project.id).deleted


@pytest.mark.parametrize("whose", ["organization", "project"])
def test_spend_limits_and_alerts(organization, project, whose):
    if whose == "project":
        limit, alerts, first = organization.projects.spend_limit, organization.projects.spend_alerts, [project.id]
        at = {"project_id": project.id}
    else:
        limit, alerts, first, at = organization.spend_limit, organization.spend_alerts, [], {}
    made = limit.update(*first, currency="USD", interval="month", threshold_amount=123_400)
    assert made.threshold_amount == limit.retrieve(*first).threshold_amount == 123_400
    assert limit.delete(*first).deleted
    with pytest.raises(openai.NotFoundError):
        limit.retrieve(*first)
    asked = {
        "currency": "USD",
        "interval": "month",
        "notification_channel": {"type": "email", "recipients": ["boss@example.org"]},
    }
    alert = alerts.create(*first, threshold_amount=100, **asked)
    assert alerts.update(alert.id, threshold_amount=200, **asked, **at).threshold_amount == 200
    assert alerts.retrieve(alert.id, **at).notification_channel.recipients == ["boss@example.org"]
    assert alert.id in pages(alerts.list(*first))
    assert alerts.delete(alert.id, **at).deleted


def test_data_retention(organization, project):
    kept = organization.data_retention.retrieve().type
    changed = organization.data_retention.update(retention_type="zero_data_retention")
    assert changed.type == organization.data_retention.retrieve().type == "zero_data_retention"
    organization.data_retention.update(retention_type=kept)
    of_project = organization.projects.data_retention
    assert of_project.retrieve(project.id).type == "organization_default"
    of_project.update(project.id, retention_type="zero_data_retention")
    assert of_project.retrieve(project.id).type == "zero_data_retention"


def test_the_audit_tells_what_was_done(organization, server):
    project = organization.projects.create(name="Audited")
    organization.projects.update(project.id, name="Audited again")
    organization.projects.archive(project.id)
    server.command("audit", "verify")
    rows = [json.loads(line) for line in server.command("audit", "export").splitlines()]
    kinds = [row["type"] for row in rows if row["project_id"] == project.id]
    assert kinds == ["project.created", "project.updated", "project.archived"]
    assert all(row["actor_kind"] == "api_key" for row in rows if row["project_id"] == project.id)
    everything = json.dumps(rows)
    assert server.api_key not in everything and server.admin_api_key not in everything


def test_async_paging(organization, server, connect):
    async def names():
        client = connect(
            server,
            asynchronous=True,
            admin_api_key=server.admin_api_key,
            _strict_response_validation=True,
        )
        listing = client.admin.organization.projects.list(limit=1, include_archived=True)
        return [project.id async for project in listing]

    listed = asyncio.run(names())
    assert listed == pages(organization.projects.list(include_archived=True))
