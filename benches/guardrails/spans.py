"""Compares what was found in a text with what is there."""

from metrics import Outcome

# What is one thing under several names: a number may be a tax number and a national one.
IDENTITY = {"us_ssn", "national_id", "passport", "driver_licence"}
KINDS = [
    "email",
    "phone",
    "us_ssn",
    "credit_card",
    "iban",
    "ip_address",
    "national_id",
    "passport",
    "driver_licence",
    "birth_date",
    "url_credentials",
]


def personal_kind(kind):
    """A guard's or a peer's word for what the generated texts call otherwise."""
    kind = kind.lower()
    for part, name in [
        ("email", "email"),
        ("phone", "phone"),
        ("ssn", "us_ssn"),
        ("card", "credit_card"),
        ("iban", "iban"),
        ("ip_", "ip_address"),
        ("ipv", "ip_address"),
        ("birth", "birth_date"),
        ("dob", "birth_date"),
        ("url", "url_credentials"),
        ("passport", "passport"),
        ("driv", "driver_licence"),
    ]:
        if part in kind or kind == part.rstrip("_"):
            return name
    return "national_id"


def group(kind):
    return "identity" if kind in IDENTITY else kind


def overlap(a, b):
    return max(0, min(a["end"], b["end"]) - max(a["start"], b["start"]))


def personal(row, findings):
    """[(kind, Outcome)]: found is what overlaps by half, and is of the same sort."""
    truth = row["spans"]
    matched, result = set(), []
    for span in truth:
        hits = [at for at, f in enumerate(findings) if is_same(span, f)]
        matched.update(hits)
        result.append((span["kind"], Outcome(found=bool(hits), missed=not hits)))
    for at, finding in enumerate(findings):
        if at in matched or finding["kind"] is None:
            continue
        known = truth + row.get("debatable", [])
        if not any(overlap(s, finding) and excuses(s, finding) for s in known):
            result.append((finding["kind"], Outcome(wrong=1, clean=not truth)))
    return result


def is_same(span, finding):
    shared = overlap(span, finding)
    if span["kind"] == "url_credentials":
        # The password alone, as guards of secrets see it, is enough.
        return shared >= 8 and finding["kind"] in ("url_credentials", None)
    union = max(span["end"], finding["end"]) - min(span["start"], finding["start"])
    return (
        finding["kind"] is not None
        and group(span["kind"]) == group(finding["kind"])
        and 2 * shared >= union
    )


def excuses(span, finding):
    return span["kind"] == "url_credentials" or group(span["kind"]) == group(finding["kind"])


def secret(row, findings):
    """An Outcome: found is what is covered by half, or what a finding lies in (the password of an
    address); the names that tools give are not compared."""
    truth = row["spans"]
    found = sum(any(tells(span, finding) for finding in findings) for span in truth)
    wrong = sum(not any(overlap(s, f) for s in truth) for f in findings)
    return Outcome(found=found, wrong=wrong, missed=len(truth) - found, clean=not truth)


def tells(span, finding):
    shared = overlap(span, finding)
    lies_in = shared >= 8 and shared >= 0.8 * (finding["end"] - finding["start"])
    return lies_in or 2 * shared >= span["end"] - span["start"]


def merge(row, outcomes):
    """One Outcome of a text out of those of its kinds."""
    parts = [outcome for _, outcome in outcomes]
    return Outcome(
        found=sum(o.found for o in parts),
        wrong=sum(o.wrong for o in parts),
        missed=sum(o.missed for o in parts),
        clean=not row["spans"],
    )


def of_every_kind(row, outcomes):
    """Outcomes one by one; of a text without anything, one for each kind that there is."""
    if row["spans"]:
        return outcomes
    flagged = {kind: outcome for kind, outcome in outcomes}
    return [(kind, flagged.get(kind, Outcome(clean=True))) for kind in KINDS]
