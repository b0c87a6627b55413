"""Eight turns of a chat, with and without reuse of what was computed before.

    python3 benches/chat.py [path of the microllm binary]

Two servers run side by side and are asked the same in turn, so that a noisy machine disturbs both.
Needs nothing but Python's standard library.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

MODEL = "smollm2-135m-instruct"
QUESTIONS = [
    "Tell me about the sea and the animals that live in it.",
    "What is the capital of France, and what is it known for?",
    "Write a short poem about autumn leaves.",
    "How do airplanes fly? Explain simply.",
    "Give me three tips for learning a language.",
    "What is photosynthesis?",
    "Describe a sunrise in the mountains.",
    "Who was Isaac Newton?",
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(binary, directory, reuse_mib):
    shown = subprocess.run(
        [binary, "init", "--data-dir", directory, "--json"], check=True, capture_output=True
    )
    port = free_port()
    process = subprocess.Popen(
        [binary, "serve", "--data-dir", directory, "--listen", f"127.0.0.1:{port}"],
        env=os.environ | {"MICROLLM__ENGINE__PREFIX_CACHE_MIB": str(reuse_mib)},
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", port)
                connection.request("GET", "/health/readiness")
                if connection.getresponse().status == 200:
                    break
            time.sleep(0.1)
        yield port, json.loads(shown.stdout)["api_key"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def ask(port, key, messages):
    """The answer's text, the seconds to its first token, and the reused prompt tokens."""
    body = {
        "model": MODEL,
        "messages": messages,
        "max_tokens": 64,
        "temperature": 0,
        # Never the end of the answer, so that every turn is equally long.
        "logit_bias": {"2": -100, "0": -100},
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port)
    start, first, text, usage = time.monotonic(), None, "", None
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    for line in connection.getresponse():
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            if choice["delta"].get("content"):
                first = first or time.monotonic() - start
                text += choice["delta"]["content"]
    return text, first, usage


def main():
    default = os.path.join(
        os.environ.get("CARGO_TARGET_DIR", "target"), "release", "microllm"
    )
    binary = sys.argv[1] if len(sys.argv) > 1 else default
    with tempfile.TemporaryDirectory() as on, tempfile.TemporaryDirectory() as off:
        with server(binary, on, 512) as with_reuse, server(binary, off, 0) as without:
            messages = [{"role": "system", "content": "You are a helpful assistant."}]
            print("| turn | prompt tokens | reused | first token with reuse, s | without, s |")
            print("|---|---|---|---|---|")
            for turn, question in enumerate(QUESTIONS, 1):
                messages.append({"role": "user", "content": question})
                text, fast, usage = ask(*with_reuse, messages)
                other, slow, _ = ask(*without, messages)
                assert text == other, "reuse changed the answer"
                reused = usage["prompt_tokens_details"]["cached_tokens"]
                print(f"| {turn} | {usage['prompt_tokens']} | {reused} | {fast:.2f} | {slow:.2f} |")
                messages.append({"role": "assistant", "content": text})


if __name__ == "__main__":
    main()
