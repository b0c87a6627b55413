"""The tables of docs/openai-compatibility.md say something of all that the SDK knows."""

import re
from pathlib import Path

import openai
import pytest
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params

TEXT = (Path(__file__).parents[2] / "docs/openai-compatibility.md").read_text()


def rows(title):
    """What the first columns of a chapter's table name, and what is said of it."""
    [chapter] = [part for part in TEXT.split("\n## ") if part.startswith(f"{title}\n")]
    lines = [line.split("|") for line in chapter.splitlines() if line.startswith("| ")]
    named = {}
    for line in lines[1:]:
        for name in re.findall(r"`(\w+)`", line[1]):
            named.setdefault(name, line[2].strip())
    return named


@pytest.mark.parametrize(
    ("title", "params"),
    [
        ("Chat completions", chat_create_params.CompletionCreateParamsBase),
        ("Completions", completion_create_params.CompletionCreateParamsBase),
        ("Embeddings", embedding_create_params.EmbeddingCreateParams),
    ],
)
def test_every_field_is_in_the_table(title, params):
    assert not params.__annotations__.keys() - rows(title).keys()


def test_every_endpoint_is_in_the_table_and_those_that_are_not_there_are_404(server):
    named = rows("Endpoints")
    client = openai.OpenAI(base_url=server.base_url, api_key=server.api_key, max_retries=0)
    resources = {
        name
        for name in dir(client)
        if not name.startswith(("_", "with_"))
        and hasattr(getattr(client, name), "with_raw_response")
    }
    assert not resources - named.keys()
    for name in named:
        if named[name] == "not there":
            with pytest.raises(openai.NotFoundError) as caught:
                client.get(f"/{name.replace('_', '/')}", cast_to=object)
            assert caught.value.code == "unknown_url"
