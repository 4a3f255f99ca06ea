"""What the log says of a listener: each change once, and nothing of each attempt."""

from __future__ import annotations

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from tests.logs import LogMixin
from txdoorbell.listening.logbook import Logbook
from txdoorbell.notification import State


class LogbookTests(LogMixin, SynchronousTestCase):
    """One listener's lines."""

    def setUp(self) -> None:
        """Begin with a listener that has been started."""
        self.capture_logs()
        self.logbook = Logbook("bell", lambda: "db:5432/app as joe")

    def lines(self, *states: tuple[State, str]) -> list[str]:
        """Note states, and return what is written."""
        for state, reason in states:
            self.logbook.note(state, reason, ["jobs"])
        return self.logged_texts(LogLevel.info)

    def test_change(self) -> None:
        """A change is one line: who, where, which channels, what and why."""
        self.assertEqual(
            self.lines((State.LISTENING, "LISTEN committed")),
            ["bell (db:5432/app as joe, channels 'jobs') is listening: LISTEN committed"],
        )

    def test_attempts(self) -> None:
        """Attempts that fail alike are one line together."""
        outage = [(State.WAITING, "refused"), (State.CONNECTING, "trying again")] * 5
        self.assertEqual(len(self.lines((State.CONNECTING, "started"), *outage)), 2)

    def test_other_cause(self) -> None:
        """Another cause is another line."""
        self.assertEqual(len(self.lines((State.WAITING, "refused"), (State.WAITING, "mute"))), 2)

    def test_taking_turns(self) -> None:
        """With two servers to try, their troubles take turns: each is written once."""
        turns = [(State.WAITING, "a refused, b mute"), (State.WAITING, "b mute, a refused")] * 5
        self.assertEqual(len(self.lines(*turns)), 2)

    def test_next_outage(self) -> None:
        """In the next outage the same cause is news again."""
        outage = [(State.WAITING, "refused"), (State.LISTENING, "LISTEN committed")]
        self.assertEqual(len(self.lines(*outage * 3)), 6)

    def test_nothing_new(self) -> None:
        """The same state for the same reason is nothing new."""
        self.assertEqual(len(self.lines(*[(State.LISTENING, "LISTEN committed")] * 3)), 1)
        self.assertEqual(len(self.lines((State.STOPPED, "stopped"))), 2)

    def test_many_channels(self) -> None:
        """Of many channels the first ten are named."""
        self.logbook.note(State.LISTENING, "well", [f"c{n}" for n in range(12)])
        [line] = self.logged_texts(LogLevel.info)
        self.assertIn("'c7' and 2 more)", line)

    def test_no_channels(self) -> None:
        """No channel at all is said so."""
        self.logbook.note(State.LISTENING, "well", [])
        self.assertIn("channels none", self.logged_texts(LogLevel.info)[0])
