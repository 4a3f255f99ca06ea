"""What a doorbell lends from its parts, so that they need not be reached for."""

from __future__ import annotations

from txdoorbell.loop import Loop
from txdoorbell.switchboard import Switchboard


class Lent:
    """The calls of a switchboard, and those of a first loop, as one's own."""

    def _lend(self, lent: Switchboard, loop: Loop) -> None:
        self.add, self.register = loop.add, loop.register
        self.remove, self.trigger = loop.remove, loop.trigger
        self.subscribe, self.unsubscribe = lent.subscribe, lent.unsubscribe
        self.mute_channels, self.unmute_channels = lent.mute_channels, lent.unmute_channels
        self.mute_subscriber, self.unmute_subscriber = lent.mute_subscriber, lent.unmute_subscriber
        self.subscribers, self.muted_subscribers = lent.subscribers, lent.muted_subscribers
        self.muted_channels, self.non_muted_channels = lent.muted_channels, lent.non_muted_channels
