#!/usr/bin/env python3
"""Writes embeddings-minilm.json: what sentence-transformers makes of some texts.

    python3 -m venv ~/.cache/microllm/venv-golden
    ~/.cache/microllm/venv-golden/bin/pip install sentence-transformers
    ~/.cache/microllm/venv-golden/bin/python tests/golden/make_embeddings.py DIRECTORY

DIRECTORY is the published all-MiniLM-L6-v2, with `modules.json` and all: that the vectors are means
of at most 256 tokens, brought to length 1, is what it says itself.
"""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

from sentence_transformers import SentenceTransformer

TEXTS = [
    "What is the capital of France?",
    "Paris is the capital of France.",
    "a",
    "Grüße aus Zürich: naïve CAFÉ, résumé — déjà vu…",
    "你好,世界! こんにちは 안녕하세요 Привет 😀👍🏽",
    "fn main() { println!(\"{:?}\", [1, 2, 3].iter().map(|x| x * 2).sum::<u32>()); }",
    "Mail ada@example.org, or call +44 20 7946 0958; see https://example.com/a?b=c#d.",
    "  white \t space \n\n and \u0000 control \u200b characters\u00a0",
    "pneumonoultramicroscopicsilicovolcanoconiosis " + "x" * 120,
    "[CLS] text that looks like [SEP] a control token [PAD] [MASK]",
    # Longer than what is read: only its beginning counts.
    " ".join(f"Sentence number {n} says that the lighthouse is {n * 7} metres high." for n in range(60)),
]


def main():
    directory = Path(sys.argv[1])
    model = SentenceTransformer(str(directory), device="cpu")
    # One by one: what a text is read with must not matter.
    vectors = [model.encode(text).tolist() for text in TEXTS]
    tokens = [len(model.tokenize([text])["input_ids"][0]) for text in TEXTS]
    golden = {
        "made_by": f"sentence-transformers {version('sentence-transformers')}",
        "model_sha256": hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest(),
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items()]
    texts = [
        json.dumps({"text": text, "tokens": count, "vector": [round(x, 6) for x in vector]})
        for text, count, vector in zip(TEXTS, tokens, vectors)
    ]
    lines.append('"texts": [\n' + ",\n".join(texts) + "\n]")
    Path(__file__).with_name("embeddings-minilm.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
