"""The status as metrics for Prometheus; this needs the extra ``status``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

from txdoorbell.loops.histogram import BOUNDS, Durations
from txdoorbell.notification import State
from txdoorbell.status.figures import clean
from txdoorbell.status.history import History
from txdoorbell.status.model import (
    DoorbellStatus,
    FunctionStatus,
    LockStatus,
    LoopStatus,
    WalStatus,
)

if TYPE_CHECKING:
    from prometheus_client import Metric

__all__ = ["CONTENT_TYPE", "METRICS", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MOST = 100
"""How many channels, tables, and functions of a loop have a label of their own."""

LOCK_STATES = ("holding", "standby", "refused", "waiting", "releasing", "stopped")
"""What the state of a lock may be; see :class:`~txdoorbell.status.LockStatus`."""

METRICS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "txdoorbell_ready": ("gauge", "1 when a ring would be heard at once.", ()),
    "txdoorbell_sick": ("gauge", "1 when the process should be restarted.", ()),
    "txdoorbell_listener_state": ("gauge", "1 for the state it is in.", ("state",)),
    "txdoorbell_listener_since_timestamp_seconds": (
        "gauge",
        "When it came into that state.",
        (),
    ),
    "txdoorbell_deaf_seconds": ("counter", "How long in all nothing could be heard.", ()),
    "txdoorbell_probe_latency_seconds": ("gauge", "What the last probe took to be heard.", ()),
    "txdoorbell_queue_usage_ratio": (
        "gauge",
        "How full the server's notification queue was at the last probe.",
        (),
    ),
    "txdoorbell_wal_state": ("gauge", "1 for the state the second bell is in.", ("state",)),
    "txdoorbell_wal_since_timestamp_seconds": ("gauge", "When it came into that state.", ()),
    "txdoorbell_wal_probe_latency_seconds": (
        "gauge",
        "What its last probe took to be heard.",
        (),
    ),
    "txdoorbell_wal_retained_bytes": (
        "gauge",
        "How much of the log the server kept for it at the last probe.",
        (),
    ),
    "txdoorbell_wal_tables": ("gauge", "How many tables it hears.", ()),
    "txdoorbell_wal_rings": (
        "counter",
        "Changes of tables heard: each operation of transactions seen at once.",
        ("table",),
    ),
    "txdoorbell_interval_seconds": ("gauge", "The safety net's interval, 0 for never.", ()),
    "txdoorbell_misses": ("counter", "How often work was found that nobody had announced.", ()),
    "txdoorbell_rings": ("counter", "Notifications.", ("channel",)),
    "txdoorbell_runs": ("counter", "Runs that have begun, by their cause.", ("loop", "cause")),
    "txdoorbell_finds": (
        "counter",
        "How often a function has found work, by the cause of its call.",
        ("loop", "cause"),
    ),
    "txdoorbell_lock_held": ("gauge", "1 while this process holds it.", ("loop", "lock")),
    "txdoorbell_lock_state": ("gauge", "1 for the state it is in.", ("loop", "lock", "state")),
    "txdoorbell_lock_takeovers": (
        "counter",
        "How often this process has taken it.",
        ("loop", "lock"),
    ),
    "txdoorbell_lock_standbys": ("gauge", "How many stand by for it.", ("loop", "lock")),
    "txdoorbell_lease_number": (
        "gauge",
        "The number of its lease, as far as this process knows.",
        ("loop", "lock"),
    ),
    "txdoorbell_lease_since_timestamp_seconds": (
        "gauge",
        "When that lease began.",
        ("loop", "lock"),
    ),
    "txdoorbell_rings_pending": ("gauge", "Rings that no run has served yet.", ("loop",)),
    "txdoorbell_ring_to_run_seconds": (
        "histogram",
        "From the first ring that a run serves to the beginning of that run.",
        ("loop",),
    ),
    "txdoorbell_calls": ("counter", "Calls that have begun.", ("loop", "function")),
    "txdoorbell_errors": ("counter", "Calls that have failed.", ("loop", "function")),
    "txdoorbell_failures_in_a_row": (
        "gauge",
        "Calls that have failed since the last good one.",
        ("loop", "function"),
    ),
    "txdoorbell_run_duration_seconds": (
        "histogram",
        "How long calls took, from the call to the end.",
        ("loop", "function"),
    ),
    "txdoorbell_active": ("gauge", "1 while a function is active.", ("loop", "function")),
    "txdoorbell_last_success_timestamp_seconds": (
        "gauge",
        "When a call last ended without an error.",
        ("loop", "function"),
    ),
    "txdoorbell_wakeup_timestamp_seconds": (
        "gauge",
        "When a function is to be called by itself.",
        ("loop", "function"),
    ),
}
"""Each metric: its type, what it says, its labels. A counter's series ends in ``_total``."""

T = TypeVar("T")
Sample = tuple[str, Sequence[str], float | Durations | None]


def exposition(status: DoorbellStatus, history: History) -> bytes:
    """
    Return the status in Prometheus' text format.

    :raises ImportError: without prometheus-client.
    """
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class _Collector(Collector):
        def collect(self) -> Iterable[Metric]:
            return _families(_samples(status, history))

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector())
    return generate_latest(registry)


def _families(samples: Iterable[Sample]) -> Iterable[Metric]:
    from prometheus_client import core

    kinds = {
        "gauge": core.GaugeMetricFamily,
        "counter": core.CounterMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }
    families = {
        name: kinds[kind](name, text, labels=labels)
        for name, (kind, text, labels) in METRICS.items()
    }
    for name, labels, value in samples:
        family = families[name]
        cleaned = [clean(label, 100) for label in labels]
        if isinstance(value, Durations):
            family.add_metric(cleaned, buckets=_buckets(value), sum_value=value.total)
        elif value is not None:
            family.add_metric(cleaned, value)
    return families.values()


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    return list(zip(bounds, accumulate(durations.counts), strict=True))


def _samples(status: DoorbellStatus, history: History) -> Iterator[Sample]:
    listener = status.listener
    yield "txdoorbell_ready", (), not status.unready
    yield "txdoorbell_sick", (), bool(status.sick)
    for state in State:
        yield "txdoorbell_listener_state", (state.value,), listener.state == state
    yield "txdoorbell_listener_since_timestamp_seconds", (), listener.since
    yield "txdoorbell_deaf_seconds", (), history.deaf_seconds(status.now)
    yield "txdoorbell_probe_latency_seconds", (), listener.probe_latency
    yield "txdoorbell_queue_usage_ratio", (), listener.queue_usage
    if status.wal is not None:
        yield from _of_wal(status.wal)
    yield "txdoorbell_interval_seconds", (), status.interval
    yield "txdoorbell_misses", (), status.misses
    for channel in status.channels[:MOST]:
        yield "txdoorbell_rings", (channel.name,), channel.rung
    for loop in status.loops:
        yield from _of_loop(loop)
        if loop.lock is not None:
            yield from _of_lock((loop.name, loop.lock.name), loop.lock, history)


def _of_wal(bell: WalStatus) -> Iterator[Sample]:
    for state in State:
        yield "txdoorbell_wal_state", (state.value,), bell.state == state
    yield "txdoorbell_wal_since_timestamp_seconds", (), bell.since
    yield "txdoorbell_wal_probe_latency_seconds", (), bell.probe_latency
    yield "txdoorbell_wal_retained_bytes", (), bell.retained_bytes
    yield "txdoorbell_wal_tables", (), len(bell.tables)
    for table, count in list(bell.rung.items())[:MOST]:
        yield "txdoorbell_wal_rings", (table,), count


def _of_lock(labels: tuple[str, str], lock: LockStatus, history: History) -> Iterator[Sample]:
    yield "txdoorbell_lock_held", labels, lock.state == "holding"
    for state in LOCK_STATES:
        yield "txdoorbell_lock_state", (*labels, state), lock.state == state
    yield "txdoorbell_lock_takeovers", labels, history.takeovers(*labels)
    yield "txdoorbell_lock_standbys", labels, lock.standbys
    yield "txdoorbell_lease_number", labels, lock.number
    yield "txdoorbell_lease_since_timestamp_seconds", labels, lock.since


def _of_loop(loop: LoopStatus) -> Iterator[Sample]:
    for cause, count in loop.runs.items():
        yield "txdoorbell_runs", (loop.name, cause), count
    for cause, count in loop.finds.items():
        yield "txdoorbell_finds", (loop.name, cause), count
    yield "txdoorbell_rings_pending", (loop.name,), loop.rung - loop.covered
    yield "txdoorbell_ring_to_run_seconds", (loop.name,), loop.latencies
    named = {function.name: function for function in reversed(loop.functions)}
    for function in list(reversed(named.values()))[:MOST]:
        yield from _of_function((loop.name, function.name), function)


def _of_function(labels: tuple[str, str], function: FunctionStatus) -> Iterator[Sample]:
    yield "txdoorbell_calls", labels, function.runs
    yield "txdoorbell_errors", labels, function.errors
    yield "txdoorbell_failures_in_a_row", labels, function.failures_in_a_row
    yield "txdoorbell_run_duration_seconds", labels, function.durations
    yield "txdoorbell_active", labels, function.active
    yield "txdoorbell_last_success_timestamp_seconds", labels, function.succeeded
    yield "txdoorbell_wakeup_timestamp_seconds", labels, function.wakes
