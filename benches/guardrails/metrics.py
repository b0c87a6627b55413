"""Figures of detectors, with intervals of 95 per cent."""

import math
from dataclasses import dataclass

import numpy as np

Z = 1.96
RESAMPLES = 400
BANDS = [(100, "<= 100"), (500, "101-500"), (2000, "501-2000"), (math.inf, "> 2000")]


@dataclass
class Outcome:
    """Of one text: things found, found wrongly and missed, and for a text without any, whether it
    was left alone."""

    found: int = 0
    wrong: int = 0
    missed: int = 0
    clean: bool = False

    @property
    def flagged(self):
        return self.clean and self.wrong > 0


def band(text):
    """In characters."""
    return next(name for limit, name in BANDS if len(text) <= limit)


def ratio(part, whole):
    """A share with Wilson's interval, or None where there is nothing to share."""
    if whole == 0:
        return None
    share = part / whole
    scale = 1 + Z * Z / whole
    middle = (share + Z * Z / (2 * whole)) / scale
    half = Z / scale * math.sqrt(share * (1 - share) / whole + Z * Z / (4 * whole * whole))
    return [share, max(0.0, middle - half), min(1.0, middle + half)]


def f1(outcomes, rng):
    """Texts are resampled, since things in one text are not independent."""
    counts = np.array([[o.found, o.wrong, o.missed] for o in outcomes], dtype=float)
    found, wrong, missed = counts.sum(0)
    if found + missed == 0:
        return None

    def of(found, wrong, missed):
        return 2 * found / np.maximum(2 * found + wrong + missed, 1)

    picks = rng.integers(0, len(counts), (RESAMPLES, len(counts)))
    again = of(*(counts[:, column][picks].sum(1) for column in range(3)))
    return [float(of(found, wrong, missed)), *map(float, np.percentile(again, [2.5, 97.5]))]


def summary(outcomes):
    rng = np.random.default_rng(1)
    found = sum(o.found for o in outcomes)
    wrong = sum(o.wrong for o in outcomes)
    missed = sum(o.missed for o in outcomes)
    clean = sum(o.clean for o in outcomes)
    return {
        "positives": found + missed,
        "negatives": clean,
        "precision": ratio(found, found + wrong) if found + missed else None,
        "recall": ratio(found, found + missed),
        "f1": f1(outcomes, rng) if outcomes else None,
        "fpr": ratio(sum(o.flagged for o in outcomes), clean),
    }


def area(positives, negatives):
    """Under the ROC curve: how often a positive scores higher than a negative, ties half."""
    order = np.sort(negatives)
    below = np.searchsorted(order, positives, "left")
    ties = np.searchsorted(order, positives, "right") - below
    return float((below + ties / 2).mean() / len(negatives))


def recall_at(positives, negatives, share):
    """Recall with the lowest threshold that flags at most this share of negatives. Scores that are
    equal are flagged together."""
    allowed = int(share * len(negatives))
    highest = np.sort(negatives)[::-1]
    limit = highest[allowed] if allowed < len(negatives) else -np.inf
    return float((positives > limit).mean())


def without_threshold(scores, labels):
    """Of scored texts: area under the curve, and recall at 1 and 5 per cent false positives."""
    scores, labels = np.array(scores, dtype=float), np.array(labels)
    positives, negatives = scores[labels == 1], scores[labels == 0]
    if not len(positives) or not len(negatives):
        return None
    rng = np.random.default_rng(2)
    figures = {
        "auc": area,
        "recall at 1% FPR": lambda p, n: recall_at(p, n, 0.01),
        "recall at 5% FPR": lambda p, n: recall_at(p, n, 0.05),
    }
    resamples = [
        (rng.choice(positives, len(positives)), rng.choice(negatives, len(negatives)))
        for _ in range(RESAMPLES)
    ]
    result = {"positives": len(positives), "negatives": len(negatives)}
    for name, figure in figures.items():
        again = [figure(*resample) for resample in resamples]
        result[name] = [
            figure(positives, negatives),
            *map(float, np.percentile(again, [2.5, 97.5])),
        ]
    return result


def percentiles(micros):
    """In milliseconds."""
    middle, high = np.percentile(np.array(micros, dtype=float) / 1000, [50, 99])
    return {"texts": len(micros), "p50 ms": float(middle), "p99 ms": float(high)}
