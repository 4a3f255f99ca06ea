"""Passwords of a configuration: put into the DSN, and missed by nobody who reads the file."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from txdoorbell.settling.variables import placeholder_for_each

__all__ = ["exposure", "has_password", "with_password"]

_VARIABLE = "VARIABLE"


def with_password(dsn: str, password: str | None) -> str:
    """
    Return a DSN with a password in it.

    :param dsn: a DSN that can be parsed, without one.
    :param password: None for no password: then the DSN is returned as it is.
    """
    if password is None:
        return dsn
    return " ".join(f"{key}={_quoted(value)}" for key, value in _with(dsn, password).items())


def has_password(dsn: str) -> bool:
    """Say whether a DSN has a password in it; one that can't be parsed has none."""
    return any(_passwords(dsn))


def exposure(path: Path, raw: Mapping[str, Any]) -> str | None:
    """
    Say that a file holds a password, and that anyone can read it.

    :param raw: what is in the file, with its variables as they are written.
    :returns: one line without the password; None when all is well.
    """
    if not path.stat().st_mode & stat.S_IROTH:
        return None
    database = raw.get("database")
    if not isinstance(database, dict) or not _holds_password(database):
        return None
    return f"{path}: anyone can read it, and it holds a password: chmod o-r, or use ${{NAME}}"


def _holds_password(database: Mapping[str, object]) -> bool:
    password, dsn = database.get("password"), database.get("dsn")
    if isinstance(password, str) and _constant(password):
        return True
    if not isinstance(dsn, str):
        return False
    return any(map(_constant, _passwords(placeholder_for_each(dsn, _VARIABLE))))


def _constant(password: str) -> str:
    return placeholder_for_each(password, "").replace(_VARIABLE, "")


def _passwords(dsn: str) -> list[str]:
    from txdoorbell.listening.session import DatabaseError, parse_dsn

    try:
        parsed = dict(parse_dsn(dsn))
    except DatabaseError:
        return []
    return [parsed[key] for key in ("password", "sslpassword") if parsed.get(key)]


def _with(dsn: str, password: str) -> dict[str, str]:
    from txdoorbell.listening.session import parse_dsn

    return {**parse_dsn(dsn), "password": password}


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
