"""The same faults on other reactors, each in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

import tests
from tests.waiting import in_time

MODULES = [f"tests.faults.test_{fault}" for fault in ("loss", "stop", "deaf", "undone")]

_LOG = "tests.faults.test_wal_faults"
OF_THE_LOG = [
    f"{_LOG}.LogStopTests",
    *(f"{_LOG}.LogLossTests.test_{fault}" for fault in ("reset", "reader_terminated")),
]
"""Some tests of the reader of the write-ahead log: a session of another kind."""


class ReactorTests(TestCase):
    """Each reactor watches descriptors in its own way, and chokes on others."""

    timeout = 150

    async def test_select_and_asyncio(self) -> None:
        """Losses, stops and deafness end as well on the select and asyncio reactors."""
        names = ["select", "asyncio"]
        runs = [self.run_on("select", MODULES), self.run_on("asyncio", [*MODULES, *OF_THE_LOG])]
        results = await in_time("the other reactors", gatherResults(runs), 120.0)
        for name, (output, _, status) in zip(names, results, strict=True):
            self.assertEqual(status, 0, f"{name}: {output.decode()}")

    def run_on(self, name: str, chosen: list[str]) -> Deferred[tuple[bytes, bytes, int]]:
        """Run tests by a trial of its own."""
        arguments = ["-m", "twisted.trial", f"--reactor={name}", f"--temp-directory={name}"]
        root = Path(tests.__file__).parent.parent
        environment = {**os.environ, "PYTHONPATH": str(root)}
        ended: Deferred[tuple[bytes, bytes, int]]
        ended = getProcessOutputAndValue(sys.executable, [*arguments, *chosen], environment)
        return ended
