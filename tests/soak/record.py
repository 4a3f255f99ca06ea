"""What the processes of a soak write down, and how it is read again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import NamedTuple

CHANNELS = [f"soak {number}" for number in range(48)]
"""Each rings one function. A ring that is missed stays so: those on other channels don't help."""

FLICKERING = [f"flickering {number}" for number in range(12)]
"""Their functions are removed now and then, and added again after less than :data:`ABSENCE`. They
are rung rarely, so that one ring seldom hides that another one was missed."""

ABSENCE = 0.5
"""Seconds for which a function is away, at most."""

UNRUNG = "soak, catching up"
"""Nobody rings this one: its function runs when everything does, after LISTEN."""


class Ring(NamedTuple):
    """
    One ring.

    :ivar before: when its COMMIT was sent.
    :ivar after: when the server had answered, or the connection was lost.
    :ivar answered: whether it has answered; otherwise nobody knows whether it was committed.
    """

    number: int
    channel: str
    before: float
    after: float
    answered: bool


class Event(NamedTuple):
    """
    Something that happened in the doorbell.

    :ivar kind: ``heard`` (a notification; of a ring's number), ``ran`` (a function begins),
        ``state`` (the listener's has changed to this).
    :ivar what: the number, the channel, the state.
    """

    time: float
    kind: str
    what: str


class Record:
    """
    Lines in a file, each written as a whole and at once: other processes read along.

    :param path: is appended to.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def ring(self, ring: Ring) -> None:
        """Write down a ring."""
        times = f"{ring.before:.6f}\t{ring.after:.6f}\t{int(ring.answered)}"
        self._write(f"{ring.number}\t{ring.channel}\t{times}")

    def event(self, kind: str, what: str) -> None:
        """Write down that something happens now."""
        self._write(f"{monotonic():.6f}\t{kind}\t{what}")

    def _write(self, line: str) -> None:
        os.write(self._descriptor, f"{line}\n".encode())


def read_rings(path: Path) -> Iterator[Ring]:
    """Read what the sender has written down."""
    for line in _lines(path):
        number, channel, before, after, answered = line.split("\t")
        yield Ring(int(number), channel, float(before), float(after), answered == "1")


def read_events(path: Path) -> Iterator[Event]:
    """Read what the doorbell has written down."""
    for line in _lines(path):
        time, kind, what = line.split("\t")
        yield Event(float(time), kind, what)


class StateReader:
    """
    Follows the states that the doorbell writes down.

    :param path: its record, there or not.
    :ivar changes: how many were read, and how often everything ran.
    """

    def __init__(self, path: Path) -> None:
        self.changes = 0
        self._path = path
        self._read = 0
        self._state = ""

    def latest(self) -> str:
        """Return the last state, empty for none yet; what was read before isn't read again."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read)
                whole, _, _ = file.read().rpartition(b"\n")
            self._read += len(whole) + bool(whole)
            for line in whole.decode().splitlines():
                _, kind, what = line.split("\t")
                if kind == "state":
                    self._state = what
                self.changes += kind == "state" or what == UNRUNG
        return self._state


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
