"""What came out, as Markdown."""

import os
import platform
import subprocess
from pathlib import Path

from contenders import MODES

HEAD = [
    "requests/s",
    "lowest to highest",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "memory MiB",
    "CPU µs a request",
    "does besides",
]


def table(contenders, results, median):
    lines = [row(["", "gateway", *HEAD]), row(["---"] * (len(HEAD) + 2))]
    for mode in MODES:
        what = f"**{mode}**"
        for contender in contenders:
            if mode in contender.modes:
                cells = results_of(results[(mode, contender.name)], median)
                lines.append(row([what, contender.name, *cells, contender.does]))
                what = ""
    return "\n".join(lines)


def overheads(found):
    """Of each mode, what answers to a single client say that they cost beside the model."""
    if not found:
        return ""
    lines = ["", row(["overhead, one client", "requests", "p50 ms", "p99 ms"]), row(["---"] * 4)]
    for mode, values in found.items():
        values = sorted(values)
        parts = [f"{values[len(values) * part // 100]:.2f}" for part in (50, 99)]
        lines.append(row([mode, f"{len(values):,}", *parts]))
    return "\n".join([*lines, ""])


def results_of(rounds, median):
    """One that failed once has failed."""
    why = next((result for result in rounds if isinstance(result, str)), None)
    if why is not None:
        return [f"failed: {' '.join(why.split())[:200]}".replace("|", "/")] + [""] * (len(HEAD) - 2)
    rates = [figures.rate for figures in rounds]
    figures = median(rounds)
    return [
        f"{figures.rate:,.0f}",
        f"{min(rates):,.0f} to {max(rates):,.0f}",
        *(f"{value:.2f}" for value in (figures.p50, figures.p99, figures.p999)),
        f"{figures.mib:.0f}",
        f"{figures.cpu_us:.0f}",
    ]


def row(cells):
    return f"| {' | '.join(cells)} |"


def machine(cores):
    """To be asked before there is any load of our own."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()[1]
    load, count = os.getloadavg()[0], len(cores)
    said = (
        f"{models[0] if models else platform.machine()}, {count} of {os.cpu_count()} cores for all "
        f"of it, {int(memory) / 1024**2:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, Node.js {version('node')}, {version('rustc')}."
    )
    if load > 0.5:
        said += f" The machine was busy with other things: load {load:.1f} before this began."
    return said


def version(program):
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True)
        return said.stdout.strip()
    except OSError:
        return "missing"
