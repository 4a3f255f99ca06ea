"""The timeline: the last minutes as a drawing, one lane for each channel and each function."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from twisted.web.template import Tag, tags

from txdoorbell.status.figures import clean, clock, length
from txdoorbell.status.history import WINDOW, History, Ring, Run
from txdoorbell.status.model import DoorbellStatus, LoopStatus

__all__ = ["timeline"]

LANES = 12
"""How many lanes of each kind are drawn, the first ones; the tables have them all."""

TITLED = 40
"""How many marks of a lane have a text of their own, for whoever points at them."""

_WIDTH = WINDOW
_HEIGHT = 20.0
_LEAST = 0.5
"""Seconds: a shorter run is drawn this wide."""

_CAUSES = {
    "ring": "rung",
    "reconnect": "after a reconnect",
    "start": "at the start",
    "wakeup": "woken",
    "remaining": "work remained",
    "interval": "safety net",
}


def timeline(status: DoorbellStatus, history: History) -> Tag:
    """Return the section with the drawing."""
    drawing = _Drawing(status, history)
    return tags.section(
        tags.h2("Last five minutes"),
        tags.div(*drawing.lanes(), _axis(), class_="lanes"),
        _legend(),
        id="timeline",
    )


class _Drawing:
    """The lanes of one moment."""

    def __init__(self, status: DoorbellStatus, history: History) -> None:
        self._status = status
        self._now = status.now
        self._oldest = status.now - WINDOW
        self._history = history
        self._deaf = self._spells()

    def lanes(self) -> Iterator[Tag]:
        """Return each lane, from top to bottom: channels ring, functions run."""
        for channel in self._status.channels[:LANES]:
            rings = [r for r in self._history.rings if r.channel == channel.name and self._new(r)]
            total = sum(ring.count for ring in rings)
            said = f"channel {channel.name}: {total} rings in the last five minutes"
            yield self._lane("channel", channel.name, said, self._ring_marks(rings))
        several = len(self._status.loops) > 1
        for loop in self._status.loops:
            yield from self._function_lanes(loop, several)

    def _function_lanes(self, loop: LoopStatus, several: bool) -> Iterator[Tag]:
        for function in loop.functions[:LANES]:
            key = (loop.name, function.name)
            runs = [r for r in self._history.runs if (r.loop, r.function) == key and self._new(r)]
            total = sum(run.count for run in runs)
            said = f"function {function.name}: {total} runs in the last five minutes"
            marks = list(self._run_marks(runs))
            if function.active and function.began is not None:
                d = self._bar(function.began, self._now - function.began)
                marks.append(_mark("run active", d, f"running since {clock(function.began)}"))
            name = f"{loop.name} / {function.name}" if several else function.name
            yield self._lane("function", name, said, marks)

    def _lane(self, kind: str, name: str, said: str, marks: Iterable[Tag]) -> Tag:
        label = tags.span(clean(name, 80), class_="lane-name", title=clean(name, 200))
        drawn = Tag("svg")(
            *self._deaf,
            Tag("path")(class_="base", d=f"M0 {_HEIGHT - 0.5:g}H{_WIDTH:g}"),
            *marks,
            viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
            preserveAspectRatio="none",
            role="img",
            **{"aria-label": clean(said, 200)},
        )
        key = {"data-key": clean(f"{kind} {name}")}
        return tags.div(label, drawn, class_=f"lane {kind}", **key)

    def _new(self, mark: Ring | Run) -> bool:
        return mark.at + (mark.took if isinstance(mark, Run) else 0.0) > self._oldest

    def _x(self, at: float) -> float:
        return max(0.0, min(_WIDTH, at - self._oldest))

    def _ring_marks(self, rings: list[Ring]) -> Iterator[Tag]:
        for ring in rings[-TITLED:]:
            text = f"{clock(ring.at)}: {ring.count} {'ring' if ring.count == 1 else 'rings'}"
            yield _mark("ring", self._tick(ring), text)
        yield from _together("ring", [self._tick(ring) for ring in rings[:-TITLED]])

    def _tick(self, ring: Ring) -> str:
        high = min(_HEIGHT - 4.0, 7.0 + 3.0 * math.log10(ring.count))
        return f"M{self._x(ring.at):.1f} {_HEIGHT - 1:g}v-{high:.1f}"

    def _run_marks(self, runs: list[Run]) -> Iterator[Tag]:
        for run in runs[-TITLED:]:
            yield _mark(_class_of(run), self._bar(run.at, run.took), _told(run))
        by_class: dict[str, list[str]] = {}
        for run in runs[:-TITLED]:
            by_class.setdefault(_class_of(run), []).append(self._bar(run.at, run.took))
        for name, bars in by_class.items():
            yield from _together(name, bars)

    def _bar(self, at: float, took: float) -> str:
        begin, end = self._x(at), self._x(at + took)
        begin = min(begin, max(0.0, end - _LEAST)) if end - begin < _LEAST else begin
        wide = max(_LEAST, end - begin)
        return f"M{begin:.1f} 6h{wide:.2f}v{_HEIGHT - 7:g}h-{wide:.2f}z"

    def _spells(self) -> list[Tag]:
        spells = self._history.spells_since(self._oldest, self._now)
        deaf = [
            f"M{self._x(begin):.1f} 0h{max(_LEAST, end - begin):.1f}v{_HEIGHT:g}"
            f"h-{max(_LEAST, end - begin):.1f}z"
            for spell, begin, end in spells
            if not spell.hears
        ]
        return list(_together("deaf", deaf))


def _class_of(run: Run) -> str:
    return f"run {'failed' if run.failed else run.cause}"


def _told(run: Run) -> str:
    how = "failed" if run.failed else "ran"
    times = f", {run.count} times" if run.count > 1 else ""
    why = _CAUSES.get(run.cause, run.cause)
    return f"{clock(run.at)}: {how} {length(run.took)}{times}, {why}"


def _mark(name: str, d: str, text: str) -> Tag:
    return Tag("path")(Tag("title")(text), class_=name, d=d)


def _together(name: str, pieces: list[str]) -> Iterator[Tag]:
    if pieces:
        yield Tag("path")(class_=name, d="".join(pieces))


def _axis() -> Tag:
    minutes = [tags.span(f"−{minute} min") for minute in range(int(WINDOW) // 60, 0, -1)]
    return tags.div(*minutes, tags.span("now"), class_="axis", **{"aria-hidden": "true"})


def _legend() -> Tag:
    kinds = {"run ring": "rung", **{f"run {c}": w for c, w in _CAUSES.items() if c != "ring"}}
    entries = {"ring": "ring", **kinds, "run failed": "failed", "deaf": "nothing heard"}
    return tags.ul(
        *(tags.li(tags.i(class_=name), word) for name, word in entries.items()), class_="legend"
    )
