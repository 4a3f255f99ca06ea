"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from txdoorbell.embedded import find_binaries

PACKAGES = (
    "twisted",
    "txpostgres",
    "psycopg2-binary",
    "psycopg2",
    "psycopg",
    "PyGreSQL",
    "asyncpg",
    "pgnotifier",
    "asyncpg-listen",
    "depeche-db",
)


def describe() -> dict[str, str]:
    """Return facts by name: the machine, the versions, the load as it is now."""
    facts = {
        "taken": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} cores, {_processor()}, Linux {platform.release()}",
        "load average before": load(),
        "Python": platform.python_version(),
        "PostgreSQL": _postgresql(),
    }
    facts["packages"] = ", ".join(f"{name} {v}" for name in PACKAGES if (v := _version(name)))
    return facts


def load() -> str:
    """Return the load averages of one, five and fifteen minutes."""
    return " ".join(f"{figure:.2f}" for figure in os.getloadavg())


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _postgresql() -> str:
    program = find_binaries() / "postgres"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[2]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
