"""Several models in one server: the real model twice, of which memory holds one."""

import json
import os
import time
from pathlib import Path

import openai
import pytest
from server import MODEL, Server

SECOND = "second-model"
CONFIG = f"""
[engine]
memory_mib = 900
prefix_cache_mib = 64

[models."{MODEL}"]
sampling = {{ temperature = 0.0 }}

[models."{SECOND}"]
sampling = {{ temperature = 0.0 }}

[models."third-model"]

[aliases]
"gpt-4o-mini" = "{MODEL}"
"gpt-4.1" = "{SECOND}"
"""
FRANCE = [{"role": "user", "content": "What is the capital of France?"}]


def original(model):
    """The file that a model was made of, where fetched files are kept."""
    digest = json.loads((model / "model.json").read_text())["origin"]["sha256"]
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "microllm/models" / f"{digest}.gguf"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("several")
    config = home / "microllm.toml"
    config.write_text(CONFIG)
    server = Server(home / "data", config)
    server.command("models", "pull", MODEL)
    weights = original(server.data_dir / "models" / MODEL)
    for name in [SECOND, "third-model"]:
        server.command("models", "import", str(weights), "--id", name)
    yield server.start()
    server.stop()


@pytest.fixture(scope="module")
def client(server, connect):
    return connect(server)


def states(client):
    return {model.id: model.state for model in client.models.list()}


def memory(server):
    """In MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def ask(client, model, **options):
    return client.chat.completions.create(
        model=model,
        messages=FRANCE,
        max_tokens=16,
        extra_body={"cache": {"no-cache": True}},
        **options,
    )


def test_a_name_that_a_tool_insists_on(client):
    answer = ask(client, "gpt-4o-mini")
    assert "Paris" in answer.choices[0].message.content
    assert answer.model == MODEL
    assert client.models.retrieve("gpt-4o-mini").alias_of == MODEL
    with pytest.raises(openai.NotFoundError):
        ask(client, "gpt-4o")


def test_models_are_loaded_when_they_are_asked_and_make_room(client, server):
    assert states(client) == {
        MODEL: "loaded",
        SECOND: "unloaded",
        "third-model": "unloaded",
        "gpt-4o-mini": "loaded",
        "gpt-4.1": "unloaded",
    }
    first = ask(client, MODEL).choices[0].message.content
    sizes = []
    for _ in range(2):
        for model in ["gpt-4.1", "third-model"]:
            answer = ask(client, model, temperature=0)
            assert answer.choices[0].message.content == first
            loaded = [name for name, state in states(client).items() if state == "loaded"]
            assert answer.model in loaded and len(set(loaded) & {SECOND, "third-model"}) == 1
            time.sleep(1)
            sizes.append(memory(server))
    print(f"\nmemory after each change of models, in MiB: {[round(size) for size in sizes]}")
    assert max(sizes[1:]) < sizes[0] * 1.35, "what is unloaded does not give its memory back"
