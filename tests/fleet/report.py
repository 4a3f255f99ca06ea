"""What is said of a fleet when its run is over."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping, Sequence

from tests.fleet.faults import MID_FUNCTION
from tests.fleet.judge import Judgement, Trouble
from tests.fleet.ledger import Database
from tests.fleet.members import Member

_TRACEBACK = re.compile(
    r"^(\t?)Traceback \(most recent call last\):\n(?:\1[ \t].*\n)*\1(\S.*)", re.M
)
"""How the log indents it, and the error."""

_STATUSES = (0, -signal.SIGTERM, -signal.SIGKILL)


class Report:
    """
    The figures of a run, and what there is to complain of.

    :param statuses: with which processes ended, and how often.
    """

    def __init__(
        self,
        judgement: Judgement,
        troubles: Sequence[Trouble],
        members: Sequence[Member],
        statuses: Mapping[int | None, int],
    ) -> None:
        self._judgement = judgement
        self._troubles = troubles
        self._members = members
        self._statuses = statuses

    @property
    def complaints(self) -> list[str]:
        """What was not as promised; empty if all was well."""
        judgement = self._judgement
        complaints = [
            *(f"a lease of two processes: {lease}" for lease in judgement.shared),
            *(f"a stale write was accepted: {stale}" for stale in judgement.unfenced),
            *(f"without excuse: {stale}" for stale in judgement.wrongful),
            *self._errors(),
            *(f"a process ended with status {s}" for s in self._statuses if s not in _STATUSES),
        ]
        if not self._late and any(trouble.name == MID_FUNCTION for trouble in self._troubles):
            complaints.append("no zombie's write was refused")
        return complaints

    @property
    def _late(self) -> int:
        return sum(entry.kind == "late" for entry in self._judgement.refused)

    def _errors(self) -> Iterator[str]:
        for member in self._members:
            log = member.log.read_text(errors="replace") if member.log.exists() else ""
            for _, error in _TRACEBACK.findall(log):
                if not error.startswith("psycopg2."):  # a function's, when the server went away
                    yield f"{member.name} logged an error: {error}"

    def lines(self, database: Database) -> Iterator[str]:
        """Generate lines that say how it went."""
        [(jobs, slowest)] = database.execute(
            "select count(*), extract(epoch from max(done - ordered)) from job"
        )
        entries = self._judgement.entries
        leases = {(entry.loop, entry.number) for entry in entries}
        yield from self._judgement.table(self._troubles)
        yield ""
        yield f"faults          {len(self._troubles)}"
        yield f"leases          {len(leases)}, of {len({loop for loop, _ in leases})} loops"
        yield f"processes       {len({entry.boot for entry in entries})} that have had one"
        yield f"writes          {len(entries)}, {len(self._judgement.refused)} of them refused"
        yield f"zombies' writes {self._late} in mid-function, refused"
        yield f"jobs            {jobs}, each done within {slowest:.1f} s"
        yield f"exit statuses   {dict(self._statuses)}"
        yield ""
        yield "VERDICT: " + ("; ".join(self.complaints) or "all is well")
