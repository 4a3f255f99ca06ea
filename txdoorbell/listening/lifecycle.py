"""
The listener's life: from stopped to listening, and back to it after every loss.

A machine of states, as a table. What a state needs, the session or the timer until the next
attempt, is that state's own and goes with it. Three states are called deaf to the outside: once a
probe was sent and not heard, no session is believed before one of its own probes was heard.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall

from txdoorbell.listening.core import Core
from txdoorbell.listening.probe import ProbeFailed
from txdoorbell.notification import ListenerStopped, State

__all__ = ["Life", "LiveSession", "new_life"]


@runtime_checkable  # automat checks what a state keeps
class LiveSession(Protocol):
    """What the machine needs of a :class:`txdoorbell.listening.hearing.HearingSession`."""

    @property
    def committed(self) -> frozenset[str] | None:
        """The channels for which LISTEN is committed; None before."""

    @property
    def latency(self) -> float | None:
        """Seconds that the last probe took to be heard; None before."""

    @property
    def queue_usage(self) -> float | None:
        """How full the server's queue was at the last probe, 0 to 1; None before."""

    def start(self) -> None:
        """Connect, and go on."""

    def update(self, channels: frozenset[str]) -> None:
        """Want these channels and no others."""

    def probe(self) -> Deferred[float]:
        """Probe now."""

    def close(self) -> None:
        """End, and report nothing more."""


class Life(Protocol):
    """The inputs: what the listener is asked, and what the session of its state reports."""

    def start(self) -> None:
        """Begin to listen; nothing when that has begun."""

    def stop(self) -> None:
        """Stop at once; nothing when stopped."""

    def want(self, channels: frozenset[str]) -> None:
        """Listen to these channels and no others."""

    def when_listening(self) -> Deferred[None]:
        """Return a fresh Deferred that fires once LISTEN is committed for what is wanted."""

    def probe(self) -> Deferred[float]:
        """Return a fresh Deferred with the seconds that a probe takes from now."""

    def retry(self) -> None:
        """End the wait between two attempts."""

    def established(self, session: LiveSession, text: str) -> None:
        """Learn that LISTEN has been committed on a new session."""

    def changed(self, channels: frozenset[str]) -> None:
        """Learn that LISTEN for further channels, or UNLISTEN, has been committed."""

    def restored(self, channels: frozenset[str]) -> None:
        """Learn that LISTEN for these channels was undone by others, and is committed again."""

    def heard(self, session: LiveSession, text: str) -> None:
        """Learn that a probe was heard."""

    def silent(self, session: LiveSession, text: str) -> None:
        """Learn that a probe was sent and not heard."""

    def unsent(self, session: LiveSession, text: str) -> None:
        """Learn that a probe could not be sent, so that nobody knows."""

    def lost(self, session: LiveSession, text: str) -> None:
        """Learn that the session has ended, or could not be made."""


def _machine() -> Callable[[Core], Life]:  # noqa: C901, PLR0915 - one table, in one piece
    machine = TypeMachineBuilder(Life, Core)

    def attempt(life: Life, core: Core) -> LiveSession:
        session = core.open_session(life, core.wanted)
        session.start()
        return session

    def keep(life: Life, core: Core, session: LiveSession, text: str) -> LiveSession:
        return session

    def wait(life: Life, core: Core, session: LiveSession, text: str) -> IDelayedCall:
        core.failures += 1
        return core.reactor.callLater(core.backoff(core.failures), life.retry)

    new = machine.state("new")
    stopped = machine.state("stopped")
    connecting = machine.state("connecting", attempt)
    listening = machine.state("listening", keep)
    waiting = machine.state("waiting", wait)
    # Deaf to the outside: a live session that isn't believed, and the two that lead back to one.
    doubtful = machine.state("doubtful", keep)
    deaf_waiting = machine.state("deaf_waiting", wait)
    deaf_connecting = machine.state("deaf_connecting", attempt)

    for active in (connecting, listening, doubtful, deaf_connecting, waiting, deaf_waiting):
        active.upon(Life.start, nodata=True).loop().returns(None)
    deaf_waiting.upon(Life.retry, nodata=True).to(deaf_connecting).returns(None)
    stopped.upon(Life.stop).loop().returns(None)

    @new.upon(Life.start).to(connecting)
    @stopped.upon(Life.start).to(connecting)
    def begin(life: Life, core: Core) -> None:
        core.enter(State.CONNECTING, "started")

    @waiting.upon(Life.retry, nodata=True).to(connecting)
    def begin_again(life: Life, core: Core) -> None:
        core.enter(State.CONNECTING, "trying again")

    @connecting.upon(Life.established, nodata=True).to(listening)
    def believe(life: Life, core: Core, session: LiveSession, text: str) -> None:
        core.failures = 0
        core.enter(State.LISTENING, text)
        catch_up(life, core, session, text)

    @deaf_connecting.upon(Life.established, nodata=True).to(doubtful)
    def catch_up(life: Life, core: Core, session: LiveSession, text: str) -> None:
        core.tell_listening(session.committed or frozenset(), fresh=True)
        core.settle(session)

    @listening.upon(Life.changed).loop()
    @doubtful.upon(Life.changed).loop()
    def catch_up_further(
        life: Life, core: Core, session: LiveSession, channels: frozenset[str]
    ) -> None:
        if channels:
            core.tell_listening(channels, fresh=False)
        core.settle(session)

    @listening.upon(Life.restored, nodata=True).loop()
    @doubtful.upon(Life.restored, nodata=True).loop()
    def catch_up_again(life: Life, core: Core, channels: frozenset[str]) -> None:
        core.logbook.note_restored(channels)
        if channels:
            core.tell_listening(channels, fresh=False)

    @listening.upon(Life.heard, nodata=True).loop()
    def confirm(life: Life, core: Core, session: LiveSession, text: str) -> None:
        core.measure(session)

    @doubtful.upon(Life.heard, nodata=True).to(listening)
    def believe_again(life: Life, core: Core, session: LiveSession, text: str) -> None:
        core.failures = 0
        core.measure(session)
        core.enter(State.LISTENING, text)

    @listening.upon(Life.unsent, nodata=True).to(doubtful)
    @doubtful.upon(Life.unsent, nodata=True).loop()
    def doubt(life: Life, core: Core, session: LiveSession, text: str) -> None:
        core.measure(session)
        core.enter(State.DEAF, text)

    @listening.upon(Life.silent, nodata=True).to(deaf_waiting)
    @doubtful.upon(Life.silent, nodata=True).to(deaf_waiting)
    def disbelieve(life: Life, core: Core, session: LiveSession, text: str) -> None:
        session.close()
        core.enter(State.DEAF, text)

    @connecting.upon(Life.lost, nodata=True).to(waiting)
    @listening.upon(Life.lost, nodata=True).to(waiting)
    def lose(life: Life, core: Core, session: LiveSession, text: str) -> None:
        core.enter(State.WAITING, text)

    @doubtful.upon(Life.lost, nodata=True).to(deaf_waiting)
    @deaf_connecting.upon(Life.lost, nodata=True).to(deaf_waiting)
    def lose_while_deaf(life: Life, core: Core, session: LiveSession, text: str) -> None:
        core.enter(State.DEAF, text)

    @connecting.upon(Life.stop).to(stopped)
    @listening.upon(Life.stop).to(stopped)
    @doubtful.upon(Life.stop).to(stopped)
    @deaf_connecting.upon(Life.stop).to(stopped)
    def hang_up(life: Life, core: Core, session: LiveSession) -> None:
        session.close()
        core.stop()

    @waiting.upon(Life.stop).to(stopped)
    @deaf_waiting.upon(Life.stop).to(stopped)
    def give_up(life: Life, core: Core, timer: IDelayedCall) -> None:
        timer.cancel()
        core.stop()

    @new.upon(Life.stop).to(stopped)
    def never_begin(life: Life, core: Core) -> None:
        core.stop()

    @new.upon(Life.want).loop()
    @stopped.upon(Life.want).loop()
    @waiting.upon(Life.want, nodata=True).loop()
    @deaf_waiting.upon(Life.want, nodata=True).loop()
    def remember(life: Life, core: Core, channels: frozenset[str]) -> None:
        core.wanted = channels

    @connecting.upon(Life.want).loop()
    @listening.upon(Life.want).loop()
    @doubtful.upon(Life.want).loop()
    @deaf_connecting.upon(Life.want).loop()
    def follow(life: Life, core: Core, session: LiveSession, channels: frozenset[str]) -> None:
        core.wanted = channels
        session.update(channels)
        core.settle(session)

    @new.upon(Life.when_listening).loop()
    @waiting.upon(Life.when_listening, nodata=True).loop()
    @deaf_waiting.upon(Life.when_listening, nodata=True).loop()
    def when_some_session_is(life: Life, core: Core) -> Deferred[None]:
        return core.when_in_step()

    @connecting.upon(Life.when_listening).loop()
    @listening.upon(Life.when_listening).loop()
    @doubtful.upon(Life.when_listening).loop()
    @deaf_connecting.upon(Life.when_listening).loop()
    def when_this_session_is(life: Life, core: Core, session: LiveSession) -> Deferred[None]:
        return core.when_in_step(session)

    @stopped.upon(Life.when_listening).loop()
    def not_any_more(life: Life, core: Core) -> Deferred[None]:
        return fail(ListenerStopped("the listener is stopped"))

    @listening.upon(Life.probe).loop()
    @doubtful.upon(Life.probe).loop()
    def probe(life: Life, core: Core, session: LiveSession) -> Deferred[float]:
        return session.probe()

    @connecting.upon(Life.probe, nodata=True).loop()
    @deaf_connecting.upon(Life.probe, nodata=True).loop()
    @waiting.upon(Life.probe, nodata=True).loop()
    @deaf_waiting.upon(Life.probe, nodata=True).loop()
    def nothing_to_probe(life: Life, core: Core) -> Deferred[float]:
        return fail(ProbeFailed(f"there is no session: {core.reason}"))

    @new.upon(Life.probe).loop()
    @stopped.upon(Life.probe).loop()
    def nobody_to_probe(life: Life, core: Core) -> Deferred[float]:
        return fail(ListenerStopped("the listener is stopped"))

    return machine.build()


new_life = _machine()
"""Makes a machine, in its first state, for a core."""
