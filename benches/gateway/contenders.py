"""Who is measured: how each is installed, started and asked."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from load import Chat, Failed

CACHED, AT_ONCE, LATER = "cached", "passed on, answered at once", "passed on, answered after 60 ms"
MODES = [CACHED, AT_ONCE, LATER]

PEERS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "microllm/gateway-peers"


def question(mode, **more):
    """The same for all. What is not to come from a cache is different each time, and not
    deterministic."""
    number = "" if mode == CACHED else " Log entry @@."
    messages = [
        {"role": "system", "content": "You are a helpful assistant. Answer in one or two sentences."},
        {
            "role": "user",
            "content": "What does a lighthouse keeper write into the log at night, and why does it "
            f"matter to the ships that pass the coast in the fog?{number}",
        },
    ]
    return {"messages": messages, "temperature": 0 if mode == CACHED else 1, "max_tokens": 64} | more


def upstream_url(upstream, mode):
    return f"{upstream}/60ms/v1" if mode == LATER else f"{upstream}/v1"


class Contender:
    """`modes` are those that it has; `asks_upstream`: its answers come from the stub's server."""

    modes = MODES
    asks_upstream = True
    tells_overhead = False
    does = ""

    def install(self):
        pass

    def command(self, mode, port, upstream, directory):
        raise NotImplementedError

    def environment(self):
        return {}

    def chat(self, mode, port, upstream, directory):
        body = question(mode, model="stub")
        return Chat(f"http://127.0.0.1:{port}/v1/chat/completions", body)

    def check(self, mode, headers):
        """Whether an answer was come by as it should."""

    def check_all(self, requests, port, directory):
        """What must be so after so many requests."""


class Product(Contender):
    name = "this product"
    does = "key, limits, guardrails, usage row on disk, metrics, log"
    # Its stub is within: the model engine's place.
    asks_upstream = False
    tells_overhead = True

    def __init__(self, program):
        self.program = program

    def command(self, mode, port, upstream, directory):
        return [self.program, "serve", "--data-dir", directory, "--listen", f"127.0.0.1:{port}"]

    def environment(self):
        most = str(2**31 - 1)
        limits = ["REQUESTS_PER_MINUTE", "TOKENS_PER_MINUTE", "REQUESTS_PER_DAY"]
        return {f"MICROLLM__LIMITS__{limit}": most for limit in limits}

    def credentials(self, directory):
        try:
            return json.loads(Path(directory, "first-credentials.json").read_text())
        except OSError as error:
            raise Failed(f"no credentials: {error}") from None

    def chat(self, mode, port, upstream, directory):
        body = question(mode, model="stub-60ms" if mode == LATER else "stub")
        headers = {"Authorization": f"Bearer {self.credentials(directory)['api_key']}"}
        return Chat(f"http://127.0.0.1:{port}/v1/chat/completions", body, headers)

    def check(self, mode, headers):
        status = headers["x-microllm-cache-status"]
        if status not in (["MISS", "HIT"] if mode == CACHED else ["BYPASS"]):
            raise Failed(f"the cache says {status}")

    def check_all(self, requests, port, directory):
        since = f"start_time={int(time.time()) - 86_400}&limit=3"
        url = f"http://127.0.0.1:{port}/v1/organization/usage/completions?{since}"
        key = self.credentials(directory)["admin_api_key"]
        headers = {"Authorization": f"Bearer {key}"}
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            buckets = json.load(answer)["data"]
        rows = sum(row["num_model_requests"] for bucket in buckets for row in bucket["results"])
        if rows < requests:
            raise Failed(f"invalid: {rows} usage rows for {requests} answers")


class Peer(Contender):
    def __init__(self):
        self.directory = PEERS / f"{self.package}-{self.version}"

    @property
    def name(self):
        return f"{self.package} {self.version}"

    def run(self, *command):
        PEERS.mkdir(parents=True, exist_ok=True)
        print(f"installing {self.name} ...", file=sys.stderr)
        # Not here: this project's settings for cargo are not theirs.
        done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise Failed(f"cannot be installed: {lines[-1]}")


class LitellmRs(Peer):
    package, version = "litellm-rs", "0.9.0"
    does = "nothing else: no keys, limits, guardrails or records"
    # It keeps answers only of models that it has a price for: the stub gets this one's.
    known_model = "xai/grok-4.6"

    def install(self):
        if (self.directory / "bin/gateway").exists():
            return
        self.run(
            *("cargo", "install", "--locked", "litellm-rs", "--version", self.version),
            *("--no-default-features", "--features", "sqlite,redis,metrics", "--bin", "gateway"),
            *("--root", str(self.directory), "--target-dir", str(self.directory / "build")),
        )

    def command(self, mode, port, upstream, directory):
        config = Path(directory, "gateway.yaml")
        config.write_text(json.dumps(self.config(mode, port, upstream)))
        return [str(self.directory / "bin/gateway"), "--config", str(config)]

    def config(self, mode, port, upstream):
        most = 2**32 - 1
        priced_as = {
            "capability_catalog_model": self.known_model,
            "pricing_model": self.known_model,
        }
        provider = {
            "name": "stub",
            "provider_type": "openai_compatible",
            "api_key": "none",
            "base_url": upstream_url(upstream, mode),
            "endpoint_access": "private_network",
            "rpm": most,
            "tpm": most,
            "max_concurrent_requests": 1000,
            "models": ["stub"],
            "settings": {"model_identity_mappings": {"stub": priced_as}},
        }
        return {
            "schema_version": "1.0",
            "server": {"host": "127.0.0.1", "port": port, "dev_mode": True},
            "providers": [provider],
            "router": {"strategy": "round_robin"},
            "storage": {
                "database": {"url": "sqlite::memory:", "enabled": False},
                "redis": {"url": "redis://localhost:6379", "enabled": False},
            },
            "auth": {
                "enable_jwt": False,
                "enable_api_key": False,
                "allow_anonymous": True,
                "jwt_secret": "",
            },
            "monitoring": {"metrics": {"enabled": False}, "tracing": {"enabled": False}},
            "guardrails": {"enabled": False},
            "cache": {"enabled": mode == CACHED, "ttl": 3600, "max_size": 1000},
            "pricing": {
                "source": "embedded://model_prices_extended",
                "unpriced_model_policy": "allow_unpriced",
                "unpriced_fallback_cost_per_1k_tokens": 0.0,
            },
            "rate_limit": {"enabled": False},
        }


class Litellm(Peer):
    package, version = "litellm", "1.108.7"
    does = "nothing else: no keys, limits, guardrails or records"

    def install(self):
        if (self.directory / "bin/litellm").exists():
            return
        self.run(sys.executable, "-m", "venv", str(self.directory))
        wanted = f"litellm[proxy]=={self.version}"
        self.run(str(self.directory / "bin/pip"), "install", "--quiet", wanted)

    def command(self, mode, port, upstream, directory):
        config = Path(directory, "config.yaml")
        model = {
            "model": "openai/stub",
            "api_base": upstream_url(upstream, mode),
            "api_key": "none",
        }
        settings = {"cache": True, "cache_params": {"type": "local"}} if mode == CACHED else {}
        models = [{"model_name": "stub", "litellm_params": model}]
        config.write_text(json.dumps({"model_list": models, "litellm_settings": settings}))
        program = str(self.directory / "bin/litellm")
        return [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]

    def environment(self):
        # Its price list would come from the network.
        return {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            # It does not start without a key of its own otherwise.
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        }


class Portkey(Peer):
    package, version = "@portkey-ai/gateway", "1.15.2"
    does = "nothing else: no keys, limits, guardrails or records"

    def __init__(self):
        self.directory = PEERS / f"portkey-{self.version}"
        self.program = self.directory / "node_modules/@portkey-ai/gateway/build/start-server.js"

    def install(self):
        if self.program.exists():
            return
        wanted = f"{self.package}@{self.version}"
        self.run("npm", "install", "--no-fund", "--no-audit", "--prefix", str(self.directory), wanted)

    def command(self, mode, port, upstream, directory):
        return ["node", str(self.program), f"--port={port}", "--headless"]

    def environment(self):
        return {"NODE_ENV": "production"}

    def chat(self, mode, port, upstream, directory):
        config = {"provider": "openai", "api_key": "none"}
        config["custom_host"] = upstream_url(upstream, mode)
        if mode == CACHED:
            config["cache"] = {"mode": "simple"}
        headers = {"x-portkey-config": json.dumps(config), "Authorization": "Bearer none"}
        body = question(mode, model="stub")
        return Chat(f"http://127.0.0.1:{port}/v1/chat/completions", body, headers)


class Alone(Contender):
    """What wrk and the stub's server reach with nothing in between."""

    name = "the upstream stub alone"
    does = "answers"
    modes = [AT_ONCE, LATER]

    def __init__(self, program):
        self.program = program

    def command(self, mode, port, upstream, directory):
        return [self.program, "upstream", "--listen", f"127.0.0.1:{port}"]

    asks_upstream = False

    def chat(self, mode, port, upstream, directory):
        url = upstream_url(f"http://127.0.0.1:{port}", mode)
        return Chat(f"{url}/chat/completions", question(mode, model="stub"))
