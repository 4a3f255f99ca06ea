"""``txdoorbell once``: everything once, without listening."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loops import Held, Scripted
from txdoorbell import WORK_REMAINING
from txdoorbell.commands.once import Progress, run_once

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

    def test_told(self) -> None:
        """Who asks for it is told each call before it is made, with the name of its function."""
        told: list[tuple[str, int]] = []
        function = Scripted(self.clock, WORK_REMAINING, None, name="refill")
        running = Deferred.fromCoroutine(
            run_once(self.clock, [function], lambda name: told.append((name, function.calls)))
        )
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(running), 0)
        self.assertEqual(told, [("refill", 0), ("refill", 1)])

    def test_nothing_to_run(self) -> None:
        """With nothing to run it ends at once."""
        running = self.run_once()
        self.assertEqual(self.successResultOf(running), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ProgressTests(SynchronousTestCase):
    """What a person at a terminal sees meanwhile."""

    def setUp(self) -> None:
        """Show it on a file that stands for a terminal."""
        self.clock, self.file = Clock(), io.StringIO()
        self.progress = Progress(self.clock.seconds, self.file)

    def test_lines(self) -> None:
        """Each function that begins is a line; so is the end, with how long it all took."""
        self.progress.called("refill")
        self.clock.advance(90)
        self.progress.called("re\x1bport")
        self.clock.advance(30)
        self.progress.ended()
        self.assertEqual(
            self.file.getvalue(),
            "txdoorbell once: refill\ntxdoorbell once: re\\x1bport\n"
            "txdoorbell once: done, in 2 min\n",
        )

    def test_much_remaining(self) -> None:
        """A function that is called again and again fills no screen: a line a second will do."""
        for _ in range(1000):
            self.progress.called("refill")
            self.clock.advance(1 / 256)
        lines = self.file.getvalue().splitlines()
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[1], "txdoorbell once: refill, call 257")


class OnceTestCase(SynchronousTestCase):
    """Runs the command in a directory that has the module ``jobs``."""

    def setUp(self) -> None:
        """Make the directory."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        (self.directory / "jobs.py").write_text(MODULE)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def once(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        return subprocess.run(
            [sys.executable, "-m", "txdoorbell", "once", *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


class CommandTests(OnceTestCase):
    """The command line."""

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

    def test_terminal(self) -> None:
        """On a terminal, and only there, each function that begins is named."""
        ours, theirs = pty.openpty()
        done = subprocess.run(
            [sys.executable, "-m", "txdoorbell", "once", "jobs:good", "jobs:handler"],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            timeout=30,
            check=False,
        )
        os.close(theirs)
        shown = os.read(ours, 65536).decode().splitlines()
        os.close(ours)
        self.assertEqual((done.returncode, done.stdout), (0, "good\nhandled False\n"))
        self.assertEqual(
            shown[:2], ["txdoorbell once: good", "txdoorbell once: Handler on jobs"], shown
        )
        self.assertRegex(shown[2], "^txdoorbell once: done, in ")


class ConfiguredTests(OnceTestCase):
    """What a configuration file names, all of it."""

    def configured(self, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command with a file."""
        (self.directory / "doorbell.toml").write_text(text)
        return self.once("--config", "doorbell.toml", *arguments)

    def test_everything(self) -> None:
        """Each function of each loop runs, whatever rings it; no database is asked."""
        done = self.configured(
            """
            [database]
            dsn = "host=nowhere.invalid"
            [[loop]]
            name = "first"
            [[loop]]
            name = "second"
            timeout = 60
            [[function]]
            call = "jobs:bad"
            name = "restock"
            loop = "second"
            retry = true
            [[function]]
            call = "jobs:good"
            channels = ["mail"]
            [[function]]
            call = "jobs:handler"
            """
        )
        self.assertEqual((done.returncode, done.stdout), (1, "good\nhandled False\n"))
        self.assertIn("second: restock failed; it waits for the next ring", done.stderr)
        self.assertTrue(done.stderr.endswith("\ntxdoorbell once: 1 failed; see above\n"))

    def test_mistakes(self) -> None:
        """A file that can't be used ends it with 1; each mistake is a line, and nothing runs."""
        done = self.configured('intervall = 3\n[[function]]\ncall = "jobs:goood"\n')
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(
            done.stderr.splitlines(),
            [
                "txdoorbell once: doorbell.toml, line 1: intervall: there is no such key; did you "
                "mean interval?",
                "txdoorbell once: doorbell.toml, line 3: function[0].call: jobs:goood: module "
                "jobs has no goood; did you mean good?",
            ],
        )

    def test_one_or_the_other(self) -> None:
        """Functions are named, or those of a file are run; neither and both are wrong usage."""
        for done in (self.once(), self.configured("", "jobs:good")):
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertRegex(done.stderr, "^txdoorbell once: .*MODULE:NAME.*--config.*--help\n$")
