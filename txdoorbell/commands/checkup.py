"""Whether a doorbell would ring: the database is reached, listens, and delivers a ring to us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.error import TimeoutError as TooLate

from txdoorbell.listener import Listener
from txdoorbell.listening.probe import ProbeFailed
from txdoorbell.notification import Hearable, State
from txdoorbell.settling.assembly import listener_options
from txdoorbell.settling.functions import Plan
from txdoorbell.settling.settings import Settings

__all__ = ["CheckFailed", "check_listening"]


class CheckFailed(Exception):
    """A step has failed; the text is one line that says why."""


async def check_listening(
    reactor: Any, plan: Plan, dsn: str, passed: Callable[[str], object]
) -> None:
    """
    Connect, LISTEN on every channel, ring, and hear it.

    :param passed: told each step that has been taken, in words.
    :raises CheckFailed: at the first step that can't be taken; it is not tried again.
    """
    options = listener_options(plan.settings)
    listener = Listener(reactor, dsn, channels=plan.channels, name="check", **options)
    trouble = _Trouble()
    listener.report_to(trouble)
    listener.startService()
    try:
        await _listens(reactor, listener, trouble, plan.settings)
        passed(f"connected to {listener.description}")
        passed(f"LISTEN committed for {', '.join(sorted(plan.channels)) or 'no channel'}")
        try:
            latency = await listener.probe()
        except ProbeFailed as error:
            raise CheckFailed(f"a ring is not heard: {error}") from None
        passed(f"a ring is heard, after {1000 * latency:.1f} ms")
    finally:
        await listener.stopService()


async def _listens(reactor: Any, listener: Listener, trouble: _Trouble, settings: Settings) -> None:
    database = settings.database
    limit = database.connect_timeout + 2 * database.query_timeout
    listening = listener.when_listening()
    first = DeferredList([listening, trouble.found], fireOnOneCallback=True, consumeErrors=True)
    first.addTimeout(limit, reactor)
    try:
        await first
    except (CancelledError, TooLate):
        raise CheckFailed(f"{listener.description}: no answer in {limit:g} s") from None
    if listener.state is not State.LISTENING:
        raise CheckFailed(f"{listener.description}: {trouble.reason}")


class _Trouble:
    """An audience that waits for trouble."""

    def __init__(self) -> None:
        self.found: Deferred[None] = Deferred()
        self.reason = ""

    def notified(self, notification: Hearable) -> None:
        """Let others hear it."""

    def listening(self, channels: frozenset[str], fresh: bool) -> None:
        """Let others learn it."""

    def state_changed(self, state: State, reason: str) -> None:
        """Take note of a connection that is refused or lost."""
        if state is State.WAITING and not self.found.called:
            self.reason = reason
            self.found.callback(None)
