"""What those may do who hold the token: ring, run now, mute and unmute."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from twisted.internet.defer import Deferred, succeed

from txdoorbell.doorbell import Doorbell
from txdoorbell.loops.loopbase import LoopBase

__all__ = ["Actions", "NotDone"]

Form = Callable[[str], str]
"""From the name of a field to what was filled in, empty for nothing."""


class NotDone(Exception):
    """What was asked for is not there, or can't be; the text says what."""


class Actions:
    """
    Does what a form asks for.

    Each of these returns what was done, in words, or raises :exc:`NotDone`.
    """

    def __init__(self, bell: Doorbell) -> None:
        self._bell = bell
        self.by_name: dict[str, Callable[[Form], Deferred[str]]] = {
            "ring": self.ring,
            "run": self.run,
            "mute": self.mute,
            "unmute": self.unmute,
            "token": self.check,
        }

    def check(self, form: Form) -> Deferred[str]:
        """Do nothing: the token is right, or this would not have been called."""
        return succeed("Actions are unlocked in this tab.")

    def ring(self, form: Form) -> Deferred[str]:
        """Send a NOTIFY on a channel that there is."""
        channel, payload = self._channel(form), form("payload")
        try:
            ringing = self._bell.ring(channel, payload)
        except ValueError as error:
            raise NotDone(str(error)) from None
        return ringing.addCallback(lambda _: f"Rang {channel}.")

    def run(self, form: Form) -> Deferred[str]:
        """Make a function due now."""
        loop, key = self._function(form)
        name = form("function")
        if any(f.muted for f in loop.status().functions if f.name == name):
            raise NotDone(f"{name} is muted.")
        loop.call_soon(key)
        return succeed(f"{name} runs.")

    def mute(self, form: Form) -> Deferred[str]:
        """Mute a function, or a channel."""
        return self._mute(form, True)

    def unmute(self, form: Form) -> Deferred[str]:
        """Unmute a function, or a channel."""
        return self._mute(form, False)

    def _mute(self, form: Form, muted: bool) -> Deferred[str]:
        name = form("channel")
        if name:
            change = self._bell.mute_channels if muted else self._bell.unmute_channels
            change(self._channel(form))
        else:
            loop, key = self._function(form)
            name = form("function")
            (loop.mute if muted else loop.unmute)(key)
        return succeed(f"{name} is {'muted' if muted else 'unmuted'}.")

    def _channel(self, form: Form) -> str:
        channel = form("channel")
        if channel not in self._bell.switchboard.channels():
            raise NotDone(f"There is no channel {channel!r}.")
        return channel

    def _function(self, form: Form) -> tuple[LoopBase, Hashable]:
        name, function = form("loop"), form("function")
        for loop in self._bell.loops:
            if loop.name == name:
                try:
                    return loop, loop.named(function)
                except KeyError:
                    break
        raise NotDone(f"There is no function {function!r} in {name!r}.")
