"""What the status page, the terminal and the metrics show of a loop that has a lock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.bells import BellTestCase
from tests.status_web import NO_METRICS, WebTestCase
from txdoorbell.doorbell import Doorbell
from txdoorbell.loop import Loop
from txdoorbell.status import DoorbellStatus, LockStatus
from txdoorbell.status.history import History
from txdoorbell.status.metrics import LOCK_STATES, exposition
from txdoorbell.status.page import render_live
from txdoorbell.status.text import as_text
from txdoorbell.testing import FakeListener

HELD = LockStatus("bills", "holding", 7, 940.0, "anna", 4711, 2, "taken")
ELSEWHERE = LockStatus("bills", "standby", 8, 1000.0, "berta", 12, 1, "another session holds it")
REFUSED = LockStatus("bills", "refused", reason="a pooler in <transaction> mode")


class FleetTestCase(BellTestCase):
    """Begins with a doorbell of two loops, of which the second may have a lock."""

    def setUp(self) -> None:
        """Let a while pass, so that there are times."""
        super().setUp()
        self.clock.rightNow = 1000.0
        self.history = History()
        self.bell = self.running(channels=["jobs"], interval=0)
        billing = Loop(self.clock, name="billing")
        billing.add(self.noting("send_bills"), name="send_bills")
        self.bell.add_loop(billing)
        self.turn()

    def status(self, lock: LockStatus | None) -> DoorbellStatus:
        """Return how it is with such a lock."""
        status = self.bell.status()
        first, second = status.loops
        return replace(status, loops=(first, replace(second, lock=lock)))


class PageTests(FleetTestCase):
    """The page."""

    def page(self, lock: LockStatus | None) -> str:
        """Return the page's part that changes."""
        return render_live(self.status(lock), self.history, False)

    def cells(self, lock: LockStatus) -> Mapping[str, str]:
        """Return the row of the lock, as text by column."""
        row = self.page(lock).split('data-key="lock billing"')[1].split("</tr>")[0]
        cells = re.findall(r'data-label="([^"]+)"[^>]*>(.*?)</td>', row)
        return {name: re.sub(r"<[^>]*>", " ", cell).strip() for name, cell in cells}

    def test_no_locks(self) -> None:
        """Without a lock nothing is said of fleets."""
        self.assertNotIn('id="fleet"', self.page(None))

    def test_held(self) -> None:
        """Held here: by which process, since when, the lease's number, and how many stand by."""
        cells = self.cells(HELD)
        self.assertEqual(cells["Here"], "holding")
        self.assertEqual(cells["Held by"], "this process anna, pid 4711")
        self.assertTrue(cells["Since"].startswith("1 min ago"), cells)
        self.assertEqual((cells["Lease"], cells["Standing by"]), ("7", "2"))

    def test_elsewhere(self) -> None:
        """Held elsewhere: by whom; the functions rest, and nothing is wrong with that."""
        cells = self.cells(ELSEWHERE)
        self.assertEqual((cells["Here"], cells["Held by"]), ("standby", "berta pid 12"))
        page = self.page(ELSEWHERE)
        self.assertIn("nothing<small>berta runs it</small>", page)
        self.assertIn('<span class="badge standby">standby</span></td>', page)
        self.assertNotIn("another session holds it", page)

    def test_unknown_holder(self) -> None:
        """Without a table of leases, what isn't known is left open."""
        cells = self.cells(LockStatus("bills", "standby", holder_pid=12))
        self.assertEqual(cells["Held by"], "another session pid 12")
        self.assertEqual((cells["Since"], cells["Lease"]), ("–", "–"))
        self.assertIn("the lock is standby", self.page(LockStatus("bills", "standby")))

    def test_refused(self) -> None:
        """One that can't be had says why, escaped."""
        page = self.page(REFUSED)
        self.assertIn('<tr class="error" data-key="why lock billing">', page)
        self.assertIn("a pooler in &lt;transaction&gt; mode</td>", page)

    def test_waiting(self) -> None:
        """One that waits says for what."""
        page = self.page(LockStatus("bills", "waiting", reason="it holds 3 loops already"))
        self.assertIn('class="error note"', page)
        self.assertIn("it holds 3 loops already", page)


class TextTests(FleetTestCase):
    """The terminal."""

    def text(self, lock: LockStatus | None) -> str:
        """Return what ``txdoorbell status`` prints."""
        return as_text(self.status(lock).as_dict())

    def test_no_locks(self) -> None:
        """Without a lock nothing is said of fleets."""
        self.assertNotIn("LOCKED LOOP", self.text(None))

    def test_locks(self) -> None:
        """A line for each lock."""
        self.assertRegex(
            self.text(HELD), "billing .bills.  holding  anna pid 4711  1 min ago  7 +2"
        )
        self.assertRegex(self.text(ELSEWHERE), "standby  berta pid 12  just now +8 +1\n")
        self.assertRegex(self.text(REFUSED), "refused  - +- +- +- +a pooler in <transaction> mode")

    def test_resting(self) -> None:
        """A function that rests has the lock's state."""
        self.assertRegex(self.text(ELSEWHERE), "send_bills .* standby\n")
        self.assertNotRegex(self.text(HELD), "send_bills .* holding\n")

    def test_hostile(self) -> None:
        """A host's name can't command the terminal."""
        self.assertNotIn("\x1b", self.text(replace(ELSEWHERE, holder_host="\x1b[2J")))


class MetricsTests(FleetTestCase):
    """The metrics."""

    skip = NO_METRICS

    def metrics(self, lock: LockStatus | None) -> dict[str, str]:
        """Return each sample of a lock, by its name and labels."""
        status = self.status(lock)
        self.history.look(status, True)
        lines: Any = exposition(status, self.history).decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: value for name, value in samples if "lock=" in name}

    def test_held(self) -> None:
        """Held here: 1, with the lease's number and beginning."""
        metrics = self.metrics(HELD)
        labels = '{lock="bills",loop="billing"}'
        self.assertEqual(metrics[f"txdoorbell_lock_held{labels}"], "1.0")
        self.assertEqual(metrics[f"txdoorbell_lease_number{labels}"], "7.0")
        self.assertEqual(metrics[f"txdoorbell_lease_since_timestamp_seconds{labels}"], "940.0")
        self.assertEqual(metrics[f"txdoorbell_lock_standbys{labels}"], "2.0")

    def test_elsewhere(self) -> None:
        """Held elsewhere: 0, and one of the states is 1."""
        metrics = self.metrics(ELSEWHERE)
        self.assertEqual(metrics['txdoorbell_lock_held{lock="bills",loop="billing"}'], "0.0")
        states = [name for name in metrics if "lock_state" in name and metrics[name] == "1.0"]
        self.assertEqual(len(states), 1)
        self.assertIn('state="standby"', states[0])
        self.assertEqual(sum("lock_state" in name for name in metrics), len(LOCK_STATES))

    def test_unknown(self) -> None:
        """What isn't known has no sample; without a lock there is none at all."""
        self.assertFalse([name for name in self.metrics(REFUSED) if "lease" in name])
        self.assertEqual(self.metrics(None), {})

    def test_takeovers(self) -> None:
        """Each lease that begins here is counted once, also when nobody saw the end of the last."""
        counted = []
        again = replace(HELD, number=9, since=990.0)
        for lock in (ELSEWHERE, HELD, HELD, ELSEWHERE, HELD, again):
            metrics = self.metrics(lock)
            counted.append(metrics['txdoorbell_lock_takeovers_total{lock="bills",loop="billing"}'])
        self.assertEqual(counted, ["0.0", "1.0", "1.0", "1.0", "2.0", "3.0"])


class ReadyTests(WebTestCase):
    """Whether a process that does not hold its lock is ready."""

    def locked(self) -> None:
        """Give the doorbell a loop with a lock; at the end that is given back."""
        self.addCleanup(self.give_back, self.bell)
        self.bell.add_loop(Loop(self.clock, name="billing"), lock="bills")
        self.clock.pump([0.1] * 40)

    def give_back(self, bell: Doorbell) -> None:
        """Stop a doorbell, and let the server answer."""
        stopped = bell.stopService()
        self.turn()
        self.successResultOf(stopped)

    def test_holding(self) -> None:
        """Who runs the loop is ready."""
        self.locked()
        self.assertIn("badge holding", self.ask("/").body)
        self.assertEqual(self.ask("/readyz").status, 200)

    def test_standby(self) -> None:
        """Who stands by is ready: it could run the loop."""
        rival = FakeListener(self.clock, host="berta", locks=self.listener.locks)
        other = Doorbell(self.clock, listener=rival, lock="bills")
        other.startService()
        self.addCleanup(self.give_back, other)
        self.clock.pump([0.1] * 40)
        self.locked()
        self.assertIn("berta", self.ask("/").body)
        self.assertEqual(self.ask("/readyz").status, 200)

    def test_refused(self) -> None:
        """Who can't hold the lock is not, and says why."""
        self.listener.refuse_locks("a pooler in transaction mode")
        self.listener.lose()
        self.listener.regain()
        self.locked()
        answer = self.ask("/readyz")
        self.assertEqual(answer.status, 503)
        self.assertIn("lock 'bills' is refused: a pooler in transaction mode", answer.body)
        self.assertIn('class="error"', self.ask("/").body)
