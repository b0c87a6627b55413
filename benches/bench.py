#!/usr/bin/env python3
"""Measures the product from outside, as a client sees it: `benches/bench.py PATH-TO-MICROLLM`."""

import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

MODEL = "smollm2-135m-instruct"
ANSWER = 128
# Every prompt begins differently, so that no work of an earlier one is reused.
WORDS = "The lighthouse keeper counts the ships that pass in the fog of the night and writes them down. "


def main():
    binary = sys.argv[1]
    # Before there is any load of our own.
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as data_dir:
        command = [binary, "init", "--json", "--data-dir", data_dir]
        key = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["api_key"]
        print("preparing the model ...", file=sys.stderr)
        with Served(binary, data_dir, key):
            pass
        with Served(binary, data_dir, key) as served:
            report(served, busy)


class Served:
    def __init__(self, binary, data_dir, key):
        self.binary, self.data_dir, self.key = binary, data_dir, key

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [self.binary, "serve", "--data-dir", self.data_dir]
        command += ["--listen", f"127.0.0.1:{self.port}"]
        begun = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            if self.process.poll() is not None:
                sys.exit("the server ended before it was ready")
            try:
                with urllib.request.urlopen(self.url("/health/readiness")) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                pass
            time.sleep(0.01)
        self.load_seconds = time.monotonic() - begun
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait() != 0:
            sys.exit("the server did not end well")

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def peak_mib(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        return float("nan")

    def ask(self, prompt, max_tokens):
        """Seconds to the first and to the last token, and the usage."""
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
            # Nothing but the length ends an answer.
            "logit_bias": {"0": -100, "2": -100},
        }
        request = urllib.request.Request(
            self.url("/v1/chat/completions"),
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        begun, first = time.monotonic(), None
        with urllib.request.urlopen(request) as answer:
            for line in answer:
                if not line.startswith(b"data: {"):
                    continue
                chunk = json.loads(line.removeprefix(b"data: "))
                if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                    first = first or time.monotonic() - begun
                    last = time.monotonic() - begun
                elif chunk.get("usage"):
                    usage = chunk["usage"]
        return first, last, usage


def prompt(number, sentences):
    return f"{number} {time.monotonic_ns()}: " + WORDS * sentences


def report(served, busy):
    served.ask("Hello", 8)  # the first answer of a process is slower

    short = [served.ask(prompt(i, 1), ANSWER) for i in range(5)]
    ttft = statistics.median(first for first, _, _ in short)
    decode = statistics.median((ANSWER - 1) / (last - first) for first, last, _ in short)

    def prefill(first, usage):
        return (usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"]) / first

    long = [served.ask(prompt(i, 50), 1) for i in range(5)]
    read = statistics.median(prefill(first, usage) for first, _, usage in long)
    length = round(statistics.mean(usage["prompt_tokens"] for _, _, usage in long))

    def four(sentences, max_tokens):
        answers = [None] * 4

        def call(i):
            answers[i] = served.ask(prompt(i, sentences), max_tokens)

        threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers, time.monotonic() - begun

    answers, seconds = four(1, ANSWER)
    together_ttft = statistics.median(first for first, _, _ in answers)
    together_decode = 4 * ANSWER / seconds
    answers, seconds = four(50, 1)
    together_read = sum(prefill(1, usage) for _, _, usage in answers) / seconds

    rows = [
        ("", "alone", "4 in flight"),
        ("time to first token, short prompt", f"{ttft * 1000:.0f} ms", f"{together_ttft * 1000:.0f} ms"),
        (f"decode, {ANSWER} tokens", f"{decode:.0f} tokens/s", f"{together_decode:.0f} tokens/s"),
        (f"prefill, {length} tokens", f"{read:.0f} tokens/s", f"{together_read:.0f} tokens/s"),
        ("load time", f"{served.load_seconds:.1f} s", ""),
        ("peak memory (VmHWM)", f"{served.peak_mib():.0f} MiB", ""),
    ]
    print(f"{MODEL} on {processor()}, {os.cpu_count()} cores")
    for name, alone, together in rows:
        print(f"  {name:36}{alone:>14}{together:>16}")
    print("At 4 in flight: all four together, and the median of their times to the first token.")
    if busy > 0.5:
        print(f"The machine was busy before (load average {busy:.1f}): on a quiet one it is faster.")


def processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
