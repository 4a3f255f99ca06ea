"""The watch on PostgreSQL's notification queue: when it warns, and whom it names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from tests.logs import LogMixin
from txdoorbell.listening.queuewatch import SUSPECTS, QueueWatch, Suspect, named_pid, warning

REPORT = Suspect(4711, "report", "joe", "app", False, 734.2)
MUTE = Suspect(42, "old worker", "app", "app", True, None)
HIDDEN = Suspect(99, "somebody's", "joe", "app", None, None)
NOTICE = (
    "WARNING:  NOTIFY queue is 51% full\n"
    "DETAIL:  The server process with PID 4711 is among those with the oldest transactions.\n"
)


class WordsTests(SynchronousTestCase):
    """What a warning says."""

    def test_one(self) -> None:
        """It says how full the queue is, what that means, and who it is, since when."""
        self.assertEqual(
            warning(0.314, [REPORT]),
            "the notification queue of PostgreSQL is 31% full; once it is full, every COMMIT that"
            " notifies fails. It is held back by a session that listens; of those shown to this"
            " role, most likely by pid 4711 (application_name 'report', user joe, database app),"
            " whose transaction has been open for 734 s",
        )

    def test_several(self) -> None:
        """Several may be to blame; one that doesn't read what it is sent is described as such."""
        text = warning(1.0, [MUTE, REPORT])
        self.assertIn("is 100% full", text)
        self.assertIn("pid 42 (application_name 'old worker', user app, database app)", text)
        self.assertIn("whose client does not read what it is sent; or by pid 4711", text)

    def test_none(self) -> None:
        """A role that is shown nobody is told which role is."""
        self.assertIn("pg_read_all_stats", warning(0.3, []))

    def test_unknown(self) -> None:
        """When the server didn't answer, the warning is given all the same."""
        self.assertIn("could not be found out", warning(0.3, None))

    def test_named(self) -> None:
        """Whom the server itself has named is named alone, with what is shown of him."""
        text = warning(0.6, [HIDDEN, REPORT], 99)
        self.assertTrue(
            text.endswith(
                'held back by pid 99 (application_name "somebody\'s", user joe, database app)'
            )
        )
        self.assertTrue(warning(0.6, None, 99).endswith("It is held back by pid 99"))

    def test_named_by_the_server(self) -> None:
        """The server's own warning is found among its other remarks, in other languages too."""
        self.assertEqual(named_pid(["NOTICE:  hello", NOTICE]), 4711)
        german = (
            "WARNUNG:  NOTIFY-Schlange ist 51% voll\n"
            "DETAIL:  Der Serverprozess mit PID 12 gehört zu denen mit den ältesten Transaktionen."
        )
        self.assertEqual(named_pid([german]), 12)
        self.assertEqual(named_pid([]), None)
        self.assertEqual(named_pid(["WARNING:  PID 4 is not a PostgreSQL server process"]), None)

    def test_hostile_name(self) -> None:
        """A name that an application has given itself makes no further line in the log."""
        text = warning(0.3, [REPORT._replace(application_name="a\nFATAL: b")])
        self.assertNotIn("\n", text)


class FakeSession:
    """A session that answers when the test says so."""

    def __init__(self, *notices: str) -> None:
        self.notices = notices
        self.asked: list[tuple[str, object, float]] = []
        self.answer: Deferred[list[tuple[Any, ...]]] = Deferred()
        self.closed = 0

    def query(
        self, sql: str, values: Sequence[object] | None = None, *, within: float
    ) -> Deferred[list[tuple[Any, ...]]]:
        """Remember the question."""
        self.asked.append((sql, values, within))
        return self.answer

    def close(self) -> None:
        """End; a question that is open fails, as with the real one."""
        self.closed += 1
        if self.asked and not self.answer.called:
            self.answer.errback(ConnectionError("closed"))


class WatchTests(LogMixin, SynchronousTestCase):
    """When somebody is asked, and when something is said."""

    def setUp(self) -> None:
        """Begin to watch."""
        self.capture_logs()
        self.watch = QueueWatch(5.0)

    def look(self, usage: float, *rows: tuple[Any, ...]) -> FakeSession:
        """Look once, and get these rows for an answer."""
        session = FakeSession()
        self.watch.look(usage, session)
        if session.asked:
            session.answer.callback(list(rows))
        self.assertGreater(session.closed, 0)
        return session

    def test_not_full(self) -> None:
        """Up to a quarter nobody is asked, and nothing is said."""
        for usage in (0.0, 0.25):
            self.assertEqual(self.look(usage).asked, [])
        self.assertEqual(self.logged_texts(), [])

    def test_filling(self) -> None:
        """Above that, the suspects are asked for, and named in a warning."""
        session = self.look(0.26, REPORT)
        self.assertEqual(session.asked, [(SUSPECTS, [0, 0], 5.0)])
        [text] = self.logged_texts()
        self.assertIn("26% full", text)
        self.assertIn("pid 4711", text)

    def test_named(self) -> None:
        """Whom the server's own warning names is asked for by his number."""
        session = FakeSession(NOTICE)
        self.watch.look(0.51, session)
        session.answer.callback([HIDDEN._replace(pid=4711)])
        self.assertEqual(session.asked, [(SUSPECTS, [4711, 4711], 5.0)])
        self.assertIn("It is held back by pid 4711", self.logged_texts()[0])

    def test_once(self) -> None:
        """While it stays like that there is one warning, whoever is suspected each time."""
        self.look(0.26, REPORT)
        for usage in (0.28, 0.51, 0.2, 0.3):
            self.assertEqual(self.look(usage).asked, [])
        self.assertEqual(len(self.logged_texts()), 1)

    def test_ever_fuller(self) -> None:
        """Twice as full is news, and so is nearly full; what follows is only a matter of time."""
        filling = (0.26, 0.4, 0.53, 0.8, 0.89, 0.91, 1.0, 1.0)
        warned = [usage for usage in filling if self.look(usage, REPORT).asked]
        self.assertEqual(warned, [0.26, 0.53, 0.91])
        self.assertEqual(len(self.logged_texts()), 3)

    def test_recovered(self) -> None:
        """That it has recovered is said once; when it fills up again, that is news."""
        self.look(0.9, REPORT)
        for usage in (0.2, 0.12, 0.01):
            self.look(usage)
        self.assertEqual(len(self.logged_texts()), 1)
        self.assertEqual(len(self.logged_texts(LogLevel.info)), 2)
        self.look(0.9, REPORT)
        self.assertEqual(len(self.logged_texts()), 2)

    def test_refused(self) -> None:
        """A server that doesn't answer is no reason not to warn."""
        session = FakeSession()
        self.watch.look(0.5, session)
        session.answer.errback(ConnectionError("no answer to a query within 5 s"))
        self.assertIn("could not be found out", self.logged_texts()[0])
        self.assertEqual(session.closed, 1)

    def test_stopped(self) -> None:
        """A watch that is stopped closes its session and says nothing."""
        session = FakeSession()
        self.watch.look(0.5, session)
        self.watch.stop()
        self.watch.stop()
        self.assertEqual(session.closed, 1)
        self.assertEqual(self.logged_texts(), [])

    def test_overtaken(self) -> None:
        """A second look ends the first one."""
        first = FakeSession()
        self.watch.look(0.5, first)
        self.look(0.6, REPORT)
        self.assertEqual(first.closed, 1)
        [text] = self.logged_texts()
        self.assertIn("60% full", text)
