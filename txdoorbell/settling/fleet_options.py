"""The options of ``twistd doorbell`` for a fleet: of several hosts one runs the functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.python import usage

from txdoorbell.settling import checks
from txdoorbell.settling.settings import LoopOptions

__all__ = ["FleetOptions"]


def _named(option: str, check: Callable[[object], str]) -> Callable[[str], str]:
    def named(text: str) -> str:
        try:
            return check(text)
        except checks.Unexpected as error:
            raise usage.UsageError(f"--{option}: expected {error}, not {text!r}") from None
        except ValueError as error:
            raise usage.UsageError(f"--{option}: {error}") from None

    return named


def _count(option: str) -> Callable[[str], int]:
    def count(text: str) -> int:
        try:
            return checks.count(int(text))
        except ValueError:
            raise usage.UsageError(f"--{option}: {text!r} is no whole number from 1") from None

    return count


class FleetOptions(usage.Options):
    """What can be said of a fleet."""

    optParameters: list[Sequence[Any]] = [
        [
            "lock",
            None,
            None,
            "Run the functions only while this process holds the lock of this name: of all that "
            "are told the same name, one runs them.",
            _named("lock", checks.lock),
        ],
        [
            "max-loops",
            None,
            None,
            "How many locks this process holds at most.",
            _count("max-loops"),
        ],
        [
            "host",
            None,
            None,
            "What this host is called in its fleet. [default: its own name]",
            _named("host", checks.name),
        ],
        [
            "hosts",
            None,
            None,
            "How many hosts share the locks, roughly, where they are many.",
            _count("hosts"),
        ],
    ]

    def loops(self) -> tuple[LoopOptions, ...]:
        """Return the loops that a command line comes to; none is one without a lock."""
        return () if self["lock"] is None else (LoopOptions(lock=self["lock"]),)
