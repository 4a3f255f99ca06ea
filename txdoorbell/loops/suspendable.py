"""Being suspended: a loop that may not run for now, because another host runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from txdoorbell.fleet.locking import Lease
    from txdoorbell.loops.runner import Runner


class Suspendable:
    """The part of a loop that others use to say whether it may run here."""

    _runner: Runner

    @property
    def lease(self) -> Lease | None:
        """
        By which lease the loop runs here; None without a lock, and while it isn't held.

        A function that has a parameter called ``lease`` is given the one that it begins with: by
        its number a late write is told from those of the next holder.
        """
        return self._runner.lease

    @lease.setter
    def lease(self, lease: Lease | None) -> None:
        self._runner.lease = lease

    @property
    def suspension(self) -> str | None:
        """Why the loop is suspended, in words; None when it isn't."""
        return self._runner.suspension

    def suspend(self, reason: str) -> None:
        """
        Call nothing until :meth:`resume`: the loop may not run here.

        What is active is cancelled; when it has not ended a second later it is reported as stuck.
        Rings, wake-ups and submitted work are noted. A suspended loop is quiet when nothing is
        active; one that isn't started begins suspended. Suspended again, it keeps its reason.

        :param reason: in words, for the log and the status.
        """
        self._runner.suspend(reason)

    def resume(self) -> None:
        """
        Go on, and run everything once; nothing on a loop that isn't suspended.

        What was active when it was suspended, and has not ended, is waited for.
        """
        self._runner.resume()

    @property
    def may_call(self) -> Callable[[], bool] | None:
        """
        Asked before each call whether it may be made; when not, the loop is suspended.

        None, as it is at first: always.
        """
        return self._runner.may_call

    @may_call.setter
    def may_call(self, function: Callable[[], bool] | None) -> None:
        self._runner.may_call = function
