"""Texts to vectors: the real embedding model, by the official SDK and by LangChain."""

import asyncio
import json
import math
import time
from array import array
from pathlib import Path

import openai
import pytest
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings
from server import MODEL, PATIENCE, Server
from test_errors import HI

EMBEDDER = "all-MiniLM-L6-v2"
GOLDEN = Path(__file__).parents[2] / "tests/golden/embeddings-minilm.json"
TEXTS = ["What is the capital of France?", "Paris is the capital of France.", "The cat sleeps."]


@pytest.fixture(scope="module")
def embedding_server(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("embeddings") / "data"
    server = Server(data_dir, MICROLLM__EMBEDDINGS__MODEL=EMBEDDER).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(embedding_server, connect):
    return connect(embedding_server)


@pytest.fixture(scope="module")
def embed(client):
    def embed(what, **options):
        return client.embeddings.create(model=EMBEDDER, input=what, **options)

    return embed


def cosine(a, b):
    lengths = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths


def test_texts(embed, embedding_server):
    answer = embed(TEXTS)
    assert answer.object == "list" and answer.model == EMBEDDER
    assert [(one.index, one.object) for one in answer.data] == [
        (i, "embedding") for i in range(3)
    ]
    vectors = [one.embedding for one in answer.data]
    assert [len(vector) for vector in vectors] == [384] * 3
    assert all(abs(math.hypot(*vector) - 1) < 1e-5 for vector in vectors)
    assert cosine(vectors[0], vectors[1]) > 0.8 > 0.3 > cosine(vectors[0], vectors[2])
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 9 + 9 + 6
    row = embedding_server.row(answer._request_id)
    assert (row["endpoint"], row["model"]) == ("embeddings", EMBEDDER)
    assert (row["status"], row["outcome"]) == (200, "completed")
    assert (row["input_tokens"], row["output_tokens"]) == (24, 0)
    alone = embed(TEXTS[1]).data[0].embedding
    assert cosine(alone, vectors[1]) > 0.999999


def test_vectors_are_those_of_sentence_transformers(embed):
    golden = json.loads(GOLDEN.read_text())["texts"]
    # Attacks and addresses are for the guards, not for here.
    golden = [one for one in golden if "@" not in one["text"]]
    answer = embed([one["text"] for one in golden])
    for one, expected in zip(answer.data, golden, strict=True):
        assert cosine(one.embedding, expected["vector"]) > 0.999, expected["text"]
    assert answer.usage.prompt_tokens == sum(one["tokens"] for one in golden)


def test_base64_and_numbers_are_the_same(embed, client):
    # The SDK asks for base64 unless it is told what to ask for.
    default = embed(TEXTS[0]).data[0].embedding
    numbers = embed(TEXTS[0], encoding_format="float").data[0].embedding
    assert [float(x) for x in default] == array("f", numbers).tolist()
    text = embed(TEXTS[0], encoding_format="base64").data[0].embedding
    assert isinstance(text, str) and len(text) == 384 * 4 * 4 // 3


def test_dimensions(embed):
    whole = embed(TEXTS[0]).data[0].embedding
    short = embed(TEXTS[0], dimensions=64).data[0].embedding
    assert len(short) == 64 and abs(math.hypot(*short) - 1) < 1e-5
    assert cosine(short, whole[:64]) > 0.999999


def test_tokens(embed):
    # "what is the capital of france ?"
    ids = [2054, 2003, 1996, 3007, 1997, 2605, 1029]
    written = embed(TEXTS[0]).data[0].embedding
    for what in (ids, [ids, [4937]]):
        answer = embed(what)
        assert cosine(answer.data[0].embedding, written) > 0.999999
    assert answer.usage.prompt_tokens == 9 + 3


def test_errors(embed, client):
    for what, param in [
        ("", "input"),
        ([], "input"),
        (["fine", ""], "input[1]"),
        (["x"] * 2049, "input"),
        ("word " * 8192, "input"),
        ([30522], "input"),
    ]:
        with pytest.raises(openai.BadRequestError) as refused:
            embed(what)
        assert refused.value.param == param
    for dimensions in (0, 385):
        with pytest.raises(openai.BadRequestError) as refused:
            embed("fine", dimensions=dimensions)
        assert refused.value.param == "dimensions"
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="text-embedding-3-small", input="Hi")
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=MODEL, input="Hi")
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=EMBEDDER, messages=HI)


def test_it_is_listed(client):
    assert [model.id for model in client.models.list()] == [MODEL, EMBEDDER]
    assert client.models.retrieve(EMBEDDER).owned_by == "sentence-transformers"


def test_without_one_there_are_no_embeddings(connect, server):
    with pytest.raises(openai.NotFoundError):
        connect(server).embeddings.create(model=EMBEDDER, input="Hi")


def test_many_at_once(embedding_server, connect):
    async def work():
        client = connect(embedding_server, asynchronous=True)
        answers = [client.embeddings.create(model=EMBEDDER, input=text) for text in TEXTS * 4]
        return [one.data[0].embedding for one in await asyncio.gather(*answers)]

    vectors = asyncio.run(work())
    for i, vector in enumerate(vectors):
        assert cosine(vector, vectors[i % 3]) > 0.999999


def test_usage(embed, embedding_server, connect):
    embed(TEXTS)
    admin = connect(
        embedding_server,
        admin_api_key=embedding_server.admin_api_key,
        _strict_response_validation=True,
    )
    start = int(time.time()) - 24 * 60 * 60
    page = admin.admin.organization.usage.embeddings(start_time=start, group_by=["model"])
    results = [result for bucket in page.data for result in bucket.results]
    results = [result for result in results if result.model == EMBEDDER]
    rows = [row for row in embedding_server.rows() if row["endpoint"] == "embeddings"]
    rows = [row for row in rows if row["input_tokens"]]
    assert sum(result.num_model_requests for result in results) == len(rows)
    assert sum(result.input_tokens for result in results) == sum(r["input_tokens"] for r in rows)


def test_langchain(embedding_server, witness):
    embeddings = OpenAIEmbeddings(
        model=EMBEDDER,
        api_key=embedding_server.api_key,
        base_url=embedding_server.base_url,
        timeout=PATIENCE,
        max_retries=0,
        # Otherwise it sends the tokens of another model.
        check_embedding_ctx_length=False,
        http_client=witness.client(),
        http_async_client=witness.async_client(),
    )
    store = InMemoryVectorStore(embeddings)
    store.add_texts(
        [
            "Invoices are paid within thirty days.",
            "To reset a forgotten password, use the link on the sign-in page.",
            "The canteen opens at noon.",
        ]
    )
    found = store.similarity_search("I cannot remember my login secret", k=1)
    assert "password" in found[0].page_content
