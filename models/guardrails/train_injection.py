"""Trains the model of the injection guard (src/guardrails/injection).

    cargo run --release --example guardrail_injection 18 < rows.jsonl > features.jsonl
    python models/guardrails/train_injection.py rows.jsonl features.jsonl models/guardrails/injection.bin

A row is {"text", "label": 1 for an attack or 0, "group": its source, "w": its weight}. Features come
from the program itself, so that there is one definition of them: for each text, the whole of it and
its windows, each with its buckets and the families of phrases that rules found.

With --folds no model is written: each source of attacks is scored by a model that has seen neither it
nor a fifth of the harmless sources. With --logits FILE what they say of each row is, as
train_injection_nets.py needs it. Needs numpy, scipy and scikit-learn.
"""

import argparse
import json
import struct

import numpy as np
from scipy.sparse import csr_matrix, diags, hstack
from sklearn.linear_model import LogisticRegression

VERSION = 1
# What the worst of many windows loses, as in src/guardrails/injection/view.rs.
CHANCE = 0.25
# How much less than its size a source weighs: 0 not at all, with 1 all weigh the same. With 0.5 recall
# at 1 % false positives was 0.34 on public sources that were left out, instead of 0.38.
EVENNESS = 0.3


def read(rows_file, features_file):
    """Rows, and for each its parts: (buckets, families)."""
    with open(rows_file) as rows, open(features_file) as features:
        rows = [json.loads(line) for line in rows]
        parts = [json.loads(line) for line in features]
    assert len(rows) == len(parts)
    kept = [index for index, part in enumerate(parts) if part]
    return [rows[index] for index in kept], [parts[index] for index in kept]


def matrix(parts, bits):
    """Buckets as a vector of length one, then the families."""
    lengths = np.array([len(buckets) for buckets, _ in parts])
    columns = np.concatenate([np.asarray(buckets, dtype=np.int32) for buckets, _ in parts])
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    hashed = csr_matrix((values, columns, starts), shape=(len(parts), 1 << bits))
    return hstack([hashed, csr_matrix(np.array([dense for _, dense in parts]))], format="csr")


def flat(rows, parts):
    """All parts, the row that each belongs to, and whether it is taught."""
    owners, everything, taught = [], [], []
    for index, (row, own) in enumerate(zip(rows, parts)):
        for number, part in enumerate(own):
            owners.append(index)
            everything.append(part)
            # A window of an attack may be harmless; one of a harmless text never is an attack.
            taught.append(number == 0 or row["label"] == 0)
    return everything, np.array(owners), np.array(taught)


def weights(rows, chosen):
    """So that large sources do not drown small ones, and both labels weigh the same."""
    groups, labels = [r["group"] for r in rows], np.array([r["label"] for r in rows])
    sizes = {}
    for index in np.flatnonzero(chosen):
        key = (groups[index], labels[index])
        sizes[key] = sizes.get(key, 0) + 1
    share = [max(sizes.get((r["group"], r["label"]), 1), 1) ** EVENNESS for r in rows]
    weight = np.array([r["w"] for r in rows]) / share
    for label in (0, 1):
        mask = chosen & (labels == label)
        weight[mask] *= mask.sum() / weight[mask].sum()
    return weight


def ratios(x, labels, bits):
    """How much more often a bucket is in the texts of one label than in those of the other.

    Columns are scaled by it (Wang and Manning, Baselines and Bigrams, 2012), so that what is as
    frequent in both costs more to learn from. Families stay as they are.
    """
    shares = []
    for label in (0, 1):
        sums = np.asarray(x[labels == label].sum(axis=0)).ravel() + 0.05
        shares.append(sums / sums.sum())
    ratio = np.minimum(np.abs(np.log(shares[1] / shares[0])), 3) + 0.2
    ratio[1 << bits :] = 1
    return ratio


def fit(x, owners, taught, rows, chosen, c, bits):
    labels = np.array([r["label"] for r in rows])
    weight = weights(rows, chosen)
    counts = np.bincount(owners[taught], minlength=len(rows))
    use = taught & chosen[owners]
    share = weight[owners] / np.sqrt(np.maximum(counts[owners], 1))
    x, labels = x[use], labels[owners][use]
    ratio = ratios(x, labels, bits)
    model = LogisticRegression(C=c, solver="liblinear", tol=1e-3, max_iter=200)
    model.fit((x @ diags(ratio)).tocsr(), labels, sample_weight=share[use])
    model.coef_ *= ratio
    return model


def margins(model, x, owners, count):
    """The worst part of each row."""
    margin = x @ model.coef_[0] + model.intercept_[0]
    parts = np.bincount(owners, minlength=count)
    is_first = np.concatenate([[True], owners[1:] != owners[:-1]])
    margin = margin - np.where(is_first, 0, CHANCE * np.log2(np.maximum(parts[owners], 1)))
    worst = np.full(count, -np.inf)
    np.maximum.at(worst, owners, margin)
    return worst


def splits(rows):
    """Sources of attacks, each time with harmless ones, and which rows are theirs: together all."""
    groups = np.array([r["group"].removesuffix("_in") for r in rows])
    labels = np.array([r["label"] for r in rows])
    attacks = sorted(set(groups[labels == 1]))
    harmless = sorted(set(groups[labels == 0]))
    folds = [["slabs"], ["neural"], ["wild", "gptfuzz", "tap"], ["cse", "cse_ml"], ["spikee", "asb"]]
    written = [group for group in attacks if group.startswith("written_")]
    folds.append([group for group in attacks if group not in sum(folds, written)])
    # Each a little of these, which are alike.
    for number, group in enumerate(written):
        folds[number % len(folds)].append(group)
    for number, left in enumerate(folds):
        # All harmless rows of the sources, and others that are not trained on either.
        without = [g for g in harmless if g in left] + [
            g for index, g in enumerate(harmless) if index % len(folds) == number
        ]
        held = ((labels == 1) & np.isin(groups, left)) | ((labels == 0) & np.isin(groups, without))
        yield left, without, held


def folds(rows, x, owners, taught, c, bits):
    """Margins of every row by models that have not seen its source."""
    groups = np.array([r["group"].removesuffix("_in") for r in rows])
    labels = np.array([r["label"] for r in rows])
    out = np.full(len(rows), np.nan)
    report = {}
    for left, without, held in splits(rows):
        model = fit(x, owners, taught, rows, ~held, c, bits)
        scores = margins(model, x, owners, len(rows))
        out[held] = scores[held]
        limit = np.quantile(scores[held & (labels == 0)], 0.99)
        for group in left:
            mask = held & (labels == 1) & (groups == group)
            report[group] = float((scores[mask] > limit).mean())
        print(left, "without", without, "limit", round(float(limit), 2))
    return out, report


def calibration(margin, labels, groups, weight, false_positives):
    """Platt scaling, moved so that this share of harmless texts has 0.5 or more.

    Those that are made to be alike are not among them: they are easy.
    """
    known = np.isfinite(margin)
    platt = LogisticRegression(C=1e6).fit(margin[known, None], labels[known], sample_weight=weight[known])
    slope = float(platt.coef_[0, 0])
    told = known & (labels == 0) & (groups != "alike")
    limit = np.quantile(margin[told], 1 - false_positives)
    return slope, -slope * float(limit)


def write(path, bits, coefficients, intercept, slope, offset):
    hashed, dense = coefficients[: 1 << bits], coefficients[1 << bits :]
    # The few largest weights are cut, or all others would have few steps.
    scale = float(np.quantile(np.abs(hashed[hashed != 0]), 0.9999)) / 127
    quantized = np.clip(np.round(hashed / scale), -127, 127).astype(np.int8)
    with open(path, "wb") as file:
        file.write(b"MLLM" + bytes([VERSION, bits, 1, len(dense)]))
        file.write(struct.pack("<4f", scale, intercept, slope, offset))
        file.write(struct.pack(f"<{len(dense)}f", *dense))
        file.write(quantized.tobytes())


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("rows")
    arguments.add_argument("features")
    arguments.add_argument("model")
    arguments.add_argument("--bits", type=int, default=18)
    arguments.add_argument("--c", type=float, default=4.0)
    arguments.add_argument("--false-positives", type=float, default=0.004)
    arguments.add_argument("--folds", action="store_true")
    arguments.add_argument("--logits")
    given = arguments.parse_args()
    rows, parts = read(given.rows, given.features)
    everything, owners, taught = flat(rows, parts)
    x = matrix(everything, given.bits)
    margin, report = folds(rows, x, owners, taught, given.c, given.bits)
    print({group: round(recall, 3) for group, recall in report.items()})
    labels = np.array([r["label"] for r in rows])
    groups = np.array([r["group"] for r in rows])
    every = np.ones(len(rows), dtype=bool)
    slope, offset = calibration(margin, labels, groups, weights(rows, every), given.false_positives)
    print("slope", slope, "offset", offset)
    for group in sorted(set(groups[labels == 0])):
        mask = (labels == 0) & (groups == group) & np.isfinite(margin)
        share = (slope * margin[mask] + offset >= 0).mean()
        print(f"  {group}: {mask.sum()} harmless, {share:.4f} at 0.5")
    if given.logits:
        with open(given.logits, "w") as file:
            for row, value in zip(rows, slope * margin + offset):
                file.write(json.dumps({"text": row["text"], "logit": round(float(value), 4)}) + "\n")
    if given.folds:
        return
    model = fit(x, owners, taught, rows, every, given.c, given.bits)
    print("families", np.round(model.coef_[0][1 << given.bits :], 2))
    write(given.model, given.bits, model.coef_[0], model.intercept_[0], slope, offset)


if __name__ == "__main__":
    main()
