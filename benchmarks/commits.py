"""Writers that commit one statement after the other: how many commits, and how long each took."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import percentile
from txdoorbell.embedded import find_binaries

CLIENTS = 32

PATIENCE = 120.0


@dataclass(frozen=True)
class Commits:
    """
    What some seconds of writing came to.

    :ivar rate: commits in a second.
    :ivar p50: milliseconds from a statement until the client knew that it was committed.
    :ivar p99: the same, of the slowest hundredth.
    """

    rate: float
    p50: float
    p99: float


def pgbench() -> Path | None:
    """Return where pgbench is, if it is: beside the server, or in the path."""
    beside = find_binaries() / "pgbench"
    found = str(beside) if beside.exists() else shutil.which("pgbench")
    return Path(found) if found else None


def write(bench: Bench, dsn: str, sql: str, cores: Collection[int]) -> Commits:
    """
    Let all clients commit a statement again and again, for as long as a round is.

    :param cores: on which they run.
    :raises RuntimeError: pgbench failed; the text is what it said.
    """
    program = pgbench()
    if program is None:
        return _write_from_python(bench, dsn, sql, cores)
    script, log = bench.folder / "commits.sql", bench.folder / "commits"
    script.write_text(sql + ";\n")
    seconds = str(max(1, round(bench.sizes.writing)))
    options = ["-n", "-c", str(CLIENTS), "-j", "2", "-T", seconds, "-f", str(script)]
    done = subprocess.run(
        [str(program), *options, "-l", f"--log-prefix={log}", dsn],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    found = re.search(r"tps = ([\d.]+) \(without initial", done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench: {done.stdout} {done.stderr}")
    return _commits(float(found[1]), _logged(bench.folder))


def _logged(folder: Path) -> list[float]:
    """Return milliseconds of all transactions that pgbench has logged, and remove its logs."""
    waits = []
    for log in folder.glob("commits.[0-9]*"):
        waits += [int(line.split()[2]) / 1000 for line in log.read_text().splitlines()]
        log.unlink()
    return waits


def _write_from_python(bench: Bench, dsn: str, sql: str, cores: Collection[int]) -> Commits:
    with bench.start("writers", dsn, sql, CLIENTS, bench.sizes.writing) as process:
        os.sched_setaffinity(process.pid, cores)
        heard = process.hear("rate", within=PATIENCE)
    return _commits(float(heard["rate"]), heard["waits"])


def _commits(rate: float, waits: Sequence[float]) -> Commits:
    return Commits(rate, percentile(waits, 0.5), percentile(waits, 0.99))
