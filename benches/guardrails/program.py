"""Asks the built program what it finds, through its command line."""

import json
import shlex
import subprocess
import time
import tomllib


class Program:
    """`command` has `{direction}` where `input` or `output` belongs."""

    def __init__(self, command, policy_file):
        self.command = command
        self.rules = tomllib.loads(policy_file.read_text())
        try:
            self.check(["hello"])
        except subprocess.CalledProcessError:
            if not command.endswith(" --timing"):
                raise
            # An older program; times are then those of whole runs.
            self.command = command.removesuffix(" --timing")

    def check(self, texts, direction="input", timeout=1200):
        """For each text: {"action", "text", "findings", "micros"}."""
        command = shlex.split(self.command.format(direction=direction))
        rows = "".join(json.dumps({"id": str(at), "text": t}) + "\n" for at, t in enumerate(texts))
        begun = time.perf_counter()
        done = subprocess.run(
            command, input=rows.encode(), stdout=subprocess.PIPE, check=True, timeout=timeout
        )
        took = (time.perf_counter() - begun) * 1e6 / max(1, len(texts))
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        if [answer["id"] for answer in answers] != [str(at) for at in range(len(texts))]:
            raise ValueError(f"{command[0]} did not answer line for line")
        for answer in answers:
            # Without --timing: the mean of the whole run, start included.
            answer.setdefault("micros", took)
        return answers

    def counts(self, finding):
        """Whether a finding is likely enough for the policy."""
        rule = self.rules[finding["guard"]]
        own = rule.get("kinds", {}).get(finding["kind"], {}).get("threshold")
        return finding["score"] >= (rule["threshold"] if own is None else own)

    def found(self, answer, guard):
        return [f for f in answer["findings"] if f["guard"] == guard and self.counts(f)]
