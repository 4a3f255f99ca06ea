"""Folders that hold a fresh PostgreSQL cluster, many times in one test run.

``initdb`` writes a thousand files, which takes longer than most tests. So it
runs once, and a folder that a test has done with is restored for the next one
by copying back the few files in which it differs.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from txdoorbell.embedded import PostgresServer

_unused: list[Path] = []


def new_folder() -> Path:
    """Return an empty folder, removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir=Path.cwd()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def borrow() -> Path:
    """Return a folder with a fresh cluster; see :func:`give_back`."""
    folder = _unused.pop() if _unused else new_folder()
    _restore(folder, _pattern())
    return folder


def give_back(folder: Path) -> None:
    """Take back a folder whose server has ended."""
    _unused.append(folder)


@cache
def _pattern() -> Path:
    """Make the cluster of which all others are copies."""
    server = PostgresServer(new_folder(), tcp=True, settings={"fsync": "off"})
    server.start()
    server.stop()
    return server.data


def _restore(folder: Path, pattern: Path) -> None:
    wanted = dict(_contents(pattern))
    present = dict(_contents(folder))
    for name in sorted(present.keys() - wanted.keys(), reverse=True):
        _remove(folder / name)
    for name, facts in sorted(wanted.items()):
        if present.get(name) != facts:
            _copy(pattern / name, folder / name)
    _own(folder, pattern.stat())


def _contents(folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Generate all names in a folder, with what tells whether a file has been written to."""
    for parent, directories, files in os.walk(folder):
        below = os.path.relpath(parent, folder)
        for name in directories:
            yield os.path.normpath(f"{below}/{name}"), ()
        for name in files:
            facts = Path(parent, name).lstat()
            yield os.path.normpath(f"{below}/{name}"), (facts.st_size, facts.st_mtime_ns)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir()
    else:
        shutil.copy2(source, target)
    _own(target, source.stat())


def _own(path: Path, facts: os.stat_result) -> None:
    os.chown(path, facts.st_uid, facts.st_gid)
    path.chmod(facts.st_mode & 0o777)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
