"""A real microllm in a data directory of its own."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

MODEL = "smollm2-135m-instruct"
# Ends nothing that works; a slow machine may take its time.
PATIENCE = 900


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`microllm init` once, then `start`, `stop` and `kill` as often as wanted."""

    def __init__(self, data_dir: Path, config: Path | None = None, **settings: object):
        self.options = ["--data-dir", str(data_dir)]
        self.options += ["--config", str(config)] if config else []
        self.binary = os.environ["MICROLLM_BIN"]
        self.data_dir = data_dir
        self.log = data_dir.with_suffix(".log")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MICROLLM__")}
        self.env = clean | {k: str(v) for k, v in settings.items()}
        self.process: subprocess.Popen | None = None
        credentials = json.loads(self.command("init", "--json"))
        self.api_key = credentials["api_key"]
        self.admin_api_key = credentials["admin_api_key"]
        self.admin_email = credentials["admin_email"]
        self.admin_password = credentials["admin_password"]

    def command(self, *args: str) -> str:
        command = [self.binary, *args, *self.options]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> "Server":
        self.port = free_port()
        command = [self.binary, "serve", *self.options]
        command += ["--listen", f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while not self.is_ready():
            assert self.process.poll() is None, f"it ended:\n{self.log_end()}"
            assert time.monotonic() < deadline, f"never ready:\n{self.log_end()}"
            time.sleep(0.05)
        return self

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url("/health/readiness"), timeout=60) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def base_url(self) -> str:
        return self.url("/v1")

    def stop(self) -> None:
        """As an operator would; a clean end is part of the contract."""
        process, self.process = self.process, None
        assert process.poll() is None, f"it ended by itself:\n{self.log_end()}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, self.log_end()

    def kill(self) -> None:
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def log_end(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def rows(self) -> list[dict]:
        """The usage records."""
        lines = self.command("usage", "export", "--format", "jsonl").splitlines()
        return [json.loads(line) for line in lines]

    def row(self, request_id: str) -> dict:
        """The one record of a request."""
        found = [row for row in self.rows() if row["request_id"] == request_id]
        assert len(found) == 1, f"{request_id} has {len(found)} usage rows"
        return found[0]

    def cancelled_since(self, before: list[dict]) -> dict:
        """The record of the request that was given up after `before` was exported: it is written
        when the server notices."""
        known = {row["request_id"] for row in before}
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            new = [row for row in self.rows() if row["request_id"] not in known]
            new = [row for row in new if row["outcome"] == "cancelled"]
            if new:
                assert len(new) == 1, new
                return new[0]
            time.sleep(0.1)
        raise AssertionError("a cancelled request left no usage row")
