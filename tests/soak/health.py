"""What a process uses: descriptors, memory, processor time, looked at from outside."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple


class Sample(NamedTuple):
    """
    What a process used at one time.

    :ivar memory: resident bytes.
    :ivar busy: seconds of processor time since its start.
    """

    descriptors: int
    memory: int
    busy: float


class Health:
    """
    Looks at a process now and then.

    :ivar samples: what was seen, in order.
    """

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self.samples: list[Sample] = []

    def look(self) -> None:
        """Take a sample; nothing when the process has ended."""
        with suppress(FileNotFoundError, ProcessLookupError):
            descriptors = len(list((self._folder / "fd").iterdir()))
            pages = int((self._folder / "statm").read_text().split()[1])
            times = (self._folder / "stat").read_text().rpartition(")")[2].split()[11:13]
            ticks = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
            self.samples.append(Sample(descriptors, pages * os.sysconf("SC_PAGE_SIZE"), ticks))

    @property
    def leaks(self) -> list[str]:
        """What has grown from the first quarter of the samples to the last, in words."""
        found = []
        first, last = self.quarters
        if last.descriptors > first.descriptors:
            found.append(f"descriptors: {first.descriptors} at first, {last.descriptors} at last")
        if last.memory > first.memory * 1.1 + 4e6:
            found.append(f"memory: {_mega(first.memory)} at first, {_mega(last.memory)} at last")
        return found

    @property
    def quarters(self) -> tuple[Sample, Sample]:
        """The medians of the first and of the last quarter of the samples."""
        length = max(1, len(self.samples) // 4)
        return _median(self.samples[:length]), _median(self.samples[-length:])

    def lines(self) -> list[str]:
        """Return lines that say what it used."""
        first, last = self.quarters
        most = max(sample.descriptors for sample in self.samples)
        peak = max(sample.memory for sample in self.samples)
        return [
            f"descriptors     {first.descriptors} at first, {last.descriptors} at last,"
            f" {most} at most",
            f"memory          {_mega(first.memory)} at first, {_mega(last.memory)} at last,"
            f" {_mega(peak)} at most",
            f"processor time  {self.samples[-1].busy:.1f} s",
        ]


def _median(samples: Sequence[Sample]) -> Sample:
    descriptors, memory, busy = zip(*samples, strict=True)
    return Sample(int(median(descriptors)), int(median(memory)), median(busy))


def _mega(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
