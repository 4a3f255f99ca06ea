"""What a ring costs those who write: commits per second with and without a trigger that rings."""

from __future__ import annotations

import re
import subprocess

import psycopg2

from benchmarks.bench import Bench, server
from benchmarks.commits import CLIENTS, PATIENCE, pgbench
from benchmarks.figures import median, written
from benchmarks.outcome import Outcome, Table
from benchmarks.record import CHANNEL
from txdoorbell.embedded import PostgresServer
from txdoorbell.sql import trigger_sql

_INSERT = "insert into {kind} (body) select 'twenty bytes of body' from generate_series(1, {rows})"

_TABLE = "create table {kind} (id bigserial primary key, body text)"

_ROW = f"""
    create function ring_row() returns trigger language plpgsql as $$
    begin perform pg_notify('{CHANNEL}', new.id::text); return null; end $$;
    create trigger ring after insert on by_row for each row execute function ring_row()
"""

KINDS = {
    "silent": "no trigger",
    "by_row": "a trigger for each row, its id as payload",
    "by_statement": "the trigger of ``txdoorbell sql``",
}

ROWS = (1, 100)
"""Rows that are inserted by one statement, which is a transaction."""

Rounds = dict[str, list[float]]
"""Commits per second, by kind and number of rows: ``silent 1``."""


def measure(bench: Bench) -> Outcome:
    """Write in each way in turn, several rounds, while a doorbell listens."""
    ways = [(kind, rows) for rows in ROWS for kind in KINDS]
    rounds: Rounds = {f"{kind} {rows}": [] for kind, rows in ways}
    with server({"max_connections": "100"}) as private:
        _prepare(private)
        with bench.start("busy", "processor", 1, private.dsn) as listener:
            listener.hear("port", within=30)
            for _ in range(bench.sizes.rounds):
                for kind, rows in ways:
                    rounds[f"{kind} {rows}"].append(_write(bench, private, kind, rows))
    return Outcome("writers", [_table(rounds)], raw={"rounds": rounds})


def _prepare(private: PostgresServer) -> None:
    connection = psycopg2.connect(private.dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for kind in KINDS:
            cursor.execute(_TABLE.format(kind=kind))
        cursor.execute(_ROW)
        cursor.execute(trigger_sql("by_statement", CHANNEL, on="insert"))
        cursor.execute("checkpoint")
    connection.close()


def _write(bench: Bench, private: PostgresServer, kind: str, rows: int) -> float:
    program, sql = pgbench(), _INSERT.format(kind=kind, rows=rows)
    if program is None:
        return _write_from_python(bench, private, sql)
    script = bench.folder / f"{kind}-{rows}.sql"
    script.write_text(sql + ";\n")
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


def _write_from_python(bench: Bench, private: PostgresServer, sql: str) -> float:
    with bench.start("writers", private.dsn, sql, CLIENTS, bench.sizes.writing) as process:
        return float(process.hear("rate", within=PATIENCE)["rate"])


def share(rounds: Rounds, kind: str, rows: int) -> float:
    """Return the median of the rounds' ratios to writing without a trigger."""
    pairs = zip(rounds[f"{kind} {rows}"], rounds[f"silent {rows}"], strict=True)
    return median(own / silent for own, silent in pairs)


def _table(rounds: Rounds) -> Table:
    head = [cell for n in ROWS for cell in (f"commits/s, {n} rows each", "/ no trigger")]
    table = [["", *(cell.replace(" 1 rows each", " 1 row each") for cell in head)]]
    for kind, title in KINDS.items():
        cells = [(median(rounds[f"{kind} {n}"]), share(rounds, kind, n)) for n in ROWS]
        table.append([title, *(written(figure) for pair in cells for figure in pair)])
    with_what = "pgbench" if pgbench() else "threads of Python"
    note = f"{CLIENTS} clients of {with_what}; the server syncs each commit. One doorbell listens."
    return Table("Writers", table, note)
