"""The benchmarks can be run: each piece at toy size, without the libraries that they compare."""

import math
import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import report
from benchmarks.bench import Bench, Sizes
from benchmarks.consumers import ALL, chosen
from benchmarks.figures import median, percentile, written
from benchmarks.measures import MEASURES, fairness, loop, storm, wake
from benchmarks.outcome import Outcome, Table, Target
from benchmarks.processes import Process, ProcessFailed
from tests.servers import shared_server

TOY = Sizes(
    rounds=1, wakes=5, storm=200, calls=20, functions=(2,), sleepers=(3,), echoes=5, settling=0.1
)


class MeasureTests(SynchronousTestCase):
    """Measures, taken with the floor and ways of ours."""

    def bench(self, *consumers: str) -> Bench:
        """Return a run at toy size."""
        folder = Path(self.mktemp())
        folder.mkdir()
        return Bench(shared_server().dsn, folder, tuple(chosen([*consumers])), TOY)

    def test_wake(self) -> None:
        """A processor is woken by each notification, and is compared with the bare loop."""
        outcome = wake.measure(self.bench("processor"))
        (taken,) = outcome.raw["rounds"]["processor"]
        self.assertEqual(len(taken["waits"]), TOY.wakes)
        self.assertGreater(min(taken["waits"]), 0)
        titles = [row[0] for row in outcome.tables[0].rows[1:]]
        self.assertEqual(titles, [ALL["psycopg2"].title, ALL["processor"].title])
        self.assertEqual(len(outcome.targets), 2)

    def test_storm(self) -> None:
        """A subscriber hears each notification of a storm; a processor is run after the last."""
        rounds = storm.measure(self.bench("subscriber", "processor")).raw["rounds"]
        self.assertEqual([taken["lost"] for (taken,) in rounds.values()], [0, 0, 0])
        self.assertGreater(rounds["processor"][0]["run_after"], 0)

    def test_fairness(self) -> None:
        """A busy reactor answers each question."""
        self.assertEqual(len(fairness.take(self.bench(), "all")), TOY.echoes)

    def test_loop(self) -> None:
        """Each way of measuring a loop comes to a figure."""
        kinds = [("empty", 2), ("wakeups-clock", 3)]
        for figures in loop.take(self.bench(), kinds, 20).values():
            self.assertGreater(min(figures), 0)


class ReportTests(SynchronousTestCase):
    """What is written of a run."""

    def test_files(self) -> None:
        """Tables are written for the documentation and as Markdown, figures as JSON."""
        folder = Path(self.mktemp())
        table = Table("``x``", [["a", "b"], ["1", "2"]], "A note.")
        outcome = Outcome("wake", [table], [Target("p50", 1.0, 2.0)], {"waits": [1.23456789]})
        report.write(folder, [outcome], {"taken": "now"})
        self.assertIn(".. list-table:: ``x``", (folder / "wake.rst").read_text())
        self.assertIn("| 1 | 2 |", (folder / "results.md").read_text())
        self.assertIn("at most 2.00", (folder / "targets.rst").read_text())
        self.assertIn('"waits":[1.23457]', (folder / "wake.json").read_text())
        self.assertIn("p50", report.summary([outcome]))

    def test_parts(self) -> None:
        """What is taken again replaces what was; the rest stays, and is said to be older."""
        folder = Path(self.mktemp())
        taken = (("wake", "p50", "1"), ("storm", "rate", "1"), ("wake", "p99", "2"))
        for name, what, when in taken:
            table = Table(name, [["a"], [what]])
            outcome = Outcome(name, [table], [Target(what, 1.0, 2.0)])
            report.write(folder, [outcome], {"taken": when})
        targets = (folder / "targets.rst").read_text()
        self.assertNotIn("p50", targets)
        self.assertLess(targets.index("p99"), targets.index("rate"))
        self.assertIn("storm (1)", (folder / "machine.rst").read_text())
        self.assertIn("| rate |", (folder / "results.md").read_text())

    def test_targets(self) -> None:
        """A target says on which side of its limit the figure is."""
        self.assertEqual(Target("x", 3.0, 2.0).row()[-1], "**missed**")
        self.assertEqual(Target("x", 3.0, 2.0, at_least=True).row()[-1], "met")

    def test_figures(self) -> None:
        """Figures have three significant digits; a share is that of the nearest rank."""
        self.assertEqual(list(map(written, (0.01234, 1234.5, 99.96, math.nan))),
                         ["0.0123", "1,230", "100", "-"])  # fmt: skip
        self.assertEqual(percentile([3, 1, 2, 4], 0.5), 2)
        self.assertTrue(math.isnan(median([])))

    def test_waits_of_runs(self) -> None:
        """A ring was served by the first run that began after it."""
        self.assertEqual(wake.waits_of_runs([10, 20, 30, 60], [12, 35, 50]), [2, 15, 5])


class CommandTests(SynchronousTestCase):
    """What the command line accepts, and how processes fail."""

    def test_every_measure_is_there(self) -> None:
        """Each measure can be imported, and so be named on the command line."""
        for name in MEASURES:
            self.assertTrue(callable(import_module(f"benchmarks.measures.{name}").measure))

    def test_unknown_consumer(self) -> None:
        """A consumer that isn't there is named, with those that are."""
        with self.assertRaisesRegex(ValueError, "no consumer 'postbox'; there are psycopg2"):
            chosen(["postbox"])

    def test_failed_process(self) -> None:
        """The last words of a process that ends early are in the error."""
        log = Path(tempfile.mkdtemp(dir=".")) / "log"
        process = Process("benchmarks.loops", "none", 1, 1, log=log)
        self.addCleanup(process.end)
        with self.assertRaisesRegex(ProcessFailed, "has ended: .*KeyError: 'none'"):
            process.hear("figures", within=10)

    def test_sizes(self) -> None:
        """What is measured is bounded: rounds can be set, all else has its default."""
        self.assertEqual(replace(Sizes(), rounds=1).storm, Sizes().storm)
