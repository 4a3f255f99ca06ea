"""The metrics: what Prometheus reads, and that the documentation lists it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import txdoorbell
from tests.status_web import NO_METRICS, WebTestCase
from txdoorbell.status.metrics import METRICS

PAGE = Path(txdoorbell.__file__).resolve().parent.parent / "docs" / "status.rst"


class MetricsTests(WebTestCase):
    """What ``/metrics`` says."""

    skip = NO_METRICS

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Return each sample by its name and its labels' values."""
        from prometheus_client.parser import text_string_to_metric_families

        families = text_string_to_metric_families(self.ask("/metrics").body)
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    def test_function(self) -> None:
        """A function's calls, errors and last success are counted."""
        outcomes = iter([None, ValueError("no"), None])

        def process() -> None:
            outcome = next(outcomes)
            if outcome is not None:
                raise outcome

        self.clock.advance(100)
        self.bell.add(process, name="process")
        self.turn()
        self.rung("jobs")
        metrics = self.metrics()
        self.flushLoggedErrors(ValueError)
        labels = ("process", "loop")
        self.assertEqual(metrics["txdoorbell_calls_total", *labels], 2)
        self.assertEqual(metrics["txdoorbell_errors_total", *labels], 1)
        self.assertEqual(metrics["txdoorbell_failures_in_a_row", *labels], 1)
        self.assertEqual(metrics["txdoorbell_last_success_timestamp_seconds", *labels], 100)
        self.assertEqual(metrics["txdoorbell_wakeup_timestamp_seconds", *labels], 105)
        self.assertEqual(metrics["txdoorbell_rings_total", "jobs"], 1)
        self.assertEqual(metrics["txdoorbell_runs_total", "ring", "loop"], 1)

    def test_durations(self) -> None:
        """Durations of calls, and the wait of rings for them, are histograms."""
        active = self.unfired(self.bell)
        before = self.metrics()
        self.assertEqual(before["txdoorbell_active", "active", "loop"], 1)
        self.listener.deliver("jobs")
        self.clock.advance(2)
        active.callback(None)
        self.turn()
        metrics = self.metrics()

        def run(bound: str) -> float:
            return metrics["txdoorbell_run_duration_seconds_bucket", "active", bound, "loop"]

        self.assertEqual([run("0.001"), run("0.5"), run("2.5"), run("+Inf")], [1, 1, 2, 2])
        self.assertEqual(metrics["txdoorbell_run_duration_seconds_sum", "active", "loop"], 2)
        name = "txdoorbell_ring_to_run_seconds"
        for what, more in (("count", 1), ("sum", 2)):
            key = (f"{name}_{what}", "loop")
            self.assertEqual(metrics[key] - before[key], more)

    def test_deaf(self) -> None:
        """The time in which nothing was heard is counted, also while it goes on."""
        self.listener.refuse()
        self.listener.lose()
        self.turn()
        self.clock.advance(7)
        metrics = self.metrics()
        self.assertEqual(metrics["txdoorbell_deaf_seconds_total",], 7)
        self.assertEqual(metrics["txdoorbell_ready",], 0)
        self.assertEqual(metrics["txdoorbell_listener_state", "listening"], 0)
        self.listener.regain()
        self.turn()
        self.clock.advance(60)
        self.turn()
        self.assertLess(self.metrics()["txdoorbell_deaf_seconds_total",], 60)
        self.assertEqual(self.metrics()["txdoorbell_ready",], 1)

    def test_bounded(self) -> None:
        """However many channels and functions there are, so many have labels and no more."""
        for number in range(150):
            self.bell.add(lambda: None, name=f"function {number}")
        self.bell.add_channels([f"channel {number}" for number in range(150)])
        self.turn()
        for metric in ("txdoorbell_rings_total", "txdoorbell_calls_total"):
            self.assertEqual(len([key for key in self.metrics() if key[0] == metric]), 100)

    def test_same_name(self) -> None:
        """Functions with the same name do not make a series appear twice."""
        self.bell.add(lambda: None, name="twin")
        self.bell.add(self.noting("other"), name="twin")
        self.turn()
        lines = self.ask("/metrics").body.splitlines()
        series = [line.split(" ")[0] for line in lines if not line.startswith("#")]
        self.assertEqual(len(series), len(set(series)))

    def test_unencodable(self) -> None:
        """A name that can't be encoded is shown as far as it can be."""
        self.bell.add(lambda: None, name="a\udcff")
        self.turn()
        self.assertEqual(self.metrics()["txdoorbell_calls_total", "a?", "loop"], 1)

    def test_head(self) -> None:
        """HEAD has no content."""
        answer = self.ask("/metrics", "HEAD")
        self.assertEqual((answer.status, answer.body), (200, ""))

    def test_help(self) -> None:
        """Each metric says what it is."""
        body = self.ask("/metrics").body
        for name, (kind, text, _) in METRICS.items():
            shown = f"{name}_total" if kind == "counter" else name
            self.assertIn(f"# HELP {shown} {text}\n# TYPE {shown} {kind}\n", body)

    def test_missing(self) -> None:
        """Without prometheus-client it says what to install."""
        modules: dict[str, Any] = sys.modules
        self.addCleanup(modules.__setitem__, "prometheus_client", modules["prometheus_client"])
        modules["prometheus_client"] = None
        answer = self.ask("/metrics")
        self.assertEqual(answer.status, 501)
        self.assertIn("txdoorbell[status]", answer.body)

    def test_documented(self) -> None:
        """The page of the documentation lists these metrics with their labels, and no others."""
        listed = re.findall(r"^   \* - ``(txdoorbell_\w+)``\n     -(.*)$", PAGE.read_text(), re.M)
        self.assertEqual(
            {name: tuple(re.findall(r"``(\w+)``", labels)) for name, labels in listed},
            {
                f"{name}_total" if kind == "counter" else name: labels
                for name, (kind, _, labels) in METRICS.items()
            },
        )

    if not PAGE.exists():
        test_documented.skip = "this is an installed txdoorbell"  # type: ignore[attr-defined]
