"""Whether a doorbell would ring: the database is reached, and each bell delivers a ring to us."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.error import TimeoutError as TooLate

from txdoorbell.listener import Listener
from txdoorbell.listening.probe import ProbeFailed
from txdoorbell.notification import Hearable, State
from txdoorbell.settling.assembly import listener_options
from txdoorbell.settling.functions import Plan
from txdoorbell.settling.settings import Settings

if TYPE_CHECKING:
    from txdoorbell.wal import WalSource

__all__ = ["CheckFailed", "check_listening", "heard", "probed"]

_POOLER = "; a pooler in transaction mode?"


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
    async with heard(reactor, listener, plan.settings):
        passed(f"connected to {listener.description}")
        passed(f"LISTEN committed for {', '.join(sorted(plan.channels)) or 'no channel'}")
        passed(f"a ring is heard, after {await probed(listener, 'a ring', _POOLER)}")


@asynccontextmanager
async def heard(
    reactor: Any, source: Listener | WalSource, settings: Settings
) -> AsyncIterator[None]:
    """
    Run a source, from the time when it hears all that is wanted.

    :raises CheckFailed: when it doesn't come to that; it is not tried again.
    """
    trouble = _Trouble()
    source.report_to(trouble)
    source.startService()
    try:
        await _listens(reactor, source, trouble, settings)
        yield
    finally:
        await source.stopService()


async def _listens(
    reactor: Any, source: Listener | WalSource, trouble: _Trouble, settings: Settings
) -> None:
    database = settings.database
    limit = database.connect_timeout + 2 * database.query_timeout
    listening = source.when_listening()
    first = DeferredList([listening, trouble.found], fireOnOneCallback=True, consumeErrors=True)
    first.addTimeout(limit, reactor)
    try:
        await first
    except (CancelledError, TooLate):
        raise CheckFailed(f"{source.description}: no answer in {limit:g} s") from None
    if source.state is not State.LISTENING:
        raise CheckFailed(f"{source.description}: {trouble.reason}")


async def probed(source: Listener | WalSource, what: str, suspect: str = "") -> str:
    """
    Have a source ring itself.

    :param what: by what, in words.
    :param suspect: what is likely to be the cause when that isn't heard, in words.
    :returns: how long it took to hear that.
    :raises CheckFailed: when it did not.
    """
    try:
        latency = await source.probe()
    except ProbeFailed as error:
        raise CheckFailed(f"{what} is not heard: {error}{suspect}") from None
    return f"{1000 * latency:.1f} ms"


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
