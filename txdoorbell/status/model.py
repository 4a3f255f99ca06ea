"""
How a doorbell is: a snapshot of all of it, immutable and free of passwords.

Times are epoch seconds by the wall clock, lengths of time seconds. Whatever is None is not known
yet, or not so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from txdoorbell.loops.histogram import Durations
from txdoorbell.status.counts import Counts, plain


@dataclass(frozen=True)
class FunctionStatus:
    """
    One processing function; ``cause`` says why it was called last.

    :ivar durations: how long its calls took.
    """

    name: str
    channels: tuple[str, ...] | None
    active: bool
    muted: bool
    runs: int
    errors: int
    failures_in_a_row: int
    finds: int
    cause: str
    began: float | None
    took: float | None
    succeeded: float | None
    result: str
    error: str | None
    wakes: float | None
    durations: Durations


@dataclass(frozen=True)
class LockStatus:
    """
    The lock by which one host of a fleet runs a loop, as this host knows it.

    :ivar name: the lock's.
    :ivar state: ``holding`` (the loop runs here), ``standby`` (another session holds it),
        ``refused`` (it can't be had on this session, or the last one), ``waiting`` (there is no
        session to ask on, or this process holds as many locks as it may) or ``stopped``.
    :ivar number: of this host's lease, or of the lease that the holder has; None where there is no
        table of leases.
    :ivar since: when that lease began; None when that isn't known.
    :ivar holder_host: the name of the host that holds it.
    :ivar holder_pid: the process id there.
    :ivar standbys: how many others wait for it, as of thirty intervals ago at the most; None where
        that isn't known: nobody holds it, or this process has more than 16 locks.
    :ivar reason: why it is in that state, in words.
    """

    name: str
    state: str
    number: int | None = None
    since: float | None = None
    holder_host: str | None = None
    holder_pid: int | None = None
    standbys: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class LoopStatus:
    """
    One loop; ``active`` and ``stuck`` are names of functions, ``submitted`` is a number.

    :ivar latencies: from the first ring that a run serves to the beginning of that run.
    :ivar lock: the lock without which the loop is suspended; None for a loop without one.
    """

    name: str
    state: str
    active: str | None
    active_since: float | None
    stuck: str | None
    rung: int
    covered: int
    submitted: int
    runs: Mapping[str, int]
    finds: Mapping[str, int]
    latencies: Durations
    functions: tuple[FunctionStatus, ...]
    lock: LockStatus | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "runs", Counts(self.runs))
        object.__setattr__(self, "finds", Counts(self.finds))


@dataclass(frozen=True)
class ChannelStatus:
    """One channel; ``rung`` counts its notifications."""

    name: str
    rung: int
    active: bool
    muted: bool
    rings_loops: bool
    subscribers: int


@dataclass(frozen=True)
class ListenerStatus:
    """The listener; ``queue_usage`` is that of the whole server, 0 to 1."""

    state: str
    reason: str
    since: float
    endpoint: str
    channels: tuple[str, ...]
    probe_latency: float | None
    queue_usage: float | None


@dataclass(frozen=True)
class WalStatus:
    """
    The second bell, which reads the write-ahead log.

    :ivar tables: of which changes are heard.
    :ivar since: when it came into that state.
    :ivar retained_bytes: how much of the log the server kept for it at the last probe.
    :ivar rung: how many changes of each table were heard, by its name with the schema: each
        :class:`~txdoorbell.wal.TableChange` counts. A table with none is not there.
    """

    state: str
    reason: str
    since: float | None
    endpoint: str
    tables: tuple[str, ...]
    probe_latency: float | None
    retained_bytes: int | None
    rung: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rung", Counts(self.rung))


@dataclass(frozen=True)
class DoorbellStatus:
    """
    A doorbell at one moment.

    :ivar now: that moment.
    :ivar sick: why the process should be restarted, in words; empty when it should not.
    :ivar unready: why a ring may not be heard at once, in words; empty when it will be.
    :ivar misses: how often work was found that nobody had announced.
    :ivar wal: the second bell; None for a doorbell without tables.
    """

    now: float
    name: str
    running: bool
    sick: tuple[str, ...]
    unready: tuple[str, ...]
    misses: int
    interval: float
    listener: ListenerStatus
    loops: tuple[LoopStatus, ...]
    channels: tuple[ChannelStatus, ...]
    wal: WalStatus | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain dicts, lists and values, for JSON."""
        return {name: plain(value) for name, value in asdict(self).items()}
