"""The asynchronous client."""

import asyncio

import openai
import pytest
from server import MODEL
from test_answers import STORY


def run(server, connect, work):
    async def main():
        async with connect(server, asynchronous=True) as client:
            return await work(client)

    return asyncio.run(main())


def question(content, **options):
    messages = [{"role": "user", "content": content}]
    return {"model": MODEL, "messages": messages, "max_tokens": 16, "temperature": 0} | options


def test_answers(server, connect):
    async def work(client):
        return await client.chat.completions.create(**question("What is the capital of France?"))

    completion = run(server, connect, work)
    assert "Paris" in completion.choices[0].message.content
    assert server.row(completion._request_id)["outcome"] == "completed"


def test_many_at_once(server, connect):
    async def work(client):
        ask = client.chat.completions.create
        calls = [ask(**question(f"What is {n} plus 1?")) for n in range(12)]
        return await asyncio.gather(*calls)

    completions = run(server, connect, work)
    assert len({completion.id for completion in completions}) == 12
    known = {row["request_id"] for row in server.rows()}
    assert {completion._request_id for completion in completions} <= known


def test_a_stream(server, connect):
    async def work(client):
        whole = await client.chat.completions.create(**question(STORY))
        options = {"stream": True, "stream_options": {"include_usage": True}}
        stream = await client.chat.completions.create(**question(STORY, **options))
        return whole, [chunk async for chunk in stream]

    whole, chunks = run(server, connect, work)
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_models(server, connect):
    async def work(client):
        return [model.id async for model in client.models.list()]

    assert run(server, connect, work) == [MODEL]


def test_errors(server, connect):
    async def work(client):
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(**question("Hi", temperature=5))
        assert caught.value.param == "temperature"
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(**question("Hi", model="gpt-17"))
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="sk-no").models.list()

    run(server, connect, work)


def test_a_cancelled_task_cancels_the_answer(server, connect, long):
    before = server.rows()

    async def work(client):
        begun = asyncio.Event()

        async def listen():
            stream = await client.chat.completions.create(**question(STORY, stream=True, **long))
            async for _ in stream:
                begun.set()

        task = asyncio.create_task(listen())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(server, connect, work)
    row = server.cancelled_since(before)
    assert row["output_tokens"] < long["max_tokens"]
