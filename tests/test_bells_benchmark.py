"""The benchmark of the bells can be run: its pieces at toy size."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.bells import BELLS, hearing, prepare, query
from benchmarks.bench import Bench, Sizes
from benchmarks.commits import write
from benchmarks.measures.bells import wake
from tests.walservers import logical_server

TOY = replace(Sizes(), wakes=4, writing=1, settling=0.2)


class BellsTests(SynchronousTestCase):
    """A server on which writers write, and a function is woken."""

    def setUp(self) -> None:
        """Start a server that has the tables."""
        self.server = logical_server(self, tcp=True)
        prepare(self.server)
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        self.bench = Bench(self.server.dsn, folder, (), TOY)

    def test_log(self) -> None:
        """Commits are counted and timed; what reads the log is seen to use CPU, and to be done."""
        cores = sorted(os.sched_getaffinity(0))
        with hearing(self.bench, self.server, BELLS["by_log"], cores) as heard:
            commits = write(self.bench, self.server.dsn, "insert into by_log default values", cores)
            self.assertLess(heard.wait_until_read(), 60)
        self.assertGreater(commits.rate, 0)
        self.assertLessEqual(commits.p50, commits.p99)

    def test_cpu(self) -> None:
        """Whose CPU it was is told apart."""
        with hearing(self.bench, self.server, BELLS["by_log"], os.sched_getaffinity(0)) as heard:
            query(self.server.dsn, "insert into by_log default values")
            heard.wait_until_read()
            cpu = heard.cpu
        self.assertEqual(set(cpu), {"walsender", "sessions", "doorbell"})
        self.assertGreater(cpu["walsender"], 0)

    def test_wakes(self) -> None:
        """A function is woken in each way."""
        for way in ("trigger", "log", "message"):
            taken = wake(self.bench, self.server, way, 0)
            self.assertGreater(taken["p50"], 0)
            self.assertGreater(taken["runs"], 0)
