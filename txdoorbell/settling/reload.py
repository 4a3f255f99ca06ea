"""SIGHUP: a running doorbell reads its configuration file again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from txdoorbell.settling.assembly import Assembly
from txdoorbell.settling.functions import Plan
from txdoorbell.settling.settings import LoopOptions, Settings

__all__ = ["Reloader", "needs_restart"]

_LIVE = ("channels", "tables", "interval", "loop", "function")


class Reloader(Service):
    """
    Reads a file again when SIGHUP comes.

    A file that can't be used changes nothing; each of its mistakes is a line in the log.

    :param read: reads the file.
    :param plan: what is in force.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: Path,
        plan: Plan,
        assembly: Assembly,
        read: Callable[[Path], Plan] | None = None,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._started = plan.settings
        self._assembly = assembly
        self._read = read or _read_config
        self.before_reload: Callable[[], None] = _nothing
        self.after_reload: Callable[[], None] = _nothing
        for warning in plan.warnings:
            self.log.warn("{warning}", warning=warning)

    def startService(self) -> None:
        """Begin to heed the signal."""
        super().startService()
        signal.signal(signal.SIGHUP, self._signalled)
        signal.siginterrupt(signal.SIGHUP, False)

    def stopService(self) -> None:
        """Heed the signal no more, and let it do no harm: a stop may take a while."""
        super().stopService()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _signalled(self, *_: object) -> None:
        self._reactor.callFromThread(self.reload)

    def reload(self) -> None:
        """Read the file, and do what it says as far as that can be done now."""
        if not self.running:
            return
        self.before_reload()
        try:
            self._reload()
        except Exception:  # noqa: BLE001 - modules of anybody's are imported
            self.log.failure("{path} could not be read again", path=self._path)
        finally:
            self.after_reload()

    def _reload(self) -> None:
        try:
            plan = self._read(self._path)
        except ValueError as error:
            for problem in getattr(error, "problems", [str(error)]):
                self.log.error("{problem}", problem=problem)
            self.log.error("{path} is not used: what it said before stays", path=self._path)
            return
        for warning in plan.warnings:
            self.log.warn("{warning}", warning=warning)
        changes = self._assembly.settle(plan)
        self.log.info(
            "{path} has been read again; functions: {added} added, {removed} removed, "
            "{changed} changed; channels: {channels}{tables}",
            path=self._path,
            **changes._asdict(),
            channels=", ".join(plan.settings.channels) or "none",
            tables="".join(f"; table {name}" for name in plan.settings.tables),
        )
        late = needs_restart(self._started, plan.settings)
        if late:
            self.log.warn(
                "{path}: what has changed here needs a restart: {keys}",
                path=self._path,
                keys=", ".join(late),
            )


def needs_restart(started: Settings, wanted: Settings) -> list[str]:
    """Return the keys whose changes can't be made on a running doorbell."""
    return [*_changed("", started, wanted, _LIVE), *_changed_loops(started.loop, wanted.loop)]


def _changed(prefix: str, before: Any, after: Any, but: tuple[str, ...] = ()) -> Iterator[str]:
    for key in fields(before):
        old, new = getattr(before, key.name), getattr(after, key.name)
        if key.name in but or old == new:
            continue
        if is_dataclass(old):
            yield from _changed(f"{prefix}{key.name}.", old, new)
        else:
            yield f"{prefix}{key.name}"


def _changed_loops(
    before: tuple[LoopOptions, ...], after: tuple[LoopOptions, ...]
) -> Iterator[str]:
    """List what has changed of loops that there were; further ones can be had now."""
    wanted = {loop.name: loop for loop in after}
    for loop in before:
        if loop.name in wanted:
            yield from _changed(f"loop {loop.name}: ", loop, wanted[loop.name])
        else:
            yield f"loop {loop.name} (it stays, without functions)"


def _read_config(path: Path) -> Plan:
    from txdoorbell.config import read_config

    return read_config(path)


def _nothing() -> None:
    """Do nothing."""
