"""What the status page, the terminal and the metrics show of the second bell."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.bells import BellTestCase
from tests.status_web import NO_METRICS
from txdoorbell.status import DoorbellStatus, WalStatus
from txdoorbell.status.figures import size
from txdoorbell.status.history import History
from txdoorbell.status.metrics import exposition
from txdoorbell.status.page import render_live
from txdoorbell.status.text import as_text

TABLES = "jobs", "shop.mail"
RUNG = {"public.jobs": 7, "shop.<mail>": 1}
READS = WalStatus("listening", "reads", 940.0, "db:5432/app", TABLES, 0.003, 2**20, RUNG)
REFUSED = WalStatus("waiting", "wal_level is <replica>", 940.0, "db:5432/app", (), None, None)


class WalTests(BellTestCase):
    """A doorbell with tables, and one without."""

    def setUp(self) -> None:
        """Begin with a doorbell that has been running for a while."""
        super().setUp()
        self.clock.rightNow = 1000.0
        self.bell = self.running()

    def status(self, wal: WalStatus | None) -> DoorbellStatus:
        """Return its status with such a second bell."""
        return replace(self.bell.status(), wal=wal)

    def page(self, wal: WalStatus | None) -> str:
        """Return the page's part that changes."""
        return render_live(self.status(wal), History(), False)

    def test_none(self) -> None:
        """Without tables nothing is said of it."""
        status = self.status(None)
        self.assertNotIn("ahead", render_live(status, History(), False) + as_text(status.as_dict()))

    def test_page(self) -> None:
        """The page has its state, its tables, and what the server keeps for it."""
        page = self.page(READS)
        for text in ("badge reading", "1 min ago", "jobs, shop.mail", "3 ms", "1.0 MB"):
            self.assertIn(text, page)
        self.assertIn("public.jobs 7, shop.&lt;mail&gt; 1", page)
        self.assertNotIn('class="sick"', page)

    def test_page_refused(self) -> None:
        """One that can't read says why, escaped."""
        page = self.page(REFUSED)
        for text in (
            "badge not-connected",
            "wal_level is &lt;replica&gt;",
            "none",
            "not yet",
            "none yet",
        ):
            self.assertIn(text, page)

    def test_unknown(self) -> None:
        """What isn't known is left open."""
        wal = replace(READS, since=None, retained_bytes=None)
        self.assertIn("<dd><span>–<small>", self.page(wal))
        self.assertIn("write-ahead log: listening at db:5432/app\n", self.text(wal))

    def text(self, wal: WalStatus) -> str:
        """Return what ``txdoorbell status`` prints."""
        return as_text(self.status(wal).as_dict())

    def test_many_tables(self) -> None:
        """Of many tables the first ones are named."""
        tables = tuple(f"table_{number}" for number in range(9))
        self.assertIn("table_5 and 3 more", self.page(replace(READS, tables=tables)))

    def test_text(self) -> None:
        """So has the terminal."""
        text = self.text(READS)
        self.assertIn("write-ahead log: listening since", text)
        self.assertIn("  last probe heard in 3 ms; kept for us by the server: 1.0 MB\n", text)
        self.assertIn("  tables: jobs, shop.mail\n", text)
        self.assertIn("  changes heard: public.jobs 7, shop.<mail> 1\n", text)
        self.assertIn("  wal_level is <replica>\n", self.text(REFUSED))

    def test_metrics(self) -> None:
        """So have the metrics; what isn't known has no sample."""
        lines = exposition(self.status(READS), History()).decode().splitlines()
        self.assertIn('txdoorbell_wal_state{state="listening"} 1.0', lines)
        self.assertIn("txdoorbell_wal_retained_bytes 1.048576e+06", lines)
        self.assertIn("txdoorbell_wal_tables 2.0", lines)
        self.assertIn('txdoorbell_wal_rings_total{table="public.jobs"} 7.0', lines)
        lines = exposition(self.status(REFUSED), History()).decode().splitlines()
        self.assertIn('txdoorbell_wal_state{state="waiting"} 1.0', lines)
        self.assertFalse([line for line in lines if line.startswith("txdoorbell_wal_retained")])

    test_metrics.skip = NO_METRICS  # type: ignore[attr-defined]


class SizeTests(SynchronousTestCase):
    """Sizes in words."""

    def test_size(self) -> None:
        """A size has up to three figures, and a unit."""
        pairs = {0: "0 B", 999: "999 B", 1000: "1.0 kB", 99_940: "99.9 kB", 99_960: "100 kB"}
        pairs |= {999_600: "1.0 MB", 12_345_678: "12.3 MB", 10**12: "1.0 TB", 10**15: "1000 TB"}
        for amount, shown in pairs.items():
            self.assertEqual(size(amount), shown)
        self.assertEqual(size(None), "not known yet")
