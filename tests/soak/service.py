"""The doorbell of a soak: a service for twistd, with its settings from the environment."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from twisted.application.service import Application, IServiceCollection
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater

from tests.soak.record import ABSENCE, CHANNELS, FLICKERING, UNRUNG, Record
from txdoorbell.doorbell import Doorbell
from txdoorbell.listening.backoff import backoff_policy
from txdoorbell.notification import Hearable

LOOK = 0.01
"""Seconds between two looks at the listener's state."""

RESTART = signal.SIGUSR2
"""Stops the doorbell, and starts it again in the same process."""


class Worker:
    """
    The function of a channel, in one of the forms that functions have.

    :param work: seconds for which it is active.
    """

    def __init__(self, reactor: Any, record: Record, channel: str, work: float) -> None:
        self._reactor = reactor
        self._record = record
        self._channel = channel
        self._work = work

    def hint(self, notification: Hearable) -> None:
        """Write down which ring was heard."""
        self._record.event("heard", notification.payload)

    def plain(self) -> None:
        """Return at once."""
        self._record.event("ran", self._channel)

    def deferred(self) -> Deferred[None]:
        """Return a Deferred."""
        self.plain()
        return deferLater(self._reactor, self._work)

    async def coroutine(self) -> None:
        """Be a coroutine."""
        self.plain()
        await deferLater(self._reactor, self._work)

    def generator(self) -> Iterator[None]:
        """Be worked off in steps."""
        self.plain()
        for _ in range(5):
            yield


def make_application() -> Any:
    """Return the application, with the doorbell that the environment asks for."""
    from twisted.internet import reactor

    bell, record = make_doorbell(reactor, json.loads(os.environ["SOAK_OPTIONS"]))
    application: Any = Application("soak")
    bell.setServiceParent(IServiceCollection(application))
    LoopingCall(state_recorder(bell, record)).start(LOOK)
    LoopingCall(Flicker(reactor, bell, record).toggle).start(ABSENCE / 2)
    react_to(reactor, RESTART, bell.restart)
    return application


def react_to(reactor: Any, number: signal.Signals, function: Callable[[], object]) -> None:
    """Have a function called from the reactor when a signal comes."""
    signal.signal(number, lambda *_: reactor.callFromThread(function))


def make_doorbell(reactor: Any, options: dict[str, Any]) -> tuple[Doorbell, Record]:
    """Return the doorbell and where it writes things down. It has no safety net."""
    record = Record(Path(os.environ["SOAK_RECORD"]))
    backoff = backoff_policy(0.05, options.pop("backoff"))
    bell = Doorbell(
        reactor, os.environ["SOAK_DSN"], channels=UNRUNG, interval=0, backoff=backoff, **options
    )
    bell.add(Worker(reactor, record, UNRUNG, 0.0).plain, name=UNRUNG, channels=[UNRUNG])
    for number, channel in enumerate(CHANNELS):
        worker = Worker(reactor, record, channel, 0.002)
        kinds: list[Callable[[], Any | Coroutine[Any, Any, None]]]
        kinds = [worker.plain, worker.deferred, worker.coroutine, worker.generator, worker.plain]
        kind = number % len(kinds)
        bell.add(
            kinds[kind],
            name=channel,
            channels=[channel],
            hint=worker.hint,
            blocking=kind == len(kinds) - 1,
        )
    return bell, record


class Flicker:
    """Takes functions out of the doorbell, and puts them back: LISTEN has to follow."""

    def __init__(self, reactor: Any, bell: Doorbell, record: Record) -> None:
        self._reactor = reactor
        self._bell = bell
        self._workers = {channel: Worker(reactor, record, channel, 0.0) for channel in FLICKERING}
        self._present = list(FLICKERING)
        for channel in FLICKERING:
            self._add(channel)

    def _add(self, channel: str) -> None:
        worker = self._workers[channel]
        self._bell.add(worker.plain, name=channel, channels=[channel], hint=worker.hint)

    def toggle(self) -> None:
        """Remove a function, to add it again soon."""
        channel = random.choice(self._present)
        self._present.remove(channel)
        self._bell.remove(self._workers[channel].plain)
        self._reactor.callLater(random.uniform(0.0, ABSENCE), self._back, channel)

    def _back(self, channel: str) -> None:
        self._present.append(channel)
        self._add(channel)


def state_recorder(bell: Doorbell, record: Record) -> Callable[[], None]:
    """Return a function that writes the listener's state down when it has changed."""
    last: list[str] = [""]

    def look() -> None:
        state = str(bell.listener.state)
        if state != last[0]:
            last[0] = state
            record.event("state", state)

    return look
