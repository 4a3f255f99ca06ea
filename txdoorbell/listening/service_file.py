"""
libpq's connection service files: named groups of settings.

They are read here because a service may name the host, which must be known before libpq sees it.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["service_settings"]

_SYSTEM = "/etc/postgresql-common"
"""Where Debian's libpq, and the one in psycopg2's wheels, look unless PGSYSCONFDIR is set."""


def service_settings(name: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """
    Return the settings of a service, from the first file that has it.

    :param name: the service, as in ``service=name`` or PGSERVICE.
    :param environ: read for PGSERVICEFILE and PGSYSCONFDIR.
    :returns: them by keyword, empty when no readable file has the service: libpq then says so
        itself, or finds it where this system's libpq alone looks.
    """
    for path in _files(environ):
        for service, settings in _services(path):
            if service == name:
                return settings
    return {}


def _files(environ: Mapping[str, str]) -> tuple[Path, Path]:
    own = environ.get("PGSERVICEFILE") or "~/.pg_service.conf"
    return Path(own).expanduser(), Path(environ.get("PGSYSCONFDIR") or _SYSTEM, "pg_service.conf")


def _services(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    settings: dict[str, str] = {}
    name = ""
    for line in map(str.strip, lines):
        if line.startswith("[") and line.endswith("]"):
            yield name, settings
            name, settings = line[1:-1], {}
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            settings.setdefault(key, value)
    yield name, settings
