"""LangChain, which many programs use the API through."""

import asyncio

import openai
import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from server import MODEL
from test_answers import STORY

FRANCE = "What is the capital of France?"


@pytest.fixture(scope="module")
def model(langchain):
    return langchain(max_tokens=24, stream_usage=True)


def test_invoke(model):
    message = model.invoke([SystemMessage("Be brief."), HumanMessage(FRANCE)])
    assert "Paris" in message.content
    assert message.usage_metadata["output_tokens"] > 0
    usage = message.usage_metadata
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert message.response_metadata["finish_reason"] == "stop"
    assert message.response_metadata["model_name"] == MODEL


def test_stream(model):
    whole = model.invoke(STORY)
    chunks = list(model.stream(STORY))
    assert len(chunks) > 5
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    assert total.content == whole.content
    counted = ("input_tokens", "output_tokens", "total_tokens")
    assert [total.usage_metadata[k] for k in counted] == [whole.usage_metadata[k] for k in counted]


def test_batch(model):
    questions = [f"What is {n} plus {n}?" for n in range(4)]
    assert [m.content for m in model.batch(questions)] == [
        model.invoke(question).content for question in questions
    ]


def test_ainvoke_and_astream(model):
    async def work():
        message = await model.ainvoke(FRANCE)
        parts = [chunk.content async for chunk in model.astream(FRANCE)]
        return message.content, "".join(parts)

    whole, streamed = asyncio.run(work())
    assert "Paris" in whole and streamed == whole


def test_stop_and_seed(model):
    whole = model.invoke(STORY).content
    stop = whole[10:14]
    assert model.invoke(STORY, stop=[stop]).content == whole[: whole.index(stop)].rstrip()
    warm = model.bind(temperature=1, seed=7)
    assert warm.invoke(STORY).content == warm.invoke(STORY).content


def test_errors(model):
    with pytest.raises(openai.BadRequestError):
        model.bind(temperature=9).invoke(FRANCE)
