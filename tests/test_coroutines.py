"""Coroutines on a doorbell, on the reactor at hand and on asyncio's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests import coroutine_cases

ROOT = Path(__file__).resolve().parent.parent


class OnThisReactorTests(coroutine_cases.CoroutineCases):
    """The cases on the reactor that these tests run on."""


class OnAsyncioTests(SynchronousTestCase):
    """The cases on the asyncio reactor, in a process of its own."""

    def test_asyncio(self) -> None:
        """Every one of them passes there, and none is skipped."""
        trial = [sys.executable, "-m", "twisted.trial", "--reactor=asyncio"]
        done = subprocess.run(
            [*trial, f"--temp-directory={self.mktemp()}", coroutine_cases.__name__],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertRegex(done.stdout, r"\nPASSED \(successes=\d+\)\n$", done.stderr)
