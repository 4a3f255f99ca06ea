"""
What a doorbell can be told: by a configuration file, or by options on a command line.

Attributes have the names of the keys in the file. Each field knows how its value is checked, and
what it means, so that nothing has to be said of it twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from txdoorbell.settling import checks

__all__ = ["Database", "Function", "LoopOptions", "Probe", "Retry", "Settings", "Wal"]


def _key(
    default: object, check: Callable[[object], object], about: str, *, secret: bool = False
) -> Any:
    """Describe a key: its check, its meaning, and whether its value must not be shown."""
    return field(default=default, metadata={"check": check, "about": about, "secret": secret})


@dataclass(frozen=True)
class Database:
    """Where PostgreSQL is, and how long it may take to answer."""

    dsn: str = _key(
        "",
        checks.dsn,
        "libpq's keywords and values, or a URI. What it leaves out comes from the environment.",
        secret=True,
    )
    password: str | None = _key(
        None,
        checks.text,
        "The password, where the DSN has none; best as ``${NAME}``.",
        secret=True,
    )
    embedded: str | None = _key(
        None,
        checks.text,
        "Run a private PostgreSQL with its files in this directory, in place of a DSN.",
    )
    connect_timeout: float = _key(10.0, checks.seconds, "Seconds for connecting.")
    query_timeout: float = _key(5.0, checks.seconds, "Seconds for LISTEN and each other query.")
    heartbeat: float = _key(
        10.0, checks.seconds_or_0, "Seconds of silence after which the server is asked; 0: never."
    )
    heartbeat_timeout: float = _key(5.0, checks.seconds, "Seconds in which it must answer.")


@dataclass(frozen=True)
class Probe:
    """The ring that a listener sends to itself."""

    interval: float = _key(
        60.0, checks.seconds_or_0, "Seconds between two; 0: one for each session."
    )
    timeout: float = _key(5.0, checks.seconds, "Seconds in which it must be sent, then heard.")


@dataclass(frozen=True)
class Retry:
    """What follows when the session is lost."""

    initial: float = _key(0.05, checks.seconds, "Seconds before the first attempt, at most.")
    maximum: float = _key(30.0, checks.seconds, "Seconds before any attempt, at most.")
    factor: float = _key(2.0, checks.factor, "What the delay grows by with each failure.")
    give_up_after: float | None = _key(
        None, checks.seconds, "Seconds without hearing after which the process ends with status 1."
    )


@dataclass(frozen=True)
class Wal:
    """How the write-ahead log is read, where there are tables."""

    publication: str = _key(
        "txdoorbell", checks.publication, "The publication that is read from, and made if it lacks."
    )
    streaming: bool = _key(
        False, checks.boolean, "Whether a large transaction is sent while it is still open."
    )


@dataclass(frozen=True)
class LoopOptions:
    """A loop: its functions run one at a time."""

    name: str = _key("loop", checks.name, "What functions and logs call it.")
    minimum_delay: float = _key(
        5.0, checks.seconds_or_0, "Seconds between a result and the call it asks for, at least."
    )
    budget: float = _key(1.0, checks.seconds, "Seconds given to a function that takes a budget.")
    retry: bool = _key(True, checks.boolean, "Whether a function that failed is tried again.")
    slow_after: float = _key(
        30.0, checks.seconds, "Seconds after which a warning says that a function is slow."
    )
    timeout: float | None = _key(None, checks.seconds, "Seconds after which a call is cancelled.")
    stop_timeout: float = _key(
        30.0, checks.seconds_or_0, "Seconds after which a stop cancels what is active."
    )
    stuck: str = _key(
        "wait",
        checks.stuck,
        "What follows when a function ignores its cancellation: ``wait`` or ``resign``.",
    )
    lock: str | None = _key(
        None, checks.lock, "Run it only while this process holds the lock of that name."
    )


@dataclass(frozen=True)
class Function:
    """A function to run, or a handler object."""

    call: str = _key("", checks.spec, "What to run, as ``MODULE:NAME``. It must be given.")
    loop: str | None = _key(None, checks.name, "Its loop; the first one where none is named.")
    name: str | None = _key(None, checks.name, "What logs call it.")
    channels: tuple[str, ...] | None = _key(
        None, checks.channels, "The channels that ring it, in place of all."
    )
    tables: tuple[str, ...] | None = _key(
        None, checks.tables, "The tables of which a change rings it, in place of all."
    )
    interested: str | None = _key(
        None, checks.spec, "``MODULE:NAME``: says of a notification whether it rings this one."
    )
    hint: str | None = _key(
        None, checks.spec, "``MODULE:NAME``: told each notification that rings this one."
    )
    priority: int = _key(0, checks.integer, "The higher, the earlier in each run.")
    blocking: bool | None = _key(None, checks.boolean, "Run it in a thread.")
    timeout: float | None = _key(
        None, checks.seconds, "Seconds after which it is cancelled; else the loop's."
    )
    budget: float | None = _key(None, checks.seconds, "Seconds of its budget; else the loop's.")
    retry: bool | None = _key(
        None, checks.boolean, "Whether it is tried again after an error; else the loop's."
    )


@dataclass(frozen=True)
class Settings:
    """All of it. No ``loop`` is one loop, with the name ``loop``."""

    channels: tuple[str, ...] = _key(
        ("doorbell",), checks.channels, "The channels that ring every loop."
    )
    tables: tuple[str, ...] = _key(
        (), checks.tables, "The tables of which a change rings every loop, by the write-ahead log."
    )
    interval: float = _key(
        60.0,
        checks.seconds_or_0,
        "The safety net: everything runs each so many seconds, rung or not; 0: never.",
    )
    idle_timeout: float | None = _key(
        None, checks.seconds, "Seconds without a notification after which ``on_idle`` is called."
    )
    on_idle: str | None = _key(None, checks.spec, "What is called then, as ``MODULE:NAME``.")
    stop_channel: str | None = _key(
        None, checks.channel, "A notification there ends the process, with status 0."
    )
    slow_after: float = _key(
        30.0, checks.seconds, "Seconds for which the reactor must be blocked to be reported."
    )
    status: str | None = _key(
        None, checks.endpoint, "Where the status page is served, as a Twisted endpoint."
    )
    lock_interval: float = _key(
        2.0, checks.seconds, "Seconds in which a lock is tried for again, where a loop has one."
    )
    max_loops: int | None = _key(
        None, checks.count, "How many locks this process holds at most; else any number."
    )
    host: str | None = _key(
        None, checks.name, "What this host is called in its fleet; else by its own name."
    )
    hosts: int | None = _key(
        None, checks.count, "How many hosts share the locks, roughly, where they are many."
    )
    database: Database = field(default_factory=Database)
    probe: Probe = field(default_factory=Probe)
    retry: Retry = field(default_factory=Retry)
    wal: Wal = field(default_factory=Wal)
    loop: tuple[LoopOptions, ...] = ()
    function: tuple[Function, ...] = ()
