"""
What can befall a fleet.

A fault returns what it has made, and leaves to the fleet to bring back, some faults later, who is
out: a process that was killed is started again, one that was frozen goes on as a zombie.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.fleet.judge import Trouble
from tests.fleet.ledger import LONG, LOOPS, RESTLESS
from tests.fleet.members import Member

if TYPE_CHECKING:
    from tests.fleet.conductor import Fleet

MID_FUNCTION = "frozen in mid-function"


def kill(fleet: Fleet) -> Trouble:
    """Kill a process."""
    victim, numbers = fleet.victim()
    now = fleet.cut(victim)
    victim.signal(signal.SIGKILL)
    fleet.is_out(victim)
    return Trouble("killed (SIGKILL)", now, now, numbers)


def stop(fleet: Fleet) -> Trouble:
    """Ask a process to stop; its function may come to its end."""
    victim, numbers = fleet.victim()
    now = time.time()
    victim.signal(signal.SIGTERM)
    fleet.is_out(victim)
    return Trouble("stopped (SIGTERM)", now, now, numbers, orderly=True)


def freeze(fleet: Fleet) -> Trouble:
    """
    Freeze a process in whatever it does; it goes on when its locks have been taken over.

    It has a loop that is about to call its function again, if it isn't active.
    """
    victim, numbers = fleet.victim(fleet.chance.choice(RESTLESS))
    now = time.time()
    victim.freeze()
    fleet.is_out(victim)
    return Trouble("frozen (SIGSTOP)", now, now, numbers)


def freeze_in_function(fleet: Fleet) -> Trouble:
    """Freeze a process in the midst of a function, which writes when it goes on."""
    loop = fleet.chance.choice(LOOPS)
    fleet.database.execute("insert into frost values (%s)", (loop,))
    fleet.ring(loop)
    victim: list[Member] = []

    def frozen() -> bool:
        victim[:] = [member for member in fleet.well if member.stands_still]
        return bool(victim)

    fleet.wait(f"the function of {loop} to freeze its process", frozen)
    now = time.time()
    [frozen_one] = victim
    frozen_one.frozen = True
    fleet.is_zombie(frozen_one)
    return Trouble(MID_FUNCTION, now, now, fleet.numbers(frozen_one))


def freeze_shortly(fleet: Fleet) -> Trouble:
    """Freeze any process for about as long as a lease lasts: what it holds may be lost, or not."""
    victim = fleet.chance.choice(fleet.well)
    now = time.time()
    victim.freeze()
    fleet.pause(fleet.chance.uniform(0.2, 1.4) * fleet.lease)
    victim.thaw()
    return Trouble("frozen for a moment", now, now, {})


def terminate(fleet: Fleet) -> Trouble:
    """End a process's sessions at the server."""
    victim, numbers = fleet.victim()
    now = fleet.cut(victim)
    sql = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s"
    fleet.database.execute(sql, (victim.name,))
    return Trouble("session terminated", now, now, numbers)


def disconnect(fleet: Fleet) -> Trouble:
    """
    Let nothing pass between a doorbell and the server; its functions still reach it.

    So nothing but its own lease can keep them from writing beside the next holder's: it has a loop
    that goes on without being rung, and for longer than the lease.
    """
    victim, numbers = fleet.victim(LONG)
    now = time.time()
    victim.wire.fall_silent()
    fleet.is_out(victim)
    return Trouble("network swallows everything", now, now, numbers)


def restart(mode: str) -> Callable[[Fleet], Trouble]:
    """Return a fault: the server is stopped, and started again."""

    def restart_server(fleet: Fleet) -> Trouble:
        numbers = {loop: number for loop, (number, _) in fleet.held().items()}
        now = fleet.cut(*fleet.members)
        fleet.server.stop(mode)
        fleet.server.start()
        return Trouble(f"server restarted, {mode}", now, time.time(), numbers)

    return restart_server


FAULTS: list[Callable[[Fleet], Trouble]] = [
    kill,
    stop,
    freeze,
    freeze_in_function,
    freeze_shortly,
    terminate,
    disconnect,
    restart("fast"),
    restart("immediate"),
]
"""All kinds."""
