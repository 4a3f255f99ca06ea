"""Which loops hear which channels."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from twisted.internet.defer import Deferred, gatherResults

from txdoorbell.loops.causes import Cause
from txdoorbell.loops.loopbase import LoopBase
from txdoorbell.notification import check_channels
from txdoorbell.switchboard import Switchboard


class Wiring:
    """
    Keeps every loop connected to the channels that ring it.

    These are the channels common to all loops, and those that the loop's own functions name, at
    any time.

    :param channels: one or several that ring all loops.
    """

    def __init__(self, switchboard: Switchboard, channels: str | Iterable[str]) -> None:
        self._switchboard = switchboard
        self._common = frozenset(check_channels(channels))
        self._heard: dict[LoopBase, frozenset[str]] = {}

    @property
    def loops(self) -> tuple[LoopBase, ...]:
        """The loops, in order of adding."""
        return tuple(self._heard)

    @property
    def channels(self) -> frozenset[str]:
        """All channels that ring a loop."""
        return self._common.union(*self._heard.values())

    def add_loop(self, loop: LoopBase) -> None:
        """Connect a loop."""
        self._heard[loop] = frozenset()
        loop.on_channels = self._connect
        self._connect()

    def add_channels(self, names: str | Iterable[str]) -> None:
        """Let further channels ring all loops; nothing is added when one is refused."""
        self._common |= frozenset(check_channels(names))
        self._connect()

    def remove_channels(self, names: str | Iterable[str]) -> None:
        """
        Remove channels from the switchboard; those that functions name come back.

        :raises KeyError: for a channel that isn't there; nothing is removed then.
        """
        gone = frozenset(check_channels(names))
        self._switchboard.remove_channels(gone)
        self._common -= gone
        self._heard = {loop: heard - gone for loop, heard in self._heard.items()}
        self._connect()

    def _connect(self) -> None:
        for loop, heard in self._heard.items():
            wanted = self._common | loop.channels
            self._heard[loop] = wanted
            if heard - wanted:
                self._switchboard.unobserve(loop.notified, heard - wanted)
            if wanted - heard:
                self._switchboard.observe(loop.notified, wanted - heard, loop.notified_all)

    def take_turns(self) -> None:
        """Let each loop that was rung by several notifications begin."""
        for loop in self._heard:
            loop.heard_all()

    def ring_all(self, cause: Cause) -> None:
        """Ring every function of every loop."""
        for loop in self._heard:
            loop.trigger(cause)

    def ring_missed(self, channels: frozenset[str]) -> None:
        """Ring those who hear any of these channels."""
        for loop, heard in self._heard.items():
            if heard & channels:
                loop.missed(heard & channels)

    def when_quiet(self) -> Deferred[list[None]]:
        """Wait until each loop has been quiet."""
        return gatherResults([loop.when_quiet() for loop in self._heard])

    def stop(self, then: Callable[[LoopBase], Deferred[None]]) -> Deferred[list[None]]:
        """
        Stop all loops.

        :param then: called with each loop that has stopped.
        :returns: fires when nothing of any of them is active any more, and what that has asked for
            has been done.
        """
        stopping = [
            loop.stopService().addCallback(lambda _, stopped: then(stopped), loop)
            for loop in self._heard
        ]
        return gatherResults(stopping, consumeErrors=True)


def name_apart(loop: LoopBase, taken: Container[str]) -> None:
    """Give a loop whose name is taken a number."""
    name, number = loop.name, 1
    while loop.name in taken:
        number += 1
        loop.rename(f"{name}-{number}")
