"""One measurement: wrk against one server, and what that server took meanwhile."""

import json
import os
import statistics
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
WARM_UP_SECONDS = 3


class Failed(Exception):
    """Why there is no figure; the table says it."""


@dataclass
class Chat:
    """A request to be sent again and again. `@@` in the prompt: each time another one."""

    url: str
    body: dict
    headers: dict = field(default_factory=dict)

    def text(self):
        return json.dumps(self.body)

    def all_headers(self):
        return {"Content-Type": "application/json"} | self.headers


@dataclass
class Figures:
    rate: float
    p50: float
    p99: float
    p999: float
    mib: float
    cpu_us: float


def ask(chat, timeout=10):
    """Sends it once: the text of the answer and the headers."""
    body = chat.text().replace("@@", "once").encode()
    request = urllib.request.Request(chat.url, body, chat.all_headers())
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            value, headers = json.load(answer), answer.headers
        return value["choices"][0]["message"]["content"], headers
    except urllib.error.HTTPError as error:
        said = error.read(300).decode(errors="replace")
        raise Failed(f"answers {error.code}: {said}") from None
    except (OSError, ValueError, LookupError) as error:
        raise Failed(f"no answer: {error}") from None


def measure(chat, pid, connections, seconds):
    """Figures of `seconds` of load, and how many requests that were."""
    wrk(chat, connections, WARM_UP_SECONDS)
    before = cpu_seconds(pid)
    said = wrk(chat, connections, seconds)
    used, requests = cpu_seconds(pid) - before, said["requests"]
    for what, name in (("refused", "not answered with 2xx"), ("broken", "broken off"), ("late", "late")):
        if said[what]:
            raise Failed(f"invalid: {said[what]} of {requests} requests {name}")
    if not requests:
        raise Failed("invalid: no request was answered")
    figures = Figures(
        rate=requests / said["seconds"],
        p50=said["p50"],
        p99=said["p99"],
        p999=said["p999"],
        mib=peak_mib(pid),
        cpu_us=used / requests * 1e6,
    )
    return figures, requests


def wrk(chat, connections, seconds):
    headers = "\n".join(f"{name}: {value}" for name, value in chat.all_headers().items())
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(HERE / "load.lua"), chat.url]
    environment = os.environ | {"HEADERS": headers, "BODY": chat.text()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"wrk: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def family(pid):
    """A process and its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(fields(path)[1])
        except OSError:
            pass  # It has ended.
    found, new = {pid}, {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def fields(path):
    """Of /proc/PID/stat, what follows the name, which may hold anything."""
    return path.read_text().rsplit(")", 1)[1].split()


def cpu_seconds(pid):
    stats = [fields(Path(f"/proc/{each}/stat")) for each in family(pid)]
    return sum(int(user) + int(system) for stat in stats for user, system in [stat[11:13]]) / TICKS


def peak_mib(pid):
    """The most that each process had in memory, together."""
    lines = [
        line
        for each in family(pid)
        for line in Path(f"/proc/{each}/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    ]
    return sum(int(line.split()[1]) for line in lines) / 1024


def median(all_figures):
    return Figures(
        **{
            name: statistics.median(getattr(figures, name) for figures in all_figures)
            for name in Figures.__dataclass_fields__
        }
    )
