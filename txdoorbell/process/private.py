"""
A doorbell with a PostgreSQL of its own.

Nobody imports this who has a server elsewhere: it brings what starts one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from txdoorbell.embedded import EmbeddedService, EmbeddedUnavailable, PostgresServer
from txdoorbell.process.housing import Housing
from txdoorbell.process.invitation import invite
from txdoorbell.settling.assembly import Assembly
from txdoorbell.settling.functions import Plan

__all__ = ["check_folder", "housed"]


def check_folder(folder: Path) -> None:
    """
    Find out what would keep a private PostgreSQL from being started.

    :param folder: for its files; it need not be there yet.
    :raises ValueError: when it can't be, in one line.
    """
    try:
        server = PostgresServer(folder)
        server.check()
        above = next(path for path in (server.data, *server.data.parents) if path.exists())
        if not (above.is_dir() and os.access(above, os.W_OK)):
            raise ValueError(f"{server.data}: nothing can be written to {above}")
    except EmbeddedUnavailable as error:
        raise ValueError(str(error)) from None
    except OSError as error:
        raise ValueError(f"{folder}: {error.strerror}") from None


def housed(reactor: Any, plan: Plan, folder: Path) -> tuple[Assembly, Housing]:
    """
    Put a doorbell together with a private PostgreSQL around it.

    :param folder: where the files of that are.
    :returns: the doorbell, and the service that starts the server before it.
    """
    server = PostgresServer(folder)
    housing = Housing(EmbeddedService(reactor, server))
    assembly = Assembly(reactor, plan, server.dsn)
    assembly.bell.setServiceParent(housing)
    invite(assembly.bell, server.data)
    return assembly, housing
