"""depeche_db, its Executor."""

from __future__ import annotations

import threading

from depeche_db import Executor
from psycopg2.extensions import parse_dsn

from benchmarks.consumers.handlers import Handler
from benchmarks.record import Record

SETTLED = 1.0
"""Seconds until it listens, surely: it does not say when."""


def run(dsn: str, record: Record) -> None:
    """Run the executor."""
    where = parse_dsn(dsn)
    address = f"{where['user']}@{where['host']}:{where['port']}/{where['dbname']}"
    executor = Executor(_scheme() + address, disable_signals=True)
    executor.register(Handler(record))
    threading.Timer(SETTLED, record.ready).start()
    executor.run()


def _scheme() -> str:
    from depeche_db._compat import PSYCOPG_VERSION

    return "postgresql://" if PSYCOPG_VERSION == "2" else "postgresql+psycopg://"
