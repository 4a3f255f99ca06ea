"""Without a PostgreSQL driver: txdoorbell can be imported, and says what is missing when needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import tests
from txdoorbell.listening.driver import DriverMissing

PROGRAM = """
import sys
sys.modules[{missing!r}] = None
import txdoorbell.doorbell, txdoorbell.listening.dsn, txdoorbell.listener
from txdoorbell.listener import DriverMissing, Listener, check_dsn
from twisted.internet.task import Clock
for attempt in (lambda: check_dsn(""), lambda: Listener(Clock())):
    try:
        attempt()
    except DriverMissing as error:
        print(error)
"""


class DriverTests(SynchronousTestCase):
    """Processes that lack something."""

    def test_missing(self) -> None:
        """What is missing is said in one line, with what to install, and only when it is needed."""
        for missing in ("psycopg2", "txpostgres"):
            root = Path(tests.__file__).parent.parent
            command = [sys.executable, "-c", PROGRAM.format(missing=missing)]
            run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
            first, second = run.stdout.splitlines()
            self.assertEqual(first, second)
            self.assertIn(missing, first)
            self.assertIn("pip install 'txdoorbell[binary]'", first)

    def test_broken(self) -> None:
        """A driver whose own library is missing says that, in one line too."""
        error = DriverMissing.because(ImportError("libpq.so.5: cannot open\nshared object file"))
        self.assertIn("libpq.so.5: cannot open shared object file", str(error))
        self.assertEqual(len(str(error).splitlines()), 1)
