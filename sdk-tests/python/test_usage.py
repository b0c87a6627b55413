"""Usage and costs, by the official SDK's admin client, which validates every answer against its
own types."""

import asyncio
import inspect
import time

import openai
import pytest
from server import MODEL
from test_errors import HI

DAY = 24 * 60 * 60
GROUPS = ["project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"]


@pytest.fixture(scope="module")
def organization(server, connect):
    client = connect(
        server, admin_api_key=server.admin_api_key, _strict_response_validation=True
    )
    return client.admin.organization


@pytest.fixture(scope="module")
def usage(organization):
    return organization.usage


@pytest.fixture(scope="module")
def used(organization, server, connect):
    """A project in which one key asked twice and another once: the answers, by key."""
    project = organization.projects.create(name="Used")
    answers = {}
    for times in (2, 1):
        account = organization.projects.service_accounts.create(project.id, name="Robot")
        client = connect(server, api_key=account.api_key.value)
        answers[account.api_key.id] = [
            client.chat.completions.create(model=MODEL, messages=HI, max_tokens=2)
            for _ in range(times)
        ]
    return project.id, answers


def results(page):
    return [result for bucket in page.data for result in bucket.results]


def whole_kinds(usage):
    """Every kind that the SDK knows."""
    methods = inspect.getmembers(usage, inspect.ismethod)
    return {name for name, _ in methods if not name.startswith(("_", "with"))}


def test_every_kind_there_is(usage):
    kinds = whole_kinds(usage)
    assert {"completions", "costs", "embeddings", "file_search_calls"} <= kinds
    today = int(time.time()) // DAY * DAY
    for kind in kinds:
        page = getattr(usage, kind)(start_time=today - DAY, end_time=today + DAY)
        assert [bucket.start_time for bucket in page.data] == [today - DAY, today], kind
        assert all(bucket.end_time - bucket.start_time == DAY for bucket in page.data)
        assert (page.has_more, page.next_page) == (False, None)
        if kind not in ("completions", "costs", "embeddings", "moderations"):
            assert results(page) == [], kind


@pytest.mark.parametrize("width", ["1m", "1h", "1d"])
def test_completions_are_what_was_answered(usage, used, width):
    project, answers = used
    page = usage.completions(
        start_time=int(time.time()) - 3000,
        bucket_width=width,
        limit=60 if width == "1m" else 24 if width == "1h" else 7,
        group_by=["api_key_id", "model"],
        project_ids=[project],
    )
    for key, given in answers.items():
        told = [result for result in results(page) if result.api_key_id == key]
        assert {result.model for result in told} == {MODEL}
        assert sum(result.num_model_requests for result in told) == len(given)
        for field, of_answer in (
            ("input_tokens", lambda answer: answer.usage.prompt_tokens),
            ("output_tokens", lambda answer: answer.usage.completion_tokens),
        ):
            expected = sum(of_answer(answer) for answer in given)
            assert sum(getattr(result, field) for result in told) == expected, field
        assert all(result.project_id is None and result.batch is None for result in told)
    assert {result.api_key_id for result in results(page)} == answers.keys()


def test_groups_and_filters(usage, used):
    project, answers = used
    start = int(time.time()) - DAY

    def ask(**options):
        return results(usage.completions(start_time=start, project_ids=[project], **options))

    def requests(**options):
        return sum(result.num_model_requests for result in ask(**options))

    everything = ask(group_by=GROUPS)
    assert {result.project_id for result in everything} == {project}
    assert {(r.batch, r.service_tier, r.api_source, r.user_id) for r in everything} == {
        (False, "default", "unlabeled", None)
    }
    assert requests() == requests(batch=False) == requests(models=[MODEL, "other"]) == 3
    assert requests(batch=True) == requests(models=["other"]) == requests(user_ids=["none"]) == 0
    for key, given in answers.items():
        assert requests(api_key_ids=[key]) == len(given)
    others = usage.completions(start_time=start, project_ids=["proj_none"])
    assert results(others) == []


def test_pages(usage):
    today = int(time.time()) // DAY * DAY
    asked = {"start_time": today - 9 * DAY, "end_time": today + DAY, "limit": 4}
    for kind in (usage.completions, usage.costs, usage.images):
        starts, more = [], {}
        while True:
            page = kind(**asked, **more)
            starts += [bucket.start_time for bucket in page.data]
            if not page.has_more:
                break
            more = {"page": page.next_page}
        assert starts == [today + day * DAY for day in range(-9, 1)]


def test_costs(usage, used):
    project, answers = used
    page = usage.costs(
        start_time=int(time.time()) - DAY, project_ids=[project], group_by=["line_item", "project_id"]
    )
    told = results(page)
    assert {(result.line_item, result.project_id) for result in told} == {(MODEL, project)}
    assert all(result.amount.currency == "usd" and result.amount.value >= 0 for result in told)
    tokens = sum(answer.usage.total_tokens for given in answers.values() for answer in given)
    assert sum(result.quantity for result in told) == tokens
    assert {result.quantity_unit for result in told} == {"tokens"}


@pytest.mark.parametrize(
    "asked, param",
    [
        ({"start_time": -1}, "start_time"),
        ({"start_time": 0, "bucket_width": "1m"}, "start_time"),
        ({"start_time": 5, "end_time": 5}, "end_time"),
        ({"start_time": 5, "limit": 32}, "limit"),
        ({"start_time": 5, "page": "nonsense"}, "page"),
        ({"start_time": 5, "group_by": ["colour"]}, "group_by"),
    ],
)
def test_what_is_asked_wrongly(usage, asked, param):
    with pytest.raises(openai.BadRequestError) as caught:
        usage.completions(**asked)
    assert caught.value.param == param


def test_an_admin_key_without_the_scope(organization, server, connect):
    made = organization.admin_api_keys.create(name="Other", extra_body={"scopes": ["users.read"]})
    other = connect(server, admin_api_key=made.value).admin.organization.usage
    for kind in (other.completions, other.costs, other.images):
        with pytest.raises(openai.PermissionDeniedError):
            kind(start_time=int(time.time()))


def test_async(usage, used, server, connect):
    project, _ = used
    asked = {"start_time": int(time.time()) - DAY, "project_ids": [project], "group_by": ["model"]}

    async def told():
        client = connect(
            server,
            asynchronous=True,
            admin_api_key=server.admin_api_key,
            _strict_response_validation=True,
        )
        return await client.admin.organization.usage.completions(**asked)

    assert results(asyncio.run(told())) == results(usage.completions(**asked))
