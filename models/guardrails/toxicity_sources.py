"""Readers of the labelled texts that the toxicity model learns from.

Each reader yields `Row`s. A category that a source does not tell apart is left out of `labels`, so
that the row says nothing about it: a comment voted "toxic" is not a negative example of hate.
None of these texts is part of this project; the documentation names their licences. The folder that
is read holds, from public repositories:

    wiki_test.csv, templates.csv  conversationai/unintended-ml-bias-analysis: toxicity_nonfuzzed_testset,
                                  en_sentence_templates
    cat_gc.csv, cat_gn.csv        ipavlopoulos/context_toxicity: data/CAT_LARGE
    spans_comments.csv, spans_annot.csv, spans_spans.csv
                                  ipavlopoulos/toxic_spans: data/comments, annotations, spans
    cad_{train,dev,test}.tsv      Contextual Abuse Dataset 1.1
    conv_train.csv                amandacurry/convabuse: 2_splits
    hatemoji_{train,val,test}.csv, hatemojicheck.csv
                                  HannahKirk/Hatemoji: HatemojiBuild, HatemojiCheck
    toxigen/                      microsoft/TOXIGEN: prompts, demonstrations
    edos.csv                      rewire-online/edos: edos_labelled_aggregated
    hatexplain.csv                HateXplain as a table of comment and majority label
    openai.jsonl.gz               openai/moderation-api-release
    ailuminate.csv, sst.csv       mlcommons/ailuminate, bertiev/SimpleSafetyTests
    medquad/                      abachaa/MedQuAD
    vader/                        cjhutto/vaderSentiment: hutto_ICWSM_2014
    novels/, pride.txt            Project Gutenberg
    toxicity-train.jsonl          t-davidson/hate-speech-and-offensive-language with the votes' majority
    injection-train.jsonl         what the injection model learns from
    surge.csv, hatecheck.csv, xstest.csv, ucc_val.csv
                                  for reporting only: surge-ai/toxicity, paul-rottger/hatecheck-data,
                                  paul-rottger/exaggerated-safety, conversationai/unhealthy-conversations
"""

import ast
import csv
import gzip
import hashlib
import json
import re
import sys
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from pathlib import Path

csv.field_size_limit(sys.maxsize)

CATEGORIES = ("hate", "harassment", "violence", "sexual", "self_harm")
BENIGN = dict.fromkeys(CATEGORIES, 0)

# Longest text that is learned from as one piece, in characters: what the guard reads at a time.
WINDOW = 480


@dataclass
class Row:
    text: str
    # 1, 0, or absent where unknown.
    labels: dict
    source: str
    weight: float = 1.0
    # Toxic, of a kind that the source does not tell.
    any: bool = False


def labels(**known):
    """Every category not named is 0; None means unknown."""
    return {k: v for k, v in (BENIGN | known).items() if v is not None}


def share(text):
    """A number in [0, 1) that depends on the text alone, for splits that stay the same."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def pieces(text, size=WINDOW):
    """Cuts a long text at borders of sentences."""
    piece = ""
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
        if piece and len(piece) + len(sentence) > size:
            yield piece
            piece = ""
        piece = (piece + " " + sentence).strip()[: 2 * size]
    if piece:
        yield piece


def table(path, delimiter=",", **kinds):
    with open(path, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter=delimiter, **kinds)


def unknown(source, text, weight=1.0):
    """Toxic; hate or harassment, nobody said which."""
    return Row(text, labels(hate=None, harassment=None, violence=None, sexual=None), source, weight, True)


def benign(source, text, weight=1.0):
    for piece in pieces(text):
        yield Row(piece, BENIGN, source, weight)


def davidson(path):
    for line in open(path, encoding="utf-8"):
        row = json.loads(line)
        kind, text = row["label"], row["text"]
        if kind in (0, "hate"):
            # Slurs used in-group are over-labelled here, so this counts less.
            yield Row(text, labels(hate=1, harassment=None, violence=None, sexual=None), "davidson", 0.5)
        elif kind in (2, "neither"):
            yield Row(text, BENIGN, "davidson", 0.5)
        else:
            yield Row(
                text, labels(hate=0, harassment=None, violence=None, sexual=None), "davidson", 0.15, False
            )


def wiki(folder):
    for row in table(folder / "wiki_test.csv"):
        yield from commented("wiki", row["comment"].strip(), row["toxic"] == "True")
    for name in ("cat_gc.csv", "cat_gn.csv"):
        for row in table(folder / name):
            yield from commented("wiki", row["text"].strip(), row["label"] == "1")


def commented(source, text, is_toxic, weight=1.0):
    if is_toxic and len(text) <= 2 * WINDOW:
        yield unknown(source, text, weight)
    elif not is_toxic:
        yield from benign(source, text, 1.5 * weight)


def civil(folder):
    """Civil Comments with what at least three people each marked in them as toxic."""
    votes = {}
    for row in table(folder / "spans_annot.csv"):
        all_toxic, not_toxic = row["all toxic"] == "True", row["not toxic"] == "True"
        votes.setdefault(row["comment_id"], []).append((row["annotation"], all_toxic, not_toxic))
    marks = {}
    for row in table(folder / "spans_spans.csv"):
        marks.setdefault(row["annotation"], []).append(row)
    for row in table(folder / "spans_comments.csv"):
        text, given = row["comment_text"], votes.get(row["comment_id"], [])
        if len(given) < 2:
            continue
        marked = [[m for m in marks.get(a, [])] for a, _, _ in given]
        toxic = sum(bool(m) or a for m, (_, a, _) in zip(marked, given)) / len(given)
        if toxic <= 0.34:
            yield from benign("civil", text)
        elif toxic >= 0.6 and len(text) <= 2 * WINDOW:
            kinds = {}
            for mine in marked:
                for kind in {m["type"].lower() for m in mine}:
                    kinds[kind] = kinds.get(kind, 0) + 1 / len(given)
            yield named_kinds(text, kinds)
            yield from without_marks(text, [m for mine in marked for m in mine])


def named_kinds(text, kinds):
    known = dict.fromkeys(("hate", "harassment", "violence", "sexual"))
    top = lambda name: max((v for k, v in kinds.items() if name in k), default=0)
    if top("identity") >= 0.5:
        known["hate"] = 1
    if top("threat") >= 0.5:
        known["violence"] = 1
    if top("insult") >= 0.5:
        known["harassment"] = 1
        known["hate"] = known["hate"] or (0 if top("identity") == 0 else None)
    return Row(text, labels(**known), "civil", 1.0, not any(known.values()))


def without_marks(text, marks):
    """The sentences that nobody marked, if there are some: what a toxic comment has in common with
    any other on its subject."""
    bad = [(int(m["start"]), int(m["end"])) for m in marks]
    clean = []
    for sentence in re.finditer(r"[^.!?\n]+[.!?\n]*", text):
        if all(end <= sentence.start() or start >= sentence.end() for start, end in bad):
            clean.append(sentence.group().strip())
    clean = " ".join(clean)
    if bad and len(clean) > 40:
        yield Row(clean, BENIGN, "civil-clean", 1.5)


def cad(folder):
    for part in ("train", "dev", "test"):
        for row in table(folder / f"cad_{part}.tsv", "\t", quoting=csv.QUOTE_NONE):
            text = row["text"].replace("[linebreak]", " ").strip()
            kinds = set(row["labels"].split(","))
            if kinds <= {"Neutral", "CounterSpeech"}:
                yield from benign("cad", text, 0.7)
            elif len(text) <= WINDOW:
                hate = 1 if "IdentityDirectedAbuse" in kinds else 0
                person = 1 if kinds & {"PersonDirectedAbuse", "AffiliationDirectedAbuse"} else None
                yield Row(text, labels(hate=hate, harassment=person, violence=None, sexual=None), "cad")


def convabuse(folder):
    for row in table(folder / "conv_train.csv"):
        votes, kinds = [], {}
        for key, value in row.items():
            if value != "1":
                continue
            if found := re.match(r"Annotator\d+_is_abuse\.(-?\d)", key):
                votes.append(int(found.group(1)))
            elif found := re.match(r"Annotator\d+_(\w+)$", key):
                kinds[found.group(1)] = kinds.get(found.group(1), 0) + 1
        if not votes:
            continue
        most = lambda name: kinds.get(name, 0) * 2 > len(votes)
        if sum(v < 0 for v in votes) * 2 > len(votes):
            hate = 1 if any(map(most, ("racist", "homophobic", "transphobic"))) else None
            sexual = 1 if most("sex_harassment") else None
            yield Row(row["user"], labels(hate=hate, harassment=1, violence=None, sexual=sexual), "convabuse")
        elif all(v >= 0 for v in votes):
            yield Row(row["user"], BENIGN, "convabuse")


def hatemoji(folder):
    for part in ("train", "val", "test"):
        for row in table(folder / f"hatemoji_{part}.csv"):
            if row["label_gold"] == "1":
                threat = 1 if row["type"].startswith("threat") else None
                yield Row(
                    row["text"], labels(hate=1, harassment=None, violence=threat, sexual=None), "hatemoji"
                )
            else:
                yield Row(row["text"], BENIGN, "hatemoji")


def toxigen(folder):
    seen = set()
    for path in sorted((folder / "toxigen").rglob("*.txt")):
        is_hate = path.name.startswith("hate")
        for line in open(path, encoding="utf-8", errors="replace"):
            for sentence in line.split("\\n"):
                sentence = sentence.strip().removeprefix("-").strip().rstrip("\\")
                if len(sentence) < 15 or sentence in seen:
                    continue
                seen.add(sentence)
                if is_hate:
                    known = labels(hate=1, harassment=None, violence=None, sexual=None)
                    yield Row(sentence, known, "toxigen")
                else:
                    yield Row(sentence, BENIGN, "toxigen")


def edos(folder):
    for row in table(folder / "edos.csv"):
        text = re.sub(r"\[(USER|URL)\]", " ", row["text"]).strip()
        kind = row["label_category"][:1]
        if kind in "1234":
            known = labels(hate=1, harassment=None, violence=1 if kind == "1" else None, sexual=None)
            yield Row(text, known, "edos", 1.0 if kind in "12" else 0.7)
        else:
            # Not sexist may still be toxic otherwise.
            yield Row(text, BENIGN, "edos", 0.4)


def hatexplain(folder):
    for row in table(folder / "hatexplain.csv"):
        text = re.sub(r"^\d+ ", "", row["comment"])
        if row["label"] == "hatespeech":
            yield Row(text, labels(hate=1, harassment=None, violence=None, sexual=None), "hatexplain", 0.7)
        elif row["label"] == "offensive":
            yield unknown("hatexplain", text, 0.3)
        else:
            yield Row(text, BENIGN, "hatexplain", 0.5)


def templates(folder):
    """Jigsaw's identity templates: the same identities in praise and abuse."""
    for row in table(folder / "templates.csv"):
        if share(row["phrase"]) > 0.05:
            continue
        if row["toxicity"] == "toxic":
            yield unknown("templates", row["phrase"], 0.3)
        else:
            yield Row(row["phrase"], BENIGN, "templates", 0.3)


def openai(folder, held_out):
    """Half of it; the other half is for reporting, and drawn with `held_out`."""
    for line in gzip.open(folder / "openai.jsonl.gz", "rt", encoding="utf-8"):
        row = json.loads(line)
        text = row["prompt"]
        if (share(text) < 0.5) != held_out:
            continue
        get = lambda *keys: max((row[k] for k in keys if row.get(k) is not None), default=None)
        known = {
            "hate": get("H", "H2"),
            "harassment": get("HR"),
            "violence": get("V", "V2"),
            "sexual": get("S", "S3"),
            "self_harm": get("SH"),
        }
        known = {k: v for k, v in known.items() if v is not None}
        if held_out or len(text) <= 2 * WINDOW:
            yield Row(text, known, "openai", 2.0)


# Kinds of dangerous requests that are a category of ours; the others say nothing about us.
HAZARDS = {
    "hte": "hate",
    "ssh": "self_harm",
    "sxc_prn": "sexual",
    "vcr": "violence",
    "src": "sexual",
    "cse": "sexual",
}


def ailuminate(folder):
    for row in table(folder / "ailuminate.csv"):
        category = HAZARDS.get(row["hazard"])
        if category:
            known = dict.fromkeys(CATEGORIES) | {category: 1}
            known = {k: v for k, v in known.items() if v is not None}
            yield Row(row["prompt_text"], known, "ailuminate", 0.7)
        elif row["hazard"].startswith("spc") or row["hazard"] in ("prv", "ncr"):
            yield Row(row["prompt_text"], BENIGN, "ailuminate", 0.5)


def simple_safety(folder):
    for row in table(folder / "sst.csv"):
        area, text = row["harm_area"].lower(), row["prompts_final"]
        category = "self_harm" if "suicide" in area else "violence" if "physical" in area else None
        if category:
            yield Row(text, {category: 1}, "sst")


def questions(path):
    """Benign requests to a model."""
    for line in open(path, encoding="utf-8"):
        row = json.loads(line)
        if row["label"] == 0:
            yield from benign("questions", row["text"])


def medical(folder):
    for path in sorted((folder / "medquad").rglob("*.xml")):
        if share(path.name + path.parent.name) > 0.12:
            continue
        for answer in xml.parse(path).iter("Answer"):
            yield from benign("medical", " ".join((answer.text or "").split())[:3000])


def everyday(folder):
    """Reviews and editorials, judged for sentiment, none of them abusive."""
    for name in ("nytEditorialSnippets", "amazonReviewSnippets", "movieReviewSnippets", "tweets"):
        path = folder / "vader/hutto_ICWSM_2014" / f"{name}_GroundTruth.txt"
        for line in open(path, encoding="utf-8", errors="replace"):
            yield from benign("everyday", line.split("\t")[-1].strip(), 1.5)


def novels(folder):
    """Out of copyright."""
    for path in sorted((folder / "novels").glob("*.txt")):
        yield from benign("novels", novel(path))


def novel(path):
    text = open(path, encoding="utf-8", errors="replace").read()
    return re.sub(r"\s*\n(?!\n)\s*", " ", text.replace("\r", ""))


def manuals(folder):
    """Readmes and change logs of the packages that this program is built from."""
    for path in sorted(Path(folder).glob("*/*.md")):
        if share(path.parent.name) > 0.25:
            continue
        text = open(path, encoding="utf-8", errors="replace").read()
        for piece in list(pieces(text[:20000]))[:30]:
            yield Row(piece, BENIGN, "manuals", 0.7)


def held_out(folder):
    """What is reported on and never learned from: name -> [(text, label, group)]."""
    sets = {}
    sets["surge"] = [(r["text"], int(r["is_toxic"] == "Toxic"), "") for r in table(folder / "surge.csv")]
    sets["hatecheck"] = [
        (r["test_case"], int(r["label_gold"] == "hateful"), r["functionality"])
        for r in table(folder / "hatecheck.csv")
    ]
    sets["hatemojicheck"] = [
        (r["text"], int(r["label_gold"]), r["functionality"]) for r in table(folder / "hatemojicheck.csv")
    ]
    sets["xstest"] = [
        (r["prompt"], 0, r["type"]) for r in table(folder / "xstest.csv") if r["label"] == "safe"
    ]
    sets["news"] = [
        (r["comment"], int(r["hostile"] == "1" or r["antagonize"] == "1"), "")
        for r in table(folder / "ucc_val.csv")
    ]
    documents = [novel(folder / "pride.txt")]
    for path in sorted((folder / "medquad").rglob("*.xml")):
        if share(path.name + path.parent.name) > 0.9:
            answers = xml.parse(path).iter("Answer")
            documents += [" ".join((a.text or "").split()) for a in answers]
    sets["documents"] = [(p, 0, "") for text in documents for p in pieces(text, 4000)][:2500]
    return sets
