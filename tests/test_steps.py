"""A wall clock that is stepped while a doorbell runs."""

from __future__ import annotations

import json
import os
import sys
from itertools import pairwise
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

HOUR = 3600.0
ROOT = str(Path(__file__).parents[1])


async def calls_of(what: str, step: float) -> list[float]:
    """Run the program, and return when its function was called, in seconds from the start."""
    out, err, status = await getProcessOutputAndValue(
        sys.executable,
        ["-m", "tests.stepped_program", what, str(step)],
        env={**os.environ, "PYTHONPATH": ROOT},
        path=ROOT,
    )
    if status:
        raise AssertionError(f"the program ended with {status}: {err.decode()}")
    return [float(seconds) for seconds in json.loads(out)]


class StepTests(TestCase):
    """A real reactor, in a process that believes in the wall clock it is shown."""

    timeout = 60

    async def test_steps(self) -> None:
        """An hour back or forward: intervals keep their length, and a sleeper is woken in time."""
        kinds = [("net", -HOUR), ("net", HOUR), ("sleeper", HOUR), ("sleeper", -HOUR)]
        programs = [Deferred.fromCoroutine(calls_of(*kind)) for kind in kinds]
        net_back, net_forward, woken, asleep = await gatherResults(programs)
        self.assert_each_second(net_back)
        self.assert_each_second(net_forward)
        self.assertEqual([seconds for seconds in asleep if seconds > 0.9], [])
        (again,) = [seconds for seconds in woken if seconds > 0.9]
        self.assertGreaterEqual(again, 2.0)
        self.assertLess(again, 4.0)

    def assert_each_second(self, calls: list[float]) -> None:
        """Assert that a function was called about each second, after the two calls of the start."""
        gaps = [later - earlier for earlier, later in pairwise(calls[1:])]
        self.assertGreaterEqual(len(gaps), 3, calls)
        self.assertLess(max(gaps), 1.9, calls)
        self.assertGreater(min(gaps), 0.3, calls)
