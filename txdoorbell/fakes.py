"""A listener with no server behind it, for tests; published by :mod:`txdoorbell.testing`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txdoorbell.fleet.fake_locks import FakeLocks, FakeLockSource
from txdoorbell.notification import (
    Audience,
    ListenerStopped,
    Nobody,
    Notification,
    State,
    check_channel,
    check_channels,
    check_payload,
)


class FakeListener(FakeLockSource, Service):
    """
    A listener with no server behind it: the test says what is notified, and when it is lost.

    Give it to ``Doorbell(clock, listener=FakeListener(clock))``. It keeps the promises of the real
    one: a notification is heard only where LISTEN is committed on a live session, and is lost
    otherwise; names and payloads are checked; its audience is called in a later turn of the
    reactor. What takes the real one time takes one turn here, so ``clock.advance(0)`` does it.

    :param reactor: a :class:`~twisted.internet.task.Clock`, or any reactor.
    :param pid: the process id of the backend that :meth:`notify` seems to use.
    :param host: what leases call the host that it seems to be on.
    :param locks: of its server; listeners that share them are a fleet. None: its own.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        pid: int = 4711,
        *,
        host: str = "fake",
        locks: FakeLocks | None = None,
    ) -> None:
        super().__init__(host, locks or FakeLocks())
        self.pid = pid
        self._reactor = reactor
        self._audience: Audience = Nobody()
        self._state = State.STOPPED
        self._ended = False
        self._refusal: str | None = None
        self._wanted: frozenset[str] = frozenset()
        self._listened: frozenset[str] = frozenset()
        self._sent: list[Notification] = []
        self._unanswered: list[Deferred[None]] = []
        self._waiters: list[Deferred[None]] = []
        self._next_turn: list[Callable[[], object]] = []
        self._turn: IDelayedCall | None = None

    # -- what a test may look at

    @property
    def state(self) -> State:
        """What the listener is doing now."""
        return self._state

    @property
    def channels(self) -> frozenset[str]:
        """The channels that are wanted."""
        return self._wanted

    @property
    def listened(self) -> frozenset[str]:
        """The channels for which LISTEN is committed on the live session; none without one."""
        return self._listened

    @property
    def sent(self) -> tuple[Notification, ...]:
        """All that :meth:`notify` was asked to send, in order, committed or not."""
        return tuple(self._sent)

    # -- what a test may do

    def deliver(self, channel: str, payload: str = "", pid: int = 0) -> bool:
        """
        Notify, as somebody else's session would: the audience hears it at once, or never.

        :param pid: the process id of the sender's backend.
        :returns: whether it was heard: the session is up, and LISTEN committed for the channel.
        """
        notification = Notification(check_channel(channel), check_payload(payload), pid)
        if self._state is not State.LISTENING or channel not in self._listened:
            return False
        self._audience.notified(notification)
        return True

    def lose(self, reason: str = "server closed the connection unexpectedly") -> None:
        """
        Lose the session; the server stays away until :meth:`regain`.

        :raises AssertionError: when there is no session to lose.
        """
        self._assert_session("lose")
        self.refuse(reason)
        self._without_session(State.WAITING, reason)

    def deafen(self, reason: str = "a probe was not heard within 5 s") -> None:
        """
        Let the session seem alive, but deliver nothing until :meth:`regain`.

        :raises AssertionError: when there is no session.
        """
        self._assert_session("deafen")
        self._without_session(State.DEAF, reason)

    def refuse(self, reason: str = "connection refused") -> None:
        """Let each attempt to connect fail from now on, until :meth:`regain`."""
        self._refusal = reason

    def regain(self) -> None:
        """Let connecting succeed again, and connect at once where there is no session."""
        self._refusal = None
        if self._state in (State.WAITING, State.DEAF):
            self._connect()

    def _assert_session(self, what: str) -> None:
        if self._state not in (State.LISTENING, State.DEAF):
            raise AssertionError(f"can't {what}: the listener has no session, it is {self._state}")

    # -- what the real listener does

    def report_to(self, audience: Audience) -> None:
        """Take the one audience, before the service is started."""
        self._audience = audience

    def set_channels(self, channels: Iterable[str]) -> None:
        """
        Want these channels and no others; LISTEN and UNLISTEN are committed in the next turn.

        :raises TypeError: for a name that is no str, and for a str in place of several names.
        :raises ValueError: for a name that PostgreSQL would not take whole; nothing is changed.
        """
        if isinstance(channels, str):
            raise TypeError(f"channels must be several names, not the str {channels!r}")
        self._want(frozenset(check_channels(channels)))

    def _want(self, names: frozenset[str]) -> None:
        self._wanted = names
        if self._state is State.LISTENING:
            self._later(self._listen)

    def when_listening(self) -> Deferred[None]:
        """
        Return a fresh Deferred that fires once LISTEN is committed for every wanted channel.

        Before the first start it waits for that. It fails with :exc:`ListenerStopped` when the
        listener is stopped first, and at once when it has been stopped.
        """
        if self._is_listening:
            return succeed(None)
        if self._ended:
            return fail(ListenerStopped("the listener is stopped"))
        waiter: Deferred[None] = Deferred(self._waiters.remove)
        self._waiters.append(waiter)
        return waiter

    def notify(self, channel: str, payload: str = "") -> Deferred[None]:
        """
        Send a notification, which this listener hears like any other's.

        :returns: fires in the next turn; fails with :exc:`ConnectionError` while the server refuses
            connections, and with :exc:`ListenerStopped` on a listener that isn't running.
        :raises TypeError: for a channel or payload that is no str.
        :raises ValueError: for a channel or payload that PostgreSQL would not take.
        """
        notification = Notification(check_channel(channel), check_payload(payload), self.pid)
        self._sent.append(notification)
        return self._ask(lambda: self.deliver(*notification))

    def probe(self) -> Deferred[float]:
        """
        Ring a channel of its own.

        :returns: 0.0 seconds, in the next turn; fails with :exc:`ConnectionError` when it isn't
            heard, and with :exc:`ListenerStopped` on a listener that isn't running.
        """
        return self._ask(self._hear_probe).addCallback(lambda _: 0.0)

    def startService(self) -> None:
        """Begin to connect; the session is there in the next turn, unless it is refused."""
        if not self.running:
            super().startService()
            self._ended = False
            self._connect()

    def stopService(self) -> Deferred[None]:
        """
        Stop; the audience is told before this returns, and no delayed call is left.

        :returns: has fired.
        """
        super().stopService()
        self._ended = True
        if self._state is not State.STOPPED:
            self._without_session(State.STOPPED, "")
        waiting = [*self._unanswered, *self._waiters]
        self._unanswered, self._waiters = [], []
        while self._next_turn:
            self._take_turn()
        for waiter in waiting:
            waiter.errback(ListenerStopped("the listener was stopped"))
        return succeed(None)

    # -- how

    @property
    def _is_listening(self) -> bool:
        return self._state is State.LISTENING and self._wanted <= self._listened

    def _become(self, state: State, reason: str = "") -> None:
        self._state = state
        self._later(lambda: self._audience.state_changed(state, reason))

    def _without_session(self, state: State, reason: str) -> None:
        self._listened = frozenset()
        if state is not State.DEAF:
            self._close_lock_session(reason or str(state))
        self._become(state, reason)

    def _connect(self) -> None:
        self._without_session(State.CONNECTING, "")
        self._later(self._connected)

    def _connected(self) -> None:
        if self._state is not State.CONNECTING:
            return
        if self._refusal is not None:
            self._without_session(State.WAITING, self._refusal)
            return
        self._listened = self._wanted
        self._become(State.LISTENING)
        self._tell_listening(self._listened, fresh=True)
        self._open_lock_session()

    def _listen(self) -> None:
        if self._state is State.LISTENING:
            added, self._listened = self._wanted - self._listened, self._wanted
            self._tell_listening(added, fresh=False)

    def _tell_listening(self, channels: frozenset[str], fresh: bool) -> None:
        if channels or fresh:
            self._later(lambda: self._audience.listening(channels, fresh))
        self._later(self._fire_waiters)

    def _fire_waiters(self) -> None:
        if self._is_listening:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.callback(None)

    def _ask(self, do: Callable[[], object]) -> Deferred[None]:
        if self._state is State.STOPPED:
            return fail(ListenerStopped("the listener is stopped"))
        answer: Deferred[None] = Deferred()
        self._unanswered.append(answer)
        self._later(lambda: self._answer(answer, do))
        return answer

    def _answer(self, answer: Deferred[None], do: Callable[[], object]) -> None:
        if answer not in self._unanswered:
            return
        self._unanswered.remove(answer)
        try:
            if self._refusal is not None:
                raise ConnectionError(self._refusal)
            do()
        except ConnectionError as error:
            answer.errback(error)
        else:
            answer.callback(None)

    def _hear_probe(self) -> None:
        if self._state is not State.LISTENING:
            raise ConnectionError("the probe was not heard")

    def _later(self, step: Callable[[], object]) -> None:
        """Take a step in the next turn: nothing happens under whoever calls the listener."""
        self._next_turn.append(step)
        if self._turn is None:
            self._turn = self._reactor.callLater(0, self._take_turn)

    def _take_turn(self) -> None:
        if self._turn is not None and self._turn.active():
            self._turn.cancel()
        self._turn = None
        steps, self._next_turn = self._next_turn, []
        for step in steps:
            step()
