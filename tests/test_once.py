"""``txdoorbell once``: everything once, without listening."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loops import Held, Scripted
from txdoorbell import WORK_REMAINING
from txdoorbell.commands.once import run_once

ROOT = Path(__file__).resolve().parent.parent

MODULE = """
from txdoorbell import WORK_REMAINING

def good():
    print("good")
    return 4102444800.0

def bad():
    raise KeyError("no stock")

class Handler:
    notification_channel = "jobs"
    def interested_in_notification(self, payload): return True
    def take_notification_hint(self, payload): pass
    def run(self, budget): print("handled", budget.over_budget())
    def stop(self): pass

handler = Handler()
"""


class RunOnceTests(SynchronousTestCase):
    """What is run, and what is counted."""

    def setUp(self) -> None:
        """Make a clock."""
        self.clock = Clock()
        self.clock.advance(1_000_000)

    def run_once(self, *processors: object) -> Deferred[int]:
        """Run functions once; what they need not wait for is done on return."""
        running = Deferred.fromCoroutine(run_once(self.clock, processors))
        self.clock.advance(0)
        return running

    def test_each_once(self) -> None:
        """Each function runs once, in order; a time to be woken at is not waited for."""
        first, second = Scripted(self.clock), Scripted(self.clock, self.clock.seconds() + 60)
        self.assertEqual(self.successResultOf(self.run_once(first, second)), 0)
        self.assertEqual((first.calls, second.calls), (1, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_work_remaining(self) -> None:
        """Work that remains is done."""
        function = Scripted(self.clock, WORK_REMAINING, WORK_REMAINING, None)
        self.assertEqual(self.successResultOf(self.run_once(function)), 0)
        self.assertEqual(function.calls, 3)

    def test_waits(self) -> None:
        """It ends when the last function has finished."""
        held = Held()
        running = self.run_once(held)
        self.assertNoResult(running)
        held.fire()
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(running), 0)

    def test_errors(self) -> None:
        """Functions that fail are counted, and the others run; nobody is tried again."""
        bad, worse = Scripted(self.clock, KeyError(1)), Scripted(self.clock, True)
        good = Scripted(self.clock)
        self.assertEqual(self.successResultOf(self.run_once(bad, worse, good)), 2)
        self.assertEqual((bad.calls, good.calls), (1, 1))
        self.assertEqual(len(self.flushLoggedErrors(KeyError, TypeError)), 2)

    def test_nothing_to_run(self) -> None:
        """With nothing to run it ends at once."""
        running = self.run_once()
        self.assertEqual(self.successResultOf(running), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class CommandTests(SynchronousTestCase):
    """The command line."""

    def once(self, *names: str) -> subprocess.CompletedProcess[str]:
        """Run the command in a directory that has the module ``jobs``."""
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "jobs.py").write_text(MODULE)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, "-m", "txdoorbell", "once", *names],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def test_good(self) -> None:
        """Exit status 0 when all went well; functions and handlers alike."""
        done = self.once("jobs:good", "jobs:handler")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "good\nhandled False\n")

    def test_bad(self) -> None:
        """Exit status 1 when one failed: its traceback, and a line that counts them."""
        done = self.once("jobs:bad", "jobs:good")
        self.assertEqual((done.returncode, done.stdout), (1, "good\n"))
        self.assertIn("builtins.KeyError: 'no stock'", done.stderr)
        self.assertTrue(done.stderr.endswith("\ntxdoorbell once: 1 failed; see above\n"))

    def test_unknown(self) -> None:
        """Exit status 2 for a name that leads nowhere, and one line that names it."""
        done = self.once("jobs:goood")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"^txdoorbell once: .*jobs:goood.*did you mean good\?.*\n$")
