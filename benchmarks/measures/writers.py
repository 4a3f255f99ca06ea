"""What a ring costs those who write: commits per second with and without a trigger that rings."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import psycopg2

from benchmarks.bench import Bench, server
from benchmarks.figures import median, written
from benchmarks.outcome import Outcome, Table
from benchmarks.record import CHANNEL
from txdoorbell.embedded import PostgresServer, find_binaries

CLIENTS = 32

PATIENCE = 120.0

_INSERT = "insert into {kind} (body) values ('twenty bytes of body');\n"

_TABLE = "create table {kind} (id bigserial primary key, body text)"

_ROW = f"""
    create function ring_row() returns trigger language plpgsql as $$
    begin perform pg_notify('{CHANNEL}', new.id::text); return null; end $$;
    create trigger ring after insert on by_row for each row execute function ring_row()
"""

# One ring for a statement, however many rows it writes; equal ones of a transaction are merged.
_STATEMENT = f"""
    create function ring_statement() returns trigger language plpgsql as $$
    begin perform pg_notify('{CHANNEL}', ''); return null; end $$;
    create trigger ring after insert on by_statement
        for each statement execute function ring_statement()
"""

KINDS = {
    "silent": "no trigger",
    "by_row": "a row trigger, the row's id as payload",
    "by_statement": "a statement trigger, no payload",
}

Rounds = dict[str, list[float]]


def measure(bench: Bench) -> Outcome:
    """Write in each way in turn, several rounds, while a doorbell listens."""
    rounds: Rounds = {kind: [] for kind in KINDS}
    with server({"max_connections": "100"}) as private:
        _prepare(private)
        with bench.start("busy", "processor", 1, private.dsn) as listener:
            listener.hear("port", within=30)
            for _ in range(bench.sizes.rounds):
                for kind in KINDS:
                    rounds[kind].append(_write(bench, private, kind))
    return Outcome("writers", [_table(rounds, pgbench())], raw={"rounds": rounds})


def pgbench() -> Path | None:
    """Return where pgbench is, if it is: beside the server, or in the path."""
    beside = find_binaries() / "pgbench"
    found = str(beside) if beside.exists() else shutil.which("pgbench")
    return Path(found) if found else None


def _prepare(private: PostgresServer) -> None:
    connection = psycopg2.connect(private.dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for kind in KINDS:
            cursor.execute(_TABLE.format(kind=kind))
        cursor.execute(_ROW)
        cursor.execute(_STATEMENT)
        cursor.execute("checkpoint")
    connection.close()


def _write(bench: Bench, private: PostgresServer, kind: str) -> float:
    program = pgbench()
    if program is None:
        return _write_from_python(bench, private, kind)
    script = bench.folder / f"{kind}.sql"
    script.write_text(_INSERT.format(kind=kind))
    seconds = str(max(1, round(bench.sizes.writing)))
    options = ["-n", "-c", str(CLIENTS), "-j", "2", "-T", seconds, "-f", str(script)]
    done = subprocess.run(
        [str(program), *options, private.dsn],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    found = re.search(r"tps = ([\d.]+) \(without initial", done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench: {done.stdout} {done.stderr}")
    return float(found[1])


def _write_from_python(bench: Bench, private: PostgresServer, kind: str) -> float:
    sql = _INSERT.format(kind=kind).strip()
    with bench.start("writers", private.dsn, sql, CLIENTS, bench.sizes.writing) as process:
        return float(process.hear("rate", within=60 + bench.sizes.writing)["rate"])


def _table(rounds: Rounds, program: Path | None) -> Table:
    rows = [["one insert in each transaction", "commits per second", "/ no trigger"]]
    for kind, title in KINDS.items():
        pairs = zip(rounds[kind], rounds["silent"], strict=True)
        share = median(own / silent for own, silent in pairs)
        rows.append([title, written(median(rounds[kind])), written(share)])
    with_what = "pgbench" if program else "threads of Python"
    note = f"{CLIENTS} clients, {with_what}; the server syncs each commit. One doorbell listens."
    return Table("Writers", rows, note)
