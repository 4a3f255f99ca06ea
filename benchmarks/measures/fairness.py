"""Whether others on the reactor get their turns: a TCP echo meanwhile."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import median, percentile, written
from benchmarks.outcome import Outcome, Table, Target

TITLES = {
    "nothing": "nothing else, for comparison",
    "functions": "{count:,} functions, running without a pause",
    "subscriber": "storms of {storm:,} to a subscriber",
    "processor": "storms of {storm:,} to a processor",
    "all": "{count:,} functions and storms to a subscriber",
}

LIMIT = 25.0
"""Milliseconds."""

PAUSE = 0.004
"""Seconds between an echo and the next question."""

QUESTION = b"0123456789abcdef"

Rounds = dict[str, list[list[float]]]
"""Milliseconds, by case."""


def measure(bench: Bench) -> Outcome:
    """Ask for echoes in each case in turn, several rounds."""
    rounds: Rounds = {case: [] for case in TITLES}
    for _ in range(bench.sizes.rounds):
        for case in TITLES:
            rounds[case].append(take(bench, case))
    outcome = Outcome("fairness", [], raw={"rounds": rounds})
    rows = [["meanwhile", "p50, ms", "p99, ms", "longest, ms"]]
    for case, title in TITLES.items():
        name = title.format(count=max(bench.sizes.functions), storm=bench.sizes.storm)
        p50, p99, most = (_at(rounds[case], share) for share in (0.5, 0.99, 1.0))
        rows.append([name, written(p50), written(p99), written(most)])
        if case != "nothing":
            outcome.targets.append(Target(f"echo p99, ms: {name}", p99, LIMIT))
    outcome.tables.append(Table("A TCP echo on the same reactor", rows))
    return outcome


def _at(rounds: list[list[float]], share: float) -> float:
    return median(percentile(waits, share) for waits in rounds)


def take(bench: Bench, case: str) -> list[float]:
    """Ask for echoes in one case, and return how many milliseconds each took."""
    with ExitStack() as stack:
        busy = stack.enter_context(bench.start("busy", case, max(bench.sizes.functions), bench.dsn))
        port = busy.hear("port", within=60)["port"]
        if case in ("subscriber", "processor", "all"):
            sender = bench.start("sender", bench.dsn, "flood", bench.sizes.storm)
            stack.enter_context(sender).hear("first storm", within=60)
        time.sleep(bench.sizes.settling)
        waits = echoes(port, bench.sizes.echoes)
        busy.dismiss()
        said: dict[str, Any] = busy.hear("report", within=30)
        assert case == "nothing" or said["rung"] + said["heard"] > 2, (
            f"{case}: nothing happened meanwhile: {said}"
        )
    return waits


def echoes(port: int, count: int) -> list[float]:
    """Ask for echoes one after the other, and return how many milliseconds each took."""
    waits = []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            time.sleep(PAUSE)
            asked = time.monotonic()
            connection.sendall(QUESTION)
            answer = b""
            while len(answer) < len(QUESTION):
                answer += connection.recv(len(QUESTION) - len(answer))
            waits.append((time.monotonic() - asked) * 1000)
    return waits
