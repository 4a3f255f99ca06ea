"""The silent-miss alarm: work that no ring announced."""

from __future__ import annotations

from tests.bells import BellTestCase
from tests.logs import LogMixin
from txdoorbell.doorbell import Doorbell
from txdoorbell.processor import FOUND_WORK


class AlarmTests(BellTestCase, LogMixin):
    """A safety net that finds work is the symptom of deafness, of this listener or its senders."""

    def setUp(self) -> None:
        """Begin with no work, and with the log."""
        super().setUp()
        self.work = 0
        self.capture_logs()

    def process(self) -> object:
        """Do what work there is, and say whether there was some."""
        found, self.work = self.work, 0
        return FOUND_WORK if found else None

    def started(self) -> Doorbell:
        """Return a running doorbell with that function."""
        bell = self.running()
        bell.add(self.process, name="process")
        self.turn()
        return bell

    def warnings(self) -> list[str]:
        """Return the warnings about misses."""
        return [text for text in self.logged_texts() if "no ring announced" in text]

    def miss(self, times: int = 1) -> None:
        """Let work be there that nobody announces, until the safety net has found it."""
        for _ in range(times):
            self.work += 1
            self.after(60)
            self.clock.advance(0)

    def test_a_miss(self) -> None:
        """Work that the safety net finds, and nobody announced, is a warning with the name."""
        self.started()
        self.miss()
        self.after(5)
        self.assertEqual(len(self.warnings()), 1)
        self.assertIn("process", self.warnings()[0])

    def test_seldom(self) -> None:
        """The second miss is a warning, the fourth, the eighth: not each of them."""
        self.started()
        self.miss(9)
        self.after(5)
        self.assertEqual([w.split("(")[1][:1] for w in self.warnings()], ["1", "2", "4", "8"])

    def test_announced(self) -> None:
        """Work that is found after a ring is no miss."""
        self.started()
        self.work = 1
        self.rung("doorbell")
        self.after(10)
        self.assertEqual(self.warnings(), [])

    def test_on_its_way(self) -> None:
        """A ring that arrives just after the safety net has been cast was on its way."""
        self.started()
        self.miss()
        self.rung("doorbell")
        self.after(10)
        self.assertEqual(self.warnings(), [])

    def test_nothing_found(self) -> None:
        """A safety net that finds nothing is no miss."""
        self.started()
        self.after(60)
        self.after(10)
        self.assertEqual(self.warnings(), [])

    def test_known_to_be_deaf(self) -> None:
        """While the listener says itself that it doesn't hear, there is no alarm."""
        self.started()
        self.listener.deafen()
        self.turn()
        self.miss()
        self.after(10)
        self.assertEqual(self.warnings(), [])

    def test_found_after_a_reconnect(self) -> None:
        """Work that came while the session was lost is no miss."""
        self.started()
        self.listener.lose()
        self.turn()
        self.work = 1
        self.listener.regain()
        self.turn()
        self.after(10)
        self.assertEqual(self.warnings(), [])

    def test_stopped_meanwhile(self) -> None:
        """A doorbell that is stopped has no alarm, and nothing left of it."""
        bell = self.started()
        self.miss()
        self.stop(bell)
        self.assertEqual(self.warnings(), [])
