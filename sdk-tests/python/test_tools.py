"""Function calling and structured output, enforced: the default model is far too small to manage by
itself, so that whatever is right here was made right by the server."""

import json

import instructor
import openai
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from server import MODEL

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds two numbers.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    },
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome"]}},
            "required": ["city"],
        },
    },
}
NAMED = {"type": "function", "function": {"name": "add"}}
SUM = "What is 3 plus 4?"


class Person(BaseModel):
    name: str = Field(max_length=20)
    age: int = Field(ge=0, le=150)


def check_add(function):
    assert function.name == "add"
    arguments = json.loads(function.arguments)
    assert list(arguments) == ["a", "b"]
    assert all(isinstance(value, int) for value in arguments.values())


def test_a_named_function_is_called(ask):
    choice = ask(SUM, tools=[ADD, WEATHER], tool_choice=NAMED, max_tokens=100).choices[0]
    assert choice.finish_reason == "stop"
    assert choice.message.content is None
    [call] = choice.message.tool_calls
    assert call.type == "function" and call.id.startswith("call_")
    check_add(call.function)


def test_some_function_is_called_when_one_is_required(ask):
    completion = ask(
        "Weather?", tools=[ADD, WEATHER], tool_choice="required", parallel_tool_calls=False, max_tokens=100
    )
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls
    if call.function.name == "add":
        check_add(call.function)
    else:
        assert json.loads(call.function.arguments)["city"] in ("Paris", "Rome")


def test_only_allowed_tools_are_called(ask):
    allowed = {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [{"type": "function", "function": {"name": "get_weather"}}],
        },
    }
    completion = ask(
        SUM, tools=[ADD, WEATHER], tool_choice=allowed, parallel_tool_calls=False, max_tokens=60
    )
    [call] = completion.choices[0].message.tool_calls
    assert call.function.name == "get_weather"


def test_the_sdk_puts_streamed_calls_together(client):
    with client.chat.completions.stream(
        model=MODEL,
        messages=[{"role": "user", "content": SUM}],
        tools=[ADD],
        tool_choice=NAMED,
        max_tokens=100,
        temperature=0,
    ) as stream:
        events = list(stream)
        completion = stream.get_final_completion()
    pieces = [e for e in events if e.type == "tool_calls.function.arguments.delta"]
    assert len(pieces) > 1, "the arguments come as they are made"
    [call] = completion.choices[0].message.tool_calls
    check_add(call.function)
    # The SDK has parsed a strict function's arguments by itself.
    assert set(call.function.parsed_arguments) == {"a", "b"}


def test_a_round_trip(ask):
    asked = [{"role": "user", "content": SUM}]
    message = ask(asked, tools=[ADD], tool_choice=NAMED, max_tokens=100).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "7"}
    asked += [message.model_dump(exclude_none=True), result]
    answer = ask(asked, tools=[ADD], tool_choice="none", max_tokens=40)
    assert answer.choices[0].message.content
    assert answer.choices[0].message.tool_calls is None


def test_parse_gives_an_instance(client):
    completion = client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Ada is 36 years old."}],
        response_format=Person,
        max_tokens=100,
        temperature=0,
    )
    person = completion.choices[0].message.parsed
    assert isinstance(person, Person)
    assert 0 <= person.age <= 150


def test_a_document_that_is_cut_is_told(client):
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(
            model=MODEL,
            messages=[{"role": "user", "content": "Ada is 36 years old."}],
            response_format=Person,
            max_tokens=3,
        )


def test_any_json_and_grammars(ask):
    answer = ask("Describe a cat as JSON.", response_format={"type": "json_object"}, max_tokens=200)
    content = answer.choices[0].message.content
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(content), dict)
    else:
        assert content.startswith("{")
    grammar = {"syntax": "regex", "definition": "(yes|no)"}
    answer = ask("Is it?", response_format={"type": "grammar", "grammar": grammar})
    assert answer.choices[0].message.content in ("yes", "no")
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("schema", "word"),
    [({"type": "object", "propertyNames": {"minLength": 1}}, "propertyNames"), ({"type": "thing"}, "thing")],
)
def test_what_cannot_be_enforced_is_refused_by_name(ask, schema, word):
    with pytest.raises(openai.BadRequestError) as caught:
        ask("x", response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert caught.value.param == "response_format"
    assert word in caught.value.message


@pytest.fixture(scope="module")
def small(langchain):
    return langchain(max_tokens=100)


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@tool
def shout(text: str) -> str:
    """Writes a text in capitals."""
    return text.upper()


def test_langchain_binds_tools_and_goes_round(small):
    tools = {"add": add, "shout": shout}
    messages = [HumanMessage(SUM)]
    asks = small.bind_tools([add, shout], tool_choice="add").invoke(messages)
    [call] = asks.tool_calls
    result = tools[call["name"]].invoke(call)
    assert isinstance(result, ToolMessage)
    assert int(result.content) == call["args"]["a"] + call["args"]["b"]
    answer = small.bind_tools([add, shout], tool_choice="none").invoke([*messages, asks, result])
    assert answer.content and not answer.tool_calls


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchain_with_structured_output(small, method):
    person = small.with_structured_output(Person, method=method).invoke("Ada is 36 years old.")
    assert isinstance(person, Person)


@pytest.mark.parametrize("mode", [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA])
def test_instructor(connect, server, mode):
    client = instructor.from_openai(connect(server), mode=mode)
    person = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Ada is 36 years old."}],
        response_model=Person,
        max_tokens=100,
        temperature=0,
        max_retries=0,
    )
    assert isinstance(person, Person)
