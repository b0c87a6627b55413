"""Completions that are stored, and what becomes of them."""

import asyncio

import openai
import pytest
from server import MODEL
from test_answers import text

QUESTION = "What is the capital of France?"


@pytest.fixture
def stored(client, ask):
    """Makes stored completions with a color of their own, and removes them."""
    made = []

    def store(**options):
        completion = ask(QUESTION, **{"store": True, "max_tokens": 8, "temperature": 0} | options)
        made.append(completion.id)
        return completion

    yield store
    for id in made:
        client.chat.completions.delete(id)


def test_what_was_answered_can_be_read_again(client, stored):
    completion = stored(metadata={"color": "red"})
    again = client.chat.completions.retrieve(completion.id)
    assert again.metadata == {"color": "red"}
    assert again.choices == completion.choices and again.usage == completion.usage
    assert (again.created, again.model) == (completion.created, MODEL)
    (message,) = client.chat.completions.messages.list(completion.id)
    assert (message.role, message.content) == ("user", QUESTION)
    assert message.id == f"{completion.id}-0"


def test_a_stream_is_stored_too(client, ask):
    chunks = list(ask(QUESTION, store=True, stream=True, max_tokens=8, temperature=0))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    again = client.chat.completions.retrieve(chunks[0].id)
    assert text(again) == said
    client.chat.completions.delete(again.id)


def test_the_list(client, stored):
    ids = [stored(metadata={"color": color}).id for color in ("blue", "green", "blue")]
    completions = client.chat.completions
    # The SDK reads on from page to page by itself.
    listed = [c.id for c in completions.list(limit=1, model=MODEL)]
    assert [id for id in listed if id in ids] == ids
    blue = [c.id for c in completions.list(metadata={"color": "blue"}, order="desc")]
    assert blue == [ids[2], ids[0]]
    assert list(completions.list(model="none")) == []
    assert list(completions.list(after=ids[2], metadata={"color": "blue"})) == []


def test_metadata_can_be_changed(client, stored):
    completion = stored(metadata={"color": "red"})
    changed = client.chat.completions.update(completion.id, metadata={"shape": "round"})
    assert changed.metadata == {"shape": "round"}
    assert client.chat.completions.retrieve(completion.id) == changed
    assert client.chat.completions.update(completion.id, metadata=None).metadata == {}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.update(completion.id, metadata={"k" * 65: "v"})
    assert refused.value.param == "metadata"


def test_deleting(client, ask):
    completion = ask(QUESTION, store=True, max_tokens=4)
    deleted = client.chat.completions.delete(completion.id)
    assert deleted.deleted and deleted.id == completion.id
    assert deleted.object == "chat.completion.deleted"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(completion.id)


def test_nothing_is_stored_unasked(client, ask):
    completion = ask(QUESTION, max_tokens=4)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(completion.id)


def test_the_asynchronous_client(connect, server, stored):
    completion = stored(metadata={"color": "violet"})

    async def found():
        async with connect(server, asynchronous=True) as client:
            listed = client.chat.completions.list(metadata={"color": "violet"})
            return [one.id async for one in listed]

    assert asyncio.run(found()) == [completion.id]
