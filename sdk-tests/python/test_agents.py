"""Agents: programs that let the model call functions until it has an answer."""

import asyncio
from typing import Annotated, Literal

import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from server import MODEL

QUESTION = "What is 3 plus 4, and how is the weather in Paris?"
# The model is too small to know which function comes next: who asks says so.
ORDER = ["add", "get_weather"]
# It would write digits without end.
Small = Annotated[int, Field(ge=0, le=99)]


class Report(BaseModel):
    total: int = Field(ge=0, le=99)
    weather: str = Field(max_length=20)


@pytest.fixture(scope="module")
def model(langchain):
    return langchain(max_tokens=100)


@wrap_model_call
def in_order(request, handler):
    done = sum(isinstance(message, ToolMessage) for message in request.messages)
    choice = "none" if done == len(ORDER) else ORDER[done]
    return handler(request.override(tool_choice=choice))


@wrap_model_call
def in_order_too(request, handler):
    """With a form LangChain leaves the choice out."""
    done = sum(isinstance(message, ToolMessage) for message in request.messages)
    named = {"type": "function", "function": {"name": ORDER[min(done, 1)]}}
    choice = "none" if done == len(ORDER) else named
    return handler(request.override(model_settings={"tool_choice": choice}))


def tools():
    called = []

    @tool
    def add(a: Small, b: Small) -> int:
        """Adds two numbers."""
        called.append(("add", type(a), type(b)))
        return a + b

    @tool
    def get_weather(city: Literal["Paris", "Rome"]) -> str:
        """Tells the weather of a city."""
        called.append(("get_weather", type(city)))
        return "sunny"

    return [add, get_weather], called


def test_a_langchain_agent_with_two_tools(model):
    both, called = tools()
    agent = create_agent(model, both, system_prompt="Be brief.", middleware=[in_order])
    messages = agent.invoke({"messages": [("user", QUESTION)]})["messages"]
    assert called == [("add", int, int), ("get_weather", str)]
    kinds = [type(message) for message in messages[1:]]
    assert kinds == [AIMessage, ToolMessage, AIMessage, ToolMessage, AIMessage]
    for asked, told in [messages[1:3], messages[3:5]]:
        assert asked.tool_calls[0]["id"] == told.tool_call_id
    assert messages[-1].content and not messages[-1].tool_calls


def test_a_langchain_agent_that_answers_in_a_form_streamed(model):
    agent = create_agent(model, [], response_format=ProviderStrategy(Report, strict=True))
    pieces = []
    result = None
    for kind, value in agent.stream(
        {"messages": [("user", QUESTION)]}, stream_mode=["messages", "values"]
    ):
        if kind == "messages":
            pieces.append(value[0].content)
        else:
            result = value
    assert len([piece for piece in pieces if piece]) > 3
    assert Report.model_validate_json("".join(pieces)) == result["structured_response"]


def test_a_langchain_agent_with_tools_and_a_form(model):
    both, called = tools()
    form = ProviderStrategy(Report, strict=True)
    agent = create_agent(model, both, middleware=[in_order_too], response_format=form)
    result = agent.invoke({"messages": [("user", QUESTION)]})
    assert [name for name, *_ in called] == ORDER
    assert isinstance(result["structured_response"], Report)


def openai_agent(client, called):
    @function_tool
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        called.append("add")
        return a + b

    @function_tool
    def get_weather(city: str) -> str:
        """Tells the weather of a city."""
        called.append("get_weather")
        return "sunny"

    set_tracing_disabled(True)
    return Agent(
        name="Helper",
        instructions="Be brief.",
        tools=[add, get_weather],
        model=OpenAIChatCompletionsModel(model=MODEL, openai_client=client),
        # For its first step; then it is free to answer.
        model_settings=ModelSettings(
            tool_choice="required", parallel_tool_calls=False, temperature=0, max_tokens=100
        ),
    )


def test_an_agent_of_openai_s_agents_sdk(server, connect):
    called = []

    async def work():
        agent = openai_agent(connect(server, asynchronous=True), called)
        return await Runner.run(agent, QUESTION, max_turns=6)

    result = asyncio.run(work())
    assert called and set(called) <= set(ORDER)
    assert isinstance(result.final_output, str) and result.final_output


def test_the_same_streamed(server, connect):
    called = []

    async def work():
        agent = openai_agent(connect(server, asynchronous=True), called)
        streamed = Runner.run_streamed(agent, QUESTION, max_turns=6)
        kinds = [event.type async for event in streamed.stream_events()]
        return streamed.final_output, kinds

    output, kinds = asyncio.run(work())
    assert called and output
    assert kinds.count("raw_response_event") > 5
