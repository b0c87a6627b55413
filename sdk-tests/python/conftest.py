import openai
import pytest
from langchain_openai import ChatOpenAI
from server import MODEL, PATIENCE, Server
from witness import Witness

# Ids of the default model's tokens that end an answer.
ENDS = {"0": -100, "2": -100}


@pytest.fixture(scope="session")
def witness():
    return Witness()


@pytest.fixture(autouse=True)
def every_answer_is_what_the_sdk_says(witness):
    yield
    witness.check_new()


@pytest.fixture(scope="session")
def server(tmp_path_factory, witness):
    server = Server(tmp_path_factory.mktemp("main") / "data").start()
    yield server
    server.stop()
    check_records(server, witness)


def check_records(server, witness):
    """Every answer of the whole session has its one usage row, which says the same."""
    rows = server.rows()
    by_id = {row["request_id"]: row for row in rows}
    assert len(by_id) == len(rows), "two rows of one request"
    checked = 0
    for answer in witness.answers:
        if answer.port == server.port and answer.has_a_row:
            row = by_id.get(answer.request_id)
            assert row, f"{answer.request_id} ({answer.status}) has no usage row"
            if row["outcome"] == "cancelled":
                assert not answer.whole, row
            else:
                assert row["status"] == answer.status, row
            checked += 1
    print(f"\n{checked} answers have their usage rows")


@pytest.fixture(scope="session")
def connect(witness):
    """Makes clients whose answers are witnessed."""

    def make(server, asynchronous=False, **options):
        options = {"api_key": server.api_key, "timeout": PATIENCE, "max_retries": 0} | options
        options["base_url"] = server.base_url
        if asynchronous:
            return openai.AsyncOpenAI(http_client=witness.async_client(), **options)
        return openai.OpenAI(http_client=witness.client(), **options)

    return make


@pytest.fixture(scope="session")
def client(server, connect):
    return connect(server)


@pytest.fixture(scope="session")
def ask(client):
    """`ask("...")` or `ask([...])`: a completion of the default model, with what is different."""
    return asking(client)


@pytest.fixture(scope="session")
def langchain(server, witness):
    """LangChain's model, to be told what is different."""

    def make(**options):
        return ChatOpenAI(
            model=MODEL,
            api_key=server.api_key,
            base_url=server.base_url,
            temperature=0,
            timeout=PATIENCE,
            max_retries=0,
            http_client=witness.client(),
            http_async_client=witness.async_client(),
            **options,
        )

    return make


@pytest.fixture(scope="session")
def unguarded(unguarded_client):
    """Like `ask`, for a project whose policy is to look at nothing."""
    return asking(unguarded_client)


@pytest.fixture(scope="session")
def unguarded_client(server, connect):
    """Of a project whose policy is to look at nothing."""
    organization = openai.OpenAI(
        base_url=server.base_url, api_key="x", admin_api_key=server.admin_api_key
    ).admin.organization
    project = organization.projects.create(
        name="Unguarded", extra_body={"guardrail_policy": "off"}
    )
    account = organization.projects.service_accounts.create(project.id, name="Robot")
    return connect(server, api_key=account.api_key.value)


def asking(client):
    def ask(what, **options):
        messages = [{"role": "user", "content": what}] if isinstance(what, str) else what
        return client.chat.completions.create(
            **{"model": MODEL, "messages": messages, "max_tokens": 32} | options
        )

    return ask


@pytest.fixture(scope="session")
def long():
    """Options of an answer that lasts: it can only end by its length."""
    return {"max_tokens": 8000, "logit_bias": ENDS}
