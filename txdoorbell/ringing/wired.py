"""What rings the loops of a doorbell: channels and tables, which come and go at any time."""

from __future__ import annotations

from collections.abc import Iterable

from txdoorbell.loop import LoopBase
from txdoorbell.ringing.wiring import Wiring
from txdoorbell.walreading.changes import Table

__all__ = ["Wired"]


class Wired:
    """The part of a :class:`txdoorbell.doorbell.Doorbell` that says what rings its loops."""

    _wiring: Wiring

    @property
    def loops(self) -> tuple[LoopBase, ...]:
        """The loops that are rung, in order of adding."""
        return self._wiring.loops

    @property
    def channels(self) -> frozenset[str]:
        """The channels that ring a loop: those given, and those that functions name in ``add``."""
        return self._wiring.channels

    @property
    def tables(self) -> frozenset[Table]:
        """The tables that ring a loop: those given, and those that functions name in ``add``."""
        return self._wiring.tables

    def add_channels(self, names: str | Iterable[str]) -> None:
        """
        Let further channels ring the loops; LISTEN follows on the live session.

        :raises ValueError: for a name that PostgreSQL would not take whole; nothing is added then.
        """
        self._wiring.add_channels(names)

    def remove_channels(self, names: str | Iterable[str]) -> None:
        """
        Remove channels, with all that subscribe to them; UNLISTEN follows on the live session.

        One that a function names in ``add`` goes on ringing that function's loop.

        :raises KeyError: for a channel that isn't there; nothing is removed then.
        """
        self._wiring.remove_channels(names)

    def add_tables(self, names: str | Iterable[str]) -> None:
        """
        Let changes of further tables ring the loops; they are heard of on the live session.

        :param names: one or several, named as in SQL: ``jobs``, ``shop.jobs``, ``"My Shop"."Job"``.
        :raises ValueError: for text that is no name; nothing is added then.
        """
        self._wiring.add_tables(names)

    def remove_tables(self, names: str | Iterable[str]) -> None:
        """
        Let tables ring the loops no more.

        One that a function names in ``add`` goes on ringing that function's loop.

        :raises KeyError: for a table that isn't there; nothing is removed then.
        """
        self._wiring.remove_tables(names)
