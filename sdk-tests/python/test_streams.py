"""Streamed answers, and clients that leave."""

import pytest
from server import MODEL
from test_answers import STORY, stops, text


def collected(stream):
    """The text of each choice, and the last chunk."""
    texts, last = {}, None
    for last in stream:
        for choice in last.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
    return texts, last


def test_a_stream_says_what_a_whole_answer_says(ask, witness):
    options = {"temperature": 0, "max_tokens": 24}
    whole = ask(STORY, **options)
    chunks = list(ask(STORY, stream=True, **options))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == text(whole)
    assert [c.choices[0].delta.role for c in chunks] == ["assistant"] + [None] * (len(chunks) - 1)
    reasons = [c.choices[0].finish_reason for c in chunks]
    assert reasons == [None] * (len(chunks) - 1) + [whole.choices[0].finish_reason]
    assert {c.object for c in chunks} == {"chat.completion.chunk"}
    assert {c.system_fingerprint for c in chunks} == {whole.system_fingerprint}
    assert all(c.usage is None for c in chunks)
    # As it is generated, not at once.
    assert len(chunks) > 12
    answer = witness.answers[-1]
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert b'"usage"' not in answer.body


def test_the_usage_chunk(ask, server, witness):
    options = {"temperature": 0, "max_tokens": 12}
    stream = ask(STORY, stream=True, stream_options={"include_usage": True}, **options)
    chunks = list(stream)
    *others, last = chunks
    assert last.choices == []
    assert all(chunk.usage is None and chunk.choices for chunk in others)
    assert last.usage.completion_tokens == 12
    assert last.usage.total_tokens == last.usage.prompt_tokens + 12
    assert witness.answers[-1].body.endswith(b"data: [DONE]\n\n")
    row = server.row(witness.answers[-1].request_id)
    assert row["stream"] is True
    assert row["output_tokens"] == 12 and row["input_tokens"] == last.usage.prompt_tokens


def test_n_in_a_stream(ask):
    options = {"seed": 3, "n": 3, "max_tokens": 10}
    whole = ask(STORY, **options)
    texts, _ = collected(ask(STORY, stream=True, **options))
    assert texts == {choice.index: choice.message.content for choice in whole.choices}


@pytest.mark.parametrize("which", range(5))
def test_no_part_of_a_stop_string_leaves(ask, which):
    options = {"temperature": 0, "max_tokens": 48}
    whole = text(ask(STORY, **options))
    stop = stops(whole)[which]
    chunks = list(ask(STORY, stream=True, stop=[stop, "never in there"], **options))
    said = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert said == whole[: whole.index(stop)].rstrip()
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_what_only_looked_like_a_stop_string_is_said(ask):
    options = {"temperature": 0, "max_tokens": 48}
    whole = text(ask(STORY, **options))
    almost = whole[-20:] + "§"
    texts, _ = collected(ask(STORY, stream=True, stop=almost, **options))
    assert texts[0] == whole


def test_characters_are_not_torn(ask):
    options = {"temperature": 0, "max_tokens": 30}
    question = "Repeat after me: 🦀🦀🦀🦀🦀🦀"
    whole = text(ask(question, **options))
    chunks = list(ask(question, stream=True, **options))
    said = [c.choices[0].delta.content or "" for c in chunks]
    assert "".join(said) == whole and "🦀" in whole
    # Only the bound on the length may cut one, at the very end.
    assert "\ufffd" not in "".join(said).rstrip("\ufffd")


def test_logprobs_in_a_stream(ask):
    options = {"temperature": 0, "max_tokens": 12, "logprobs": True, "top_logprobs": 3}
    whole = ask(STORY, **options)
    streamed = []
    for chunk in ask(STORY, stream=True, **options):
        if chunk.choices[0].logprobs:
            streamed += chunk.choices[0].logprobs.content
    expected = whole.choices[0].logprobs.content
    assert [token.bytes for token in streamed] == [token.bytes for token in expected]
    for mine, theirs in zip(streamed, expected):
        assert mine.logprob == pytest.approx(theirs.logprob, abs=1e-3)


def test_the_sdks_own_collector(client):
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    with client.chat.completions.stream(model=MODEL, messages=messages, temperature=0) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        completion = stream.get_final_completion()
    assert text(completion) == "".join(deltas)
    assert "Paris" in text(completion)


def test_a_streaming_response(client):
    create = client.chat.completions.with_streaming_response.create
    messages = [{"role": "user", "content": "Hi"}]
    with create(model=MODEL, messages=messages, max_tokens=4, stream=True) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


def test_leaving_a_stream_stops_the_model(ask, server, long):
    before = server.rows()
    stream = ask(STORY, stream=True, **long)
    for _, chunk in zip(range(5), stream):
        assert chunk.choices
    stream.close()
    row = server.cancelled_since(before)
    assert row["stream"] is True and row["status"] == 499
    assert 1 <= row["output_tokens"] < long["max_tokens"]
    assert row["input_tokens"] > 0
    # The next one is served.
    assert text(ask("Hi", max_tokens=3))
