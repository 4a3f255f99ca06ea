"""Runs a fleet through faults, waits after each until all is well, and has it judged."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psycopg2

from tests.commands import environment
from tests.fleet.faults import FAULTS
from tests.fleet.judge import Cut, Judgement, Trouble
from tests.fleet.ledger import LONG, LOOPS, Database, prepare, read_entries
from tests.fleet.members import Member, Terms
from tests.fleet.report import Report
from tests.fleet.ringer import Ringer
from tests.servers import until
from txdoorbell.embedded import PostgresServer
from txdoorbell.leadership import lock_key

MOST_OUT = 3
"""How many of a fleet may be killed or frozen at a time."""

_HOLDERS = """
select l.classid::bigint, l.objid::bigint, a.application_name
from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 2
"""

_KEYS = {tuple(part & 0xFFFFFFFF for part in lock_key(loop)): loop for loop in LOOPS}


class Fleet:
    """
    A fleet at a server that runs; :meth:`close` ends all of it but the server.

    :param folder: for all files.
    :param terms: of each process.
    :param seed: of the choice of faults, of their victims and times.
    :param say: given lines to print.
    :ivar lease: for how many seconds a holder may be silent.
    :ivar troubles: the faults made so far.
    """

    def __init__(
        self,
        server: PostgresServer,
        folder: Path,
        terms: Sequence[Terms],
        *,
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        self.server = server
        self.lease = max(each.lease for each in terms)
        self.chance = random.Random(seed)
        self._seed = seed
        self.database = Database(server.dsn, "fleet conductor")
        self.members = [
            Member(number, folder, server.dsn, each) for number, each in enumerate(terms, 1)
        ]
        self.troubles: list[Trouble] = []
        self._cuts: list[Cut] = []
        self._out: list[Member] = []
        self._zombies: list[Member] = []
        self._statuses: Counter[int | None] = Counter()
        self._say = say
        self._ringer = Ringer(server.dsn, rate=15.0)
        self._deadline = 20.0 + 4 * min(each.lease for each in terms)

    # -- what faults ask for

    @property
    def well(self) -> list[Member]:
        """The members that run, as far as anybody knows."""
        return [member for member in self.members if member.well]

    def victim(self, loop: str | None = None) -> tuple[Member, dict[str, int]]:
        """Return who holds a loop, None for any of them, and the numbers of all its leases."""
        wanted = loop or self.chance.choice(LOOPS)
        boots: list[str] = []

        def is_held() -> bool:
            boots[:] = [boot for name, (_, boot) in self.held().items() if name == wanted]
            return bool(boots)

        self.wait(f"{wanted} to be held, for a fault", is_held)
        [victim] = [member for member in self.members if member.boot == boots[0]]
        return victim, self.numbers(victim)

    def numbers(self, member: Member) -> dict[str, int]:
        """Return the loops that a member has been the last to write for, and its numbers."""
        fence = self.fence().items()
        return {loop: number for loop, (number, boot) in fence if boot == member.boot}

    def cut(self, *members: Member) -> float:
        """Note that the sessions of members are about to be ended, and return when that was."""
        now = time.time()
        self._cuts += [Cut(member.boot, now) for member in members]
        return now

    def is_out(self, member: Member) -> None:
        """Have a member brought back some time later."""
        self._out.append(member)

    def is_zombie(self, member: Member) -> None:
        """Have a member brought back as soon as its loops are held elsewhere."""
        self._zombies.append(member)

    def ring(self, loop: str) -> int:
        """Order a job, and return its number."""
        [(number,)] = self.database.execute("select ring(%s)", (loop,))
        return int(number)

    def fence(self) -> dict[str, tuple[int, str]]:
        """Return the number under which each loop has written last, and the process."""
        rows = self.database.execute("select loop, number, boot from fence")
        return {loop: (number, boot) for loop, number, boot in rows}

    def held(self) -> dict[str, tuple[int, str]]:
        """Return the loops that a process holds that is well and has written: number, process."""
        rows = self.database.execute(_HOLDERS)
        holders = {_KEYS.get((high, low)): name for high, low, name in rows}
        boots = {member.name: member.boot for member in self.well}
        return {
            loop: (number, boot)
            for loop, (number, boot) in self.fence().items()
            if loop in holders and boots.get(holders[loop]) == boot
        }

    def wait(self, what: str, holds: Callable[[], object]) -> None:
        """
        Wait for something at the server, which may be away meanwhile.

        :raises AssertionError: when it does not come about; the text says what.
        """

        def holds_now() -> object:
            with suppress(psycopg2.Error):
                return holds()
            return False

        try:
            until(what, holds_now, self._deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}; seed {self._seed}, {self._situation()}") from None

    def _situation(self) -> str:
        """Say who is out, who holds what, and who has written last."""
        members = list(map(str, self.members))
        try:
            locks = self.database.execute(_HOLDERS)
            return f"processes {members}, locks {locks}, writes {self.fence()}"
        except psycopg2.Error as error:
            return f"processes {members}; the server: {error}"

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        threading.Event().wait(seconds)

    # -- the run

    def start(self) -> None:
        """Make the tables, start all, and wait until each loop is held."""
        prepare(self.database)
        command = ["-m", "txdoorbell", "sql", "--fleet", "--apply", "--dsn", self.server.dsn]
        subprocess.run(
            [sys.executable, *command],
            env=environment(),
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )
        for member in self.members:
            member.start()
        self.wait("all processes to listen", self._all_listen)
        self._all_held("at the start", {})
        self._ringer.start()

    def _all_listen(self) -> bool:
        sql = "select distinct application_name from pg_stat_activity"
        names = {name for (name,) in self.database.execute(sql)}
        return names >= {member.name for member in self.members}

    def endure(self, faults: int, until_time: float = 0.0) -> None:
        """
        Make faults, so many at least, and until a time of the monotonic clock.

        :raises AssertionError: when something does not come about in time.
        """
        for fault in self._endless():
            if len(self.troubles) >= faults and time.monotonic() >= until_time:
                break
            self.make(fault)
            self._bring_back()
            self.pause(self.chance.uniform(0.0, 0.3))

    def make(self, fault: Callable[[Fleet], Trouble]) -> None:
        """
        Make one fault.

        :raises AssertionError: when not all loops are held again in time, or don't run when rung.
        """
        trouble = fault(self)
        self.troubles.append(trouble)
        self._all_held(f"after: {trouble.name}", trouble.numbers)
        self._all_served(trouble.name)

    def _endless(self) -> Iterator[Callable[[Fleet], Trouble]]:
        while True:
            yield from self.chance.sample(FAULTS, len(FAULTS))

    def _all_held(self, when: str, before: Mapping[str, int]) -> None:
        """Wait until each loop is held, by a newer lease where there was one before."""

        def all_held() -> bool:
            held = self.held()
            return len(held) == len(LOOPS) and all(
                held[loop][0] > number for loop, number in before.items()
            )

        self.wait(f"each loop to be held, {when}", all_held)

    def _all_served(self, name: str) -> None:
        """Ring, and wait until it was followed; that of the long loop is looked at in the end."""
        jobs = {self.ring(loop) for loop in LOOPS if loop != LONG}
        sql = "select count(*) from job where done is null and number = any(%s)"

        def served() -> bool:
            return self.database.execute(sql, (list(jobs),)) == [(0,)]

        self.wait(f"the rings to be served that were sent after: {name}", served)

    def _bring_back(self) -> None:
        """Bring back who is out: each some faults later, but a zombie in mid-function at once."""
        sql = "select 1 from entry where kind = 'late' and boot = %s"
        while self._zombies:
            zombie = self._zombies.pop()
            zombie.thaw()
            writes = partial(self.database.execute, sql, (zombie.boot,))
            self.wait(f"the zombie {zombie.boot} to write", writes)
        chance = self.chance.random()
        while len(self._out) >= MOST_OUT or (self._out and chance < 0.6):
            self._back(self._out.pop(0))
            chance = self.chance.random()

    def _back(self, member: Member) -> None:
        if member.wire.silent:
            member.wire.pass_on()
        elif member.frozen:
            member.thaw()
        else:
            until(f"{member.name} to end", partial(_ended, member), 20.0)
            self._statuses[member.status] += 1
            member.start()

    def finish(self) -> list[str]:
        """
        Bring all back, see that nothing is left undone, stop all, and have it judged.

        :returns: what there is to complain of: nothing, if all was well.
        """
        while self._out:
            self._back(self._out.pop(0))
        self._all_held("when all are back", {})
        self._ringer.stop()
        self._all_served("all")
        undone = "select 1 from job where done is null"
        self.wait("all jobs to be done", lambda: not self.database.execute(undone))
        for member in self.members:
            member.signal(signal.SIGTERM)
        for member in self.members:
            until(f"{member.name} to end", partial(_ended, member), 20.0)
            self._statuses[member.status] += 1
        judgement = Judgement(read_entries(self.database), self._cuts, self.lease)
        report = Report(judgement, self.troubles, self.members, self._statuses)
        for line in report.lines(self.database):
            self._say(line)
        return report.complaints

    def close(self) -> None:
        """End whatever runs."""
        self._ringer.stop()
        for member in self.members:
            member.close()
        self.database.close()


def _ended(member: Member) -> bool:
    return not member.alive
