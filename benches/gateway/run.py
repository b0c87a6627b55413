#!/usr/bin/env python3
"""This product and other gateways under the same load: `run.py PATH-TO-THE-GATEWAY-BENCH`."""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import report
from contenders import CACHED, MODES, Alone, Litellm, LitellmRs, Portkey, Product
from load import Failed, ask, measure, median
from overhead import one_by_one

# LiteLLM takes half a minute to start on a slow machine.
START_SECONDS = 180


def main():
    arguments = parse()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing (Debian's package wrk)")
    # All that is started from here stays on them, the load's generator included.
    cores = sorted(os.sched_getaffinity(0))[: arguments.cores]
    os.sched_setaffinity(0, cores)
    machine = report.machine(cores)
    contenders = chosen(arguments)
    broken = {contender.name: why for contender in contenders if (why := installed(contender))}
    results, overheads = {}, {}
    with upstream(arguments.program) as url:
        for number in range(arguments.rounds):
            for contender in contenders:
                for mode in [mode for mode in MODES if mode in contender.modes]:
                    print(f"round {number + 1}: {contender.name}, {mode}", file=sys.stderr)
                    cell = results.setdefault((mode, contender.name), [])
                    why = broken.get(contender.name)
                    cell.append(why or attempt(contender, mode, url, arguments, overheads))
    print(report.table(contenders, results, median))
    print(report.overheads(overheads))
    print(machine)
    print(f"wrk -t1 -c{arguments.connections}, {arguments.duration} s, {arguments.rounds} rounds.")


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="the bench target `gateway`, built for release")
    parser.add_argument("--no-peers", action="store_true", help="only this product and the stub")
    parser.add_argument("--only", metavar="NAME", action="append", help="whose name has this in it")
    parser.add_argument("--rounds", type=int, default=3, help="in turns; medians are shown")
    parser.add_argument("--duration", type=int, default=10, help="seconds of each measurement")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--cores", type=int, default=2, help="that everybody shares")
    return parser.parse_args()


def chosen(arguments):
    contenders = [Product(arguments.program)]
    if not arguments.no_peers:
        contenders += [LitellmRs(), Litellm(), Portkey()]
    contenders.append(Alone(arguments.program))
    only = arguments.only
    return [c for c in contenders if not only or any(name in c.name for name in only)]


def installed(contender):
    """Why not, if not."""
    try:
        contender.install()
    except Failed as failed:
        return str(failed)
    except OSError as error:
        return f"cannot be installed: {error}"


def attempt(contender, mode, url, arguments, overheads):
    """Figures, or why there are none."""
    try:
        return figures(contender, mode, url, arguments, overheads)
    except Failed as failed:
        print(f"  {failed}", file=sys.stderr)
        return str(failed)


def figures(contender, mode, url, arguments, overheads):
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        command = contender.command(mode, port, url, directory)
        with running(command, directory, contender.environment()) as process:
            chat = ready(contender, mode, port, url, directory, process)
            contender.check(mode, ask(chat)[1])
            before = asked(url)
            found, requests = measure(chat, process.pid, arguments.connections, arguments.duration)
            if contender.asks_upstream:
                check_upstream(mode, requests, asked(url) - before)
            overhead = one_by_one(chat, arguments.duration) if contender.tells_overhead else []
            contender.check(mode, ask(chat)[1])
            contender.check_all(requests, port, directory)
            if overhead:
                overheads.setdefault(mode, []).extend(overhead)
            return found


def check_upstream(mode, requests, asked):
    """An answer from a cache asks nobody; one that is passed on asks each time."""
    if mode == CACHED and asked > requests / 100:
        raise Failed(f"keeps no answers: {requests} requests, {asked} of them passed on")
    if mode != CACHED and asked < requests:
        raise Failed(f"invalid: {requests} requests, only {asked} of them passed on")


def ready(contender, mode, port, url, directory, process):
    """Asks until there is an answer."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            chat = contender.chat(mode, port, url, directory)
            text, _ = ask(chat)
            if "lighthouse" not in text:
                raise Failed(f"answers something else: {text}")
            return chat
        except Failed:
            if process.poll() is not None:
                log = Path(directory, "log").read_text(errors="replace").strip().splitlines()
                raise Failed(f"ended: {' '.join(log[-2:]) or 'without a word'}") from None
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


@contextmanager
def upstream(program):
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        with running([program, "upstream", "--listen", f"127.0.0.1:{port}"], directory, {}):
            url = f"http://127.0.0.1:{port}"
            for _ in range(100):
                try:
                    asked(url)
                    break
                except OSError:
                    time.sleep(0.1)
            yield url


def asked(url):
    with urllib.request.urlopen(f"{url}/asked") as answer:
        return int(answer.read())


@contextmanager
def running(command, directory, environment):
    """A process and its descendants, until the end of the block."""
    with open(Path(directory, "log"), "w") as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, how)
                process.wait(timeout=15)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                pass
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
