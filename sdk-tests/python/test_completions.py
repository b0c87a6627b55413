"""Prompts that are continued, as the SDK's older half has it."""

import math

import openai
import pytest
from server import MODEL

PROMPT = "The capital of France is"


@pytest.fixture(scope="session")
def complete(client):
    def complete(prompt, **options):
        options = {"max_tokens": 8, "temperature": 0} | options
        return client.completions.create(model=MODEL, prompt=prompt, **options)

    return complete


def texts(completion):
    return [choice.text for choice in completion.choices]


def test_a_completion(complete, server):
    completion = complete(PROMPT)
    assert completion.id.startswith("cmpl-")
    assert completion.object == "text_completion"
    assert completion.model == MODEL
    assert "Paris" in completion.choices[0].text
    # The rest of the text, not an answer: its blank in front is part of it.
    assert completion.choices[0].text.startswith(" ")
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == 8
    row = server.row(completion._request_id)
    assert (row["endpoint"], row["output_tokens"]) == ("completions", 8)
    assert row["input_tokens"] == completion.usage.prompt_tokens


def test_the_default_length(client):
    completion = client.completions.create(
        model=MODEL, prompt="Once upon a time", logit_bias={"0": -100, "2": -100}
    )
    assert completion.usage.completion_tokens == 16


def test_several_prompts(complete):
    alone = [complete(prompt) for prompt in (PROMPT, "One, two, three,")]
    both = complete([PROMPT, "One, two, three,"])
    assert texts(both) == [texts(one)[0] for one in alone]
    assert [choice.index for choice in both.choices] == [0, 1]
    assert both.usage.prompt_tokens == sum(one.usage.prompt_tokens for one in alone)


def test_tokens(complete):
    # "Hello, world!" in the default model's tokens.
    hello = [19556, 28, 905, 17]
    some = complete(hello)
    assert some.usage.prompt_tokens == 4
    assert texts(some) == texts(complete("Hello, world!"))
    lists = complete([hello, hello[:1]], echo=True)
    assert lists.choices[0].text == "Hello, world!" + texts(some)[0]
    assert lists.choices[1].text.startswith("Hello")


def test_no_prompt_begins_a_document(complete):
    assert complete(None).usage.prompt_tokens == 1
    assert complete("").usage.prompt_tokens == 1


def test_a_template_by_hand(unguarded_client):
    prompt = (
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    )
    completion = unguarded_client.completions.create(
        model=MODEL, prompt=prompt, max_tokens=32, temperature=0
    )
    assert "Paris" in completion.choices[0].text
    assert completion.choices[0].finish_reason == "stop"


def test_echo(complete):
    plain, echoed = complete(PROMPT), complete(PROMPT, echo=True)
    assert texts(echoed) == [PROMPT + texts(plain)[0]]
    stream = complete(PROMPT, echo=True, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == texts(echoed)[0]


def test_a_stream_says_what_a_whole_answer_says(complete, witness):
    whole = complete([PROMPT, "One, two"], n=2)
    stream = complete(
        [PROMPT, "One, two"], n=2, stream=True, stream_options={"include_usage": True}
    )
    told, usage = {}, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            told[choice.index] = told.get(choice.index, "") + choice.text
    assert [told[index] for index in range(4)] == texts(whole)
    assert usage.completion_tokens == whole.usage.completion_tokens
    assert witness.answers[-1].body.endswith(b"data: [DONE]\n\n")


def test_logprobs(complete):
    choice = complete(PROMPT, logprobs=3).choices[0]
    told = choice.logprobs
    assert "".join(told.tokens) == choice.text
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == 8
    for i, offset in enumerate(told.text_offset):
        assert choice.text[offset:].startswith(told.tokens[i])
        assert told.token_logprobs[i] <= 0
        # At temperature 0 the likeliest is taken.
        assert told.token_logprobs[i] == max(told.top_logprobs[i].values())
        assert 3 <= len(told.top_logprobs[i]) <= 4
    assert complete(PROMPT, logprobs=0).choices[0].logprobs.top_logprobs is None


def test_best_of(complete):
    options = {"temperature": 1.5, "seed": 5, "logprobs": 0, "logit_bias": {"0": -100, "2": -100}}
    made = complete(PROMPT, n=4, **options)
    best = complete(PROMPT, best_of=4, n=2, **options)

    def mean(choice):
        return math.fsum(choice.logprobs.token_logprobs) / len(choice.logprobs.token_logprobs)

    likeliest = sorted(made.choices, key=mean, reverse=True)
    assert texts(best) == [choice.text for choice in likeliest[:2]]
    assert best.usage.completion_tokens == made.usage.completion_tokens


def test_stop_and_seed(complete):
    (plain,) = texts(complete("One, two, three,", max_tokens=32))
    word = plain.split()[2]
    stopped = complete("One, two, three,", max_tokens=32, stop=[word])
    assert texts(stopped) == [plain[: plain.index(word)]]
    assert stopped.choices[0].finish_reason == "stop"
    same = [complete(PROMPT, temperature=1, seed=7) for _ in range(2)]
    assert texts(same[0]) == texts(same[1])


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"logprobs": 6}, "logprobs"),
        ({"echo": True, "logprobs": 1}, "logprobs"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [49152]}, "prompt"),
        ({"prompt": "word " * 20000}, "prompt"),
    ],
)
def test_refusals(client, options, param):
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(**{"model": MODEL, "prompt": PROMPT} | options)
    assert refused.value.param == param
