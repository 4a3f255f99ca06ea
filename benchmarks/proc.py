"""What Linux tells of a process in ``/proc``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """
    What a process has used so far.

    :ivar wakes: how often one of its threads was woken (voluntary switches of context).
    :ivar cpu: seconds of a core, of all threads that live.
    :ivar memory: MB of resident memory, now.
    """

    wakes: int
    cpu: float
    memory: float


def usage_of(pid: int) -> Usage:
    """Read what a process has used."""
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    wakes = sum(int(_status(thread)["voluntary_ctxt_switches"]) for thread in threads)
    nanoseconds = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    memory = int(_status(Path(f"/proc/{pid}"))["VmRSS"].split()[0]) * 1024 / 1e6
    return Usage(wakes, nanoseconds / 1e9, memory)


def _status(place: Path) -> dict[str, str]:
    lines = (place / "status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
