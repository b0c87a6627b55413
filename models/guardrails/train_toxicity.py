"""Trains models/guardrails/toxicity.bin, the model behind the toxicity guard.

    cargo build --release --example guardrail_features
    pip install numpy scipy scikit-learn
    python3 models/guardrails/train_toxicity.py --data FOLDER --features target/release/examples/guardrail_features

FOLDER has the files that `toxicity_sources` reads. A head for each category learns from every row
that says something about that category. Rows that are only called toxic are harassment, unless a
first model of hate takes them for hate.
"""

import argparse
import json
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import toxicity_examples as examples
import toxicity_sources as sources
from toxicity_sources import CATEGORIES

VERSION = 1
# Strength of regularization (inverse), per category: few examples say less about more words.
STRENGTH = {"hate": 6, "harassment": 6, "violence": 6, "sexual": 10, "self_harm": 10}
# Of the rows, this share calibrates and measures, and is not learned from.
HELD_BACK = 0.1
FOLDS = 2
# Positive examples of a rare category count more, as if they were at least this share of all that is
# seen: more while learning, less for the calibration, or harmless texts would be flagged.
LEARNED_SHARE = 0.05
CALIBRATED_SHARE = 0.015


def gather(options):
    folder = options.data
    rows = list(sources.davidson(folder / "toxicity-train.jsonl"))
    readers = (
        sources.wiki,
        sources.civil,
        sources.cad,
        sources.convabuse,
        sources.hatemoji,
        sources.toxigen,
        sources.edos,
        sources.hatexplain,
        sources.templates,
        sources.ailuminate,
        sources.simple_safety,
        sources.medical,
        sources.everyday,
        sources.novels,
    )
    for reader in readers:
        rows += reader(folder)
    rows += sources.openai(folder, held_out=False)
    rows += sources.questions(folder / "injection-train.jsonl")
    rows += sources.manuals(options.manuals)
    return rows + list(examples.rows())


def features(program, bits, texts):
    """A row a text: 1 / sqrt(n) in each of its n buckets, as `linear.rs` counts them."""
    with tempfile.TemporaryFile() as file:
        for text in texts:
            file.write(json.dumps({"text": text}).encode() + b"\n")
        file.seek(0)
        child = subprocess.Popen([program, str(bits)], stdin=file, stdout=subprocess.PIPE)
        counts, columns = [0], []
        for line in child.stdout:
            buckets = (
                np.fromstring(line[1:-2], dtype=np.int32, sep=",") if len(line) > 3 else np.zeros(0, np.int32)
            )
            counts.append(len(buckets))
            columns.append(buckets)
        if child.wait() != 0:
            raise SystemExit("the features cannot be read")
    counts = np.array(counts)
    values = np.repeat(1 / np.sqrt(np.maximum(counts[1:], 1)), counts[1:]).astype(np.float32)
    shape = (len(texts), 1 << bits)
    return sparse.csr_matrix((values, np.concatenate(columns), counts.cumsum()), shape=shape)


def fit(x, y, weight, strength):
    model = LogisticRegression(C=strength, solver="liblinear", max_iter=30, tol=1e-3)
    model.fit(x, y, sample_weight=weight)
    return model.coef_.ravel(), float(model.intercept_[0])


class Training:
    def __init__(self, rows, x):
        self.x = x
        self.weight = np.array([row.weight for row in rows])
        self.known = {c: np.array([row.labels.get(c, -1) for row in rows]) for c in CATEGORIES}
        self.any = np.array([row.any for row in rows])
        self.source = np.array([row.source for row in rows])
        share = np.array([sources.share(row.text) for row in rows])
        self.held = share >= 1 - HELD_BACK
        self.fold = (share * 1000).astype(int) % FOLDS
        # There are few of these, and others to measure on.
        self.held &= self.source != "openai"

    def head(self, category):
        """Weights and bias of a category."""
        y = self.known[category]
        mask = ~self.held & (y >= 0)
        return fit(self.x[mask], y[mask], self.weights(category, mask, LEARNED_SHARE), STRENGTH[category])

    def weights(self, category, mask, share):
        y, weight = self.known[category][mask], self.weight[mask]
        positive, negative = weight[y == 1].sum(), weight[y == 0].sum()
        more = max(1, share / (1 - share) * negative / positive)
        return np.where(y == 1, more * weight, weight)

    def tell_apart(self):
        """Rows that are only known to be toxic get a category."""
        weights, bias = self.head("hate")
        is_hate = self.x @ weights + bias > 0
        self.known["hate"][self.any & is_hate] = 1
        self.known["harassment"][self.any & ~is_hate] = 1

    def calibrate(self, category, weights, bias):
        """Platt scaling on what was held back: slope and offset.

        Where that has few examples, on all rows, each judged by a model that did not learn from it.
        Our own sentences are too much alike to tell how well a model does on anything else.
        """
        y = self.known[category]
        mask = (y >= 0) & ~np.char.startswith(self.source, "made")
        margin = self.x @ weights + bias
        if ((y == 1) & mask & self.held).sum() >= 200:
            mask &= self.held
        else:
            for fold in range(FOLDS):
                inside = self.fold == fold
                learned = ~inside & (y >= 0)
                weight = self.weights(category, learned, LEARNED_SHARE)
                model = fit(self.x[learned], y[learned], weight, STRENGTH[category])
                margin[inside] = self.x[inside] @ model[0] + model[1]
        margin = margin[mask].reshape(-1, 1)
        weight = self.weights(category, mask, CALIBRATED_SHARE)
        model = LogisticRegression(C=1e3).fit(margin, y[mask], sample_weight=weight)
        return float(model.coef_[0][0]), float(model.intercept_[0])


def rounded(weights):
    """Weights as whole numbers of a byte, and their unit. The few largest are cut."""
    unit = float(np.quantile(np.abs(weights[weights != 0]), 0.9999)) / 127
    return np.clip(np.round(weights / unit), -127, 127).astype(np.int8), unit


def write(path, bits, heads):
    """As `Linear` in src/guardrails/linear.rs says."""
    with open(path, "wb") as file:
        file.write(b"MLLM" + bytes([VERSION, bits, len(heads), 0]))
        for _, unit, bias, slope, offset in heads:
            file.write(struct.pack("<4f", unit, bias, slope, offset))
        for weights, *_ in heads:
            file.write(weights.tobytes())


def probabilities(heads, x):
    columns = []
    for weights, unit, bias, slope, offset in heads:
        margin = x @ (weights * np.float32(unit)) + bias
        columns.append(1 / (1 + np.exp(-(slope * margin + offset))))
    return np.stack(columns, axis=1)


def measure(training, heads):
    """What was held back, by source: a check of the training, not the figures in the docs."""
    p = probabilities(heads, training.x[training.held])
    known = np.stack([training.known[c][training.held] for c in CATEGORIES], axis=1)
    source = training.source[training.held]
    for i, category in enumerate(CATEGORIES):
        y = known[:, i]
        told = y >= 0
        print(
            f"{category}: {told.sum()} rows, {(y == 1).sum()} positive, AUC {roc_auc_score(y[told], p[told, i]):.3f}"
        )
    toxic = (known == 1).any(axis=1)
    fine = (known == 0).all(axis=1)
    for name in sorted(set(source)):
        here = fine & (source == name)
        if here.sum():
            print(f"{name}: {here.sum()} benign, {(p[here].max(axis=1) >= 0.5).mean():.4f} flagged")
    sure = toxic | fine
    print(f"all: AUC {roc_auc_score(toxic[sure], p[sure].max(axis=1)):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--manuals", type=Path, required=True, help="a folder of unpacked packages")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--bits", type=int, default=18)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("toxicity.bin"))
    options = parser.parse_args()
    rows = gather(options)
    print(f"{len(rows)} rows")
    training = Training(rows, features(options.features, options.bits, [row.text for row in rows]))
    training.tell_apart()
    heads = []
    for category in CATEGORIES:
        weights, bias = training.head(category)
        whole, unit = rounded(weights)
        slope, offset = training.calibrate(category, whole * np.float32(unit), bias)
        print(f"{category}: unit {unit:.4f}, slope {slope:.3f}, offset {offset:.3f}", flush=True)
        heads.append((whole, unit, bias, slope, offset))
    write(options.out, options.bits, heads)
    measure(training, heads)


if __name__ == "__main__":
    main()
