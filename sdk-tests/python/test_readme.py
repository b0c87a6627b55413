"""What the README tells people to type does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return found


@pytest.mark.parametrize("language", ["python", "js", "sh"])
def test_a_snippet(server, language):
    command = {
        "python": [sys.executable, "-"],
        "js": ["node", "--input-type=module", "-"],
        "sh": ["bash", "-euo", "pipefail"],
    }[language]
    env = os.environ | {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": server.api_key}
    done = subprocess.run(
        command,
        input=block(language),
        env=env,
        cwd=os.environ["MICROLLM_NODE_MODULES"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "The capital of France is Paris." in done.stdout
