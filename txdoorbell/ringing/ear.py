"""What a doorbell does with what its source tells it, and while nothing is told."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from txdoorbell.loops.causes import Cause
from txdoorbell.notification import Hearable, State
from txdoorbell.processor import check_seconds
from txdoorbell.ringing.safetynet import SafetyNet
from txdoorbell.ringing.silence import Silence
from txdoorbell.ringing.wiring import Wiring
from txdoorbell.switchboard import Switchboard


class Ear:
    """
    The audience of a source; see :class:`txdoorbell.notification.Audience`.

    :param switchboard: given every notification.
    :param wiring: rung as a whole after each new session, and when the safety net is cast.
    :param interval: seconds between two casts of the safety net; 0 for never.
    :ivar since: epoch seconds of the last change of the source's state.
    :ivar reason: why it changed.
    :ivar on_change: called when that state has changed; None for nobody.
    :ivar listened: the channels for which LISTEN was committed on the last session.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        switchboard: Switchboard,
        wiring: Wiring,
        interval: float,
    ) -> None:
        self._dispatch = switchboard.dispatch
        self.notified_all = switchboard.dispatch_all
        """Pass several notifications of one channel on."""
        self._wiring = wiring
        self._reactor = reactor
        self._state = State.STOPPED
        self._second: State | None = None
        self._heard = False
        self.since = reactor.seconds()
        self.reason = ""
        self.listened: frozenset[str] = frozenset()
        self.on_change: Callable[[], object] | None = None
        interval = check_seconds("interval", interval, zero=True)
        self._net = SafetyNet(reactor, interval, lambda: wiring.ring_all(Cause.INTERVAL))
        self._silence = Silence(reactor)
        self._deafness = Silence(reactor)

    def when_idle(self, seconds: float | None, function: Callable[[], object]) -> None:
        """Have a function called each time no notification came for so long; None for never."""
        self._silence.expect(_seconds("idle_timeout", seconds), function)

    def when_deaf(self, seconds: float | None, function: Callable[[], object]) -> None:
        """Have a function called when the source has not been listening for so long."""
        self._deafness.expect(_seconds("give_up_after", seconds), function)

    @property
    def interval(self) -> float:
        """Seconds between two casts of the safety net; 0 for never."""
        return self._net.interval

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._net.interval = check_seconds("interval", seconds, zero=True)
        self._net.rearm()

    @property
    def now(self) -> float:
        """The wall clock's time, in epoch seconds."""
        return self._reactor.seconds()

    def start(self) -> None:
        """Begin to count the time."""
        self._net.start()
        self._silence.start()
        self._deafness.start()

    def stop(self) -> None:
        """Count the time no more."""
        self._net.stop()
        self._silence.stop()
        self._deafness.stop()

    def rearm(self) -> None:
        """Set the timers anew, by the clock as it is now."""
        self._net.rearm()
        self._silence.rearm()
        self._deafness.rearm()

    def broken_silence(self) -> None:
        """Learn that something was heard that is no notification."""
        self._silence.broken()

    def notified(self, notification: Hearable) -> None:
        """Pass a notification on."""
        self._silence.broken()
        self._dispatch(notification)

    def heard_all(self) -> None:
        """Let the loops that have been rung take their turns."""
        self._wiring.take_turns()
        self._silence.broken()

    def listening(self, channels: frozenset[str], fresh: bool) -> None:
        """Make good what could not be heard before this LISTEN was committed."""
        self.listened = channels if fresh else self.listened | channels
        self._wiring.ring_missed(channels, fresh=fresh)

    def state_changed(self, state: State, reason: str) -> None:
        """Cast the safety net more often while nothing is heard."""
        self.since = self._reactor.seconds()
        self.reason = reason
        self._state = state
        self._judge()

    def second_changed(self, state: State | None) -> None:
        """Learn of a change of state of the second source; None when there is none any more."""
        self._second = state
        self._judge()

    @property
    def hears(self) -> bool:
        """Whether every source is listening."""
        return {self._state, self._second} <= {State.LISTENING, None}

    def _judge(self) -> None:
        before, self._heard = self._heard, self.hears
        self._net.hear(self._heard)
        if self._heard:
            self._deafness.stop()
        elif before and State.STOPPED not in (self._state, self._second):
            self._deafness.start()
        if self.on_change is not None:
            self.on_change()


def _seconds(what: str, seconds: float | None) -> float | None:
    return None if seconds is None else check_seconds(what, seconds)
