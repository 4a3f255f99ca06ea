"""Probes of a session that reads the write-ahead log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from txdoorbell.listening.probe import Probe, Prober
from txdoorbell.notification import Notification

__all__ = ["EMIT", "LogProber"]

EMIT = "select pg_catalog.pg_logical_emit_message(true, %s, %s)"
"""Writes a message, with a prefix and a content. It is one of a transaction: the others would wait
until the server writes its log for some other reason."""


class LogProber(Prober):
    """
    Rings by a message with a prefix of its own, otherwise as a listener's prober does.

    That proves that the log is decoded and arrives, and that strangers write to the same one.

    :param beat: asks the server for a keepalive, where it tells of no messages: that must do then.
        None where it does.
    """

    def __init__(self, *args: Any, beat: Callable[[], Deferred[float] | None]) -> None:
        super().__init__(*args)
        self._beat = beat

    async def _send(self, probe: Probe) -> None:
        probe.rung_at = self._now()
        answer = self._beat()
        if answer is not None:
            await answer
            self.hear(Notification(self.channel, probe.token))
            return
        await self._connector.connect(probe.session)
        probe.rung_at = self._now()
        values = self.channel, probe.token
        await probe.session.query(EMIT, values, within=self._timing.query_timeout)
