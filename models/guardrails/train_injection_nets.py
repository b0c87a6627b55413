"""Trains the nets with which the injection guard takes a closer look (src/guardrails/injection).

    python models/guardrails/train_injection_nets.py choose rows.jsonl > chosen.jsonl
    cargo run --release --example guardrail_vectors DATA_DIR < chosen.jsonl > vectors.jsonl
    python models/guardrails/train_injection_nets.py train chosen.jsonl vectors.jsonl logits.jsonl \\
        models/guardrails/injection_nets.bin

Rows are as for train_injection.py, whose --logits say what hashed words make of each row by a model
that has not seen its source. Vectors come from the program itself. Needs numpy and scikit-learn.
"""

import argparse
import json
import struct
import sys
from hashlib import sha256

import numpy as np
from sklearn.neural_network import MLPClassifier
from train_injection import splits

VERSION = 1
# Of one source and label: with more, large sources drown small ones, and what sources that were left
# out have in common is learned less well (area under the curve 0.77 with 260, 0.74 with 2,000).
MOST = 260
NETS, HIDDEN, DECAY, ROUNDS = 5, 32, 1.0, 25
# What vectors of length 1 are multiplied by, as in src/guardrails/injection/closer.rs.
GAIN = 5.0
# How much the nets' log-odds count beside those of hashed words. On a development split of other
# sources anything from 0.25 to 1 does as well.
WEIGHT = 0.5
SUREST = 1e-6


def lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def choose(path):
    """So many rows of each source and label: the same ones, whatever other sources there are."""
    rows = sorted(lines(path), key=lambda row: sha256(row["text"].encode()).digest())
    seen = {}
    for row in rows:
        key = row["group"], row["label"]
        seen[key] = seen.get(key, 0) + 1
        # Those that are made to be alike are easy for words alone.
        if seen[key] <= MOST and row["group"] != "alike" and row["text"].strip():
            print(json.dumps(row, ensure_ascii=False))


def weights(rows, chosen):
    """Small sources weigh more than their size, both labels the same."""
    groups = np.array([r["group"] for r in rows])
    labels = np.array([r["label"] for r in rows])
    weight = np.array([r["w"] for r in rows])
    for group in set(groups[chosen]):
        mask = chosen & (groups == group)
        weight[mask] /= mask.sum() ** 0.5
    for label in (0, 1):
        mask = chosen & (labels == label)
        weight[mask] *= mask.sum() / weight[mask].sum()
    return weight


def fit(rows, vectors, owners, chosen):
    labels = np.array([r["label"] for r in rows])
    counts = np.bincount(owners, minlength=len(rows))
    first = np.concatenate([[True], owners[1:] != owners[:-1]])
    # A window of a long attack may be harmless; one of a harmless text never is an attack.
    use = chosen[owners] & ((labels[owners] == 0) | first | (counts[owners] <= 2))
    share = (weights(rows, chosen)[owners] / np.sqrt(counts[owners]))[use]
    nets = []
    for seed in range(NETS):
        net = MLPClassifier((HIDDEN,), alpha=DECAY, max_iter=ROUNDS, learning_rate_init=2e-3,
                            batch_size=256, random_state=seed)
        nets.append(net.fit(vectors[use] * GAIN, labels[owners][use], sample_weight=share))
    return nets


def worst(nets, vectors, owners, count):
    mean = np.mean([net.predict_proba(vectors * GAIN)[:, 1] for net in nets], axis=0)
    mean = mean.clip(SUREST, 1 - SUREST)
    out = np.full(count, -np.inf)
    np.maximum.at(out, owners, np.log(mean / (1 - mean)))
    return out


def train(given):
    rows, vectors = lines(given.rows), lines(given.vectors)
    assert len(rows) == len(vectors)
    logits = {row["text"]: row["logit"] for row in lines(given.logits)}
    owners = np.repeat(np.arange(len(rows)), [len(own) for own in vectors])
    vectors = np.array([vector for own in vectors for vector in own], dtype=np.float32)
    labels = np.array([r["label"] for r in rows])
    words = np.array([logits[r["text"]] for r in rows])
    unseen = np.full(len(rows), np.nan)
    for left, _, held in splits(rows):
        scores = worst(fit(rows, vectors, owners, ~held), vectors, owners, len(rows))
        unseen[held] = scores[held]
        limit = np.quantile((words + WEIGHT * scores)[held & (labels == 0)], 0.99)
        before = np.quantile(words[held & (labels == 0)], 0.99)
        attacks = held & (labels == 1)
        now = ((words + WEIGHT * scores)[attacks] > limit).mean()
        print(left, f"words alone {(words[attacks] > before).mean():.3f}, with nets {now:.3f}")
    together = words + WEIGHT * unseen
    limit = float(np.quantile(together[labels == 0], 1 - given.false_positives))
    print("at 0.5: recall", (together[labels == 1] > limit).mean())
    nets = fit(rows, vectors, owners, np.ones(len(rows), dtype=bool))
    with open(given.nets, "wb") as file:
        file.write(b"MLLN" + struct.pack("<BBHH", VERSION, NETS, vectors.shape[1], HIDDEN))
        file.write(struct.pack("<2f", WEIGHT, -limit))
        for net in nets:
            (hidden, out), (biases, bias) = net.coefs_, net.intercepts_
            for part in (hidden.T, biases, out[:, 0], bias):
                file.write(np.ascontiguousarray(part, dtype="<f4").tobytes())


def main():
    arguments = argparse.ArgumentParser()
    commands = arguments.add_subparsers(required=True, dest="command")
    commands.add_parser("choose").add_argument("rows")
    command = commands.add_parser("train")
    for name in ("rows", "vectors", "logits", "nets"):
        command.add_argument(name)
    command.add_argument("--false-positives", type=float, default=0.007)
    given = arguments.parse_args()
    if given.command == "choose":
        choose(given.rows)
    else:
        train(given)


if __name__ == "__main__":
    sys.exit(main())
