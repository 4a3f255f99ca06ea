"""What is called next: run after run, and submitted work in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from txdoorbell.loops.agenda import Agenda
from txdoorbell.loops.causes import WAKEUP
from txdoorbell.loops.jobs import Job, Jobs
from txdoorbell.loops.response import Response
from txdoorbell.loops.wakeups import Wakeups
from txdoorbell.processor import Processor

Work = Processor | Job


class Sequence:
    """
    Puts runs together, and hands out what is in them, one by one.

    A run is all that is due when it begins. A job and a processor take turns.

    :param roll_call: called when a run begins, before it is put together; None for nothing.
    :param response: told when a run begins.
    """

    def __init__(
        self,
        agenda: Agenda,
        wakeups: Wakeups,
        jobs: Jobs,
        roll_call: Processor | None,
        response: Response,
    ) -> None:
        self._agenda = agenda
        self._wakeups = wakeups
        self._jobs = jobs
        self._roll_call = roll_call
        self._response = response
        self._roll_called = False
        self._run: Iterator[Processor] = iter(())
        self._ran = False
        self._job_had_its_turn: bool = False

    def next(self) -> Work | None:
        """Return what to call next, None when nothing is left."""
        if not self._job_had_its_turn and self._jobs.heap and self._jobs:
            self._job_had_its_turn = True
            return self._jobs.take()
        self._job_had_its_turn = False
        while True:
            for processor in self._run:
                if processor.muted:
                    processor.missed = True
                elif not processor.removed:
                    return processor
            if not self._ends_in_another():
                return self._jobs.take() if self._jobs else None
            if self._roll_call is not None and not self._roll_called:
                self._roll_called = True
                return self._roll_call
            self._begin_run()

    def rest(self) -> bool:
        """Learn that nothing is left, and say whether a run ended since the last time."""
        ran, self._ran, self._roll_called = self._ran, False, False
        return ran

    def left(self) -> list[Processor]:
        """Return what is left of this run, then those due for the next."""
        left = [p for p in self._run if not p.removed] + self._agenda.due()
        return [p for p in left if p is not self._roll_call]

    def forget(self) -> None:
        """Let nothing be left of this run, nor due for the next."""
        self.cut()
        self._agenda.forget()

    def cut(self) -> None:
        """Let nothing be left of this run, which serves no ring then."""
        self._run = iter(())
        self._ran = self._roll_called = False
        self._agenda.cut()

    def _ends_in_another(self) -> bool:
        """End a run, and say whether there is another."""
        if not self._roll_called:
            self._agenda.end_run()
        for processor in self._wakeups.take_due():
            self._agenda.make_due(processor, WAKEUP)
        return self._agenda.has_due

    def _begin_run(self) -> None:
        self._ran = True
        self._roll_called = False
        self._response.begin()
        run = self._agenda.begin_run()
        if self._roll_call is not None:
            run = [p for p in run if p is not self._roll_call]
        self._run = iter(run)


def unlisted(function: Callable[[], None] | None, name: str) -> Processor | None:
    """Return a processor that is called like the others, and that no user has added."""
    if function is None:
        return None
    processor = Processor(function, name=name)
    processor.listed = False
    return processor
