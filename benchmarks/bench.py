"""What all measures share: the server, the sizes, and processes that leave nothing behind."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.consumers import FLOOR, Consumer
from benchmarks.processes import Process, ProcessFailed
from txdoorbell.embedded import PostgresServer

QUICK_SERVER = {"fsync": "off", "full_page_writes": "off", "max_connections": "100"}
"""The library is measured, not the disk; only the writers' measure has a server that syncs."""


@dataclass(frozen=True)
class Sizes:
    """
    How much is measured.

    :ivar rounds: how often each figure is taken; the rounds of all consumers are interleaved.
    :ivar cpu_rounds: how often what is measured in CPU time, which other processes hardly change.
    :ivar wakes: single notifications in a round.
    :ivar storm: notifications at once.
    :ivar calls: calls of functions in a round, at least one of each.
    :ivar functions: numbers of functions in a loop.
    :ivar sleepers: numbers of functions asleep.
    :ivar echoes: echoes asked for in a round.
    :ivar idle: seconds of doing nothing.
    :ivar starts: starts of a process.
    :ivar writing: seconds of writing in a round.
    :ivar settling: seconds between a process's word that it is ready and the first question.
    """

    rounds: int = 5
    cpu_rounds: int = 3
    wakes: int = 400
    storm: int = 100_000
    calls: int = 200_000
    functions: tuple[int, ...] = (1, 10, 1_000, 100_000)
    sleepers: tuple[int, ...] = (100, 10_000, 100_000)
    echoes: int = 300
    idle: float = 60.0
    starts: int = 9
    writing: float = 3.0
    settling: float = 0.5


@dataclass(frozen=True)
class Bench:
    """
    One run of the benchmarks.

    :ivar dsn: the server.
    :ivar folder: where the processes' own words go.
    """

    dsn: str
    folder: Path
    consumers: tuple[Consumer, ...]
    sizes: Sizes

    def start(self, module: str, *arguments: object) -> Process:
        """Start a module of ours; ``benchmarks.`` is put before its name."""
        log = self.folder / f"{next(_NUMBERS)}-{module}.log"
        return Process(f"benchmarks.{module}", *arguments, log=log)


_NUMBERS = count(1)

Rounds = dict[str, list[dict[str, Any]]]
"""What each round came to, by consumer."""


def interleave(bench: Bench, take: Callable[[Bench, Consumer, int], dict[str, Any]]) -> Rounds:
    """
    Take rounds: A B C, A B C, and so on, so that what else the machine does meets all alike.

    :param take: given the number of the round. A peer whose process fails is left out.
    """
    rounds: Rounds = {consumer.name: [] for consumer in bench.consumers}
    for number in range(bench.sizes.rounds):
        for consumer in bench.consumers:
            if consumer.name in rounds:
                try:
                    rounds[consumer.name].append(take(bench, consumer, number))
                except ProcessFailed as failure:
                    if consumer.name == FLOOR:
                        raise
                    sys.stderr.write(f"{consumer.name} is left out: {failure}\n")
                    del rounds[consumer.name]
    return rounds


@contextmanager
def server(settings: Mapping[str, str] = QUICK_SERVER) -> Iterator[PostgresServer]:
    """Run a private PostgreSQL on 127.0.0.1, and leave nothing of it."""
    with tempfile.TemporaryDirectory(prefix="txdoorbell-bench-", dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        private = PostgresServer(Path(place) / "data", tcp=True, settings=settings)
        private.start()
        try:
            yield private
        finally:
            private.stop("immediate")
