"""The results as pictures; needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.bells import BELLS, NONE
from benchmarks.consumers import ALL, FLOORS
from benchmarks.figures import median
from benchmarks.measures import bells, loop, wakeups, writers
from benchmarks.outcome import Outcome

OURS, BARE, THEIRS = "#b5442e", "#222222", "#8a9bab"


def plot(folder: Path, outcomes: list[Outcome]) -> None:
    """Draw one picture for each measure that has one, as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    for outcome in outcomes:
        if outcome.name in _DRAW:
            _draw(folder / f"{outcome.name}.png", _DRAW[outcome.name], outcome)


def _draw(path: Path, draw: Callable[[Any, Outcome], None], outcome: Outcome) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    draw(axes, outcome)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _colour(name: str) -> str:
    return BARE if name in FLOORS else OURS if ALL[name].ours else THEIRS


def _wake(axes: Any, outcome: Outcome) -> None:
    """Draw which share of the notifications had been heard after which time."""
    for name, rounds in outcome.raw["rounds"].items():
        waits = sorted(wait for taken in rounds for wait in taken["waits"])
        shares = [(place + 1) / len(waits) for place in range(len(waits))]
        plain = not ALL[name].is_peer
        axes.plot(
            waits,
            shares,
            label=ALL[name].title,
            lw=1.8 if plain else 1.0,
            color=_colour(name) if plain else None,
            ls=_LINES.get(name, "-"),
        )
    axes.set(xscale="log", xlabel="microseconds from NOTIFY", ylabel="share heard", ylim=(0, 1))
    axes.legend(fontsize=7, frameon=False)


_LINES = {"twisted": "--", "subscriber": "--", "handler": ":", "stream": "-."}


def _storm(axes: Any, outcome: Outcome) -> None:
    rates = {
        name: median(taken["rate"] for taken in rounds)
        for name, rounds in outcome.raw["rounds"].items()
    }
    names = sorted(rates, key=lambda name: rates[name])
    _bars(
        axes,
        [ALL[name].title for name in names],
        [rates[name] for name in names],
        [_colour(name) for name in names],
    )
    axes.set(xlabel="notifications per second")


def _bars(axes: Any, titles: list[str], values: list[float], colours: list[str]) -> None:
    drawn = axes.barh(titles, values, color=colours)
    axes.bar_label(drawn, [f"{value:,.0f}" for value in values], padding=3, fontsize=8)
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _by_number(axes: Any, outcome: Outcome, titles: dict[str, str]) -> None:
    """Draw microseconds against numbers; flat is what is wanted."""
    for case, title in titles.items():
        points = [
            (int(key.split()[1]), median(taken))
            for key, taken in outcome.raw["rounds"].items()
            if key.split()[0] == case
        ]
        axes.plot(
            *zip(*points, strict=True),
            marker="o",
            label=title,
            ls=":" if case.startswith("plain") else "-",
        )
    axes.set(xscale="log", yscale="log", ylabel="microseconds of CPU")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13))


def _loop(axes: Any, outcome: Outcome) -> None:
    _by_number(axes, outcome, loop.TITLES)
    axes.set(xlabel="functions in the loop")


def _wakeups(axes: Any, outcome: Outcome) -> None:
    _by_number(axes, outcome, wakeups.TITLES)
    axes.set(xlabel="functions asleep", ylim=(1, None))


def _fairness(axes: Any, outcome: Outcome) -> None:
    for case, rounds in outcome.raw["rounds"].items():
        waits = sorted(wait for taken in rounds for wait in taken)
        shares = [(place + 1) / len(waits) for place in range(len(waits))]
        axes.plot(waits, shares, label=case)
    axes.axvline(25, color=BARE, ls=":", lw=1)
    axes.set(xscale="log", xlabel="milliseconds until the echo", ylabel="share answered")
    axes.legend(fontsize=8, frameon=False, title="meanwhile", title_fontsize=8)


def _writers(axes: Any, outcome: Outcome) -> None:
    """Draw commits per second beside those without a trigger, for each number of rows."""
    rounds = outcome.raw["rounds"]
    kinds = [kind for kind in writers.KINDS if kind != "silent"]
    places = [(kind, rows) for rows in writers.ROWS for kind in kinds][::-1]
    titles = [f"{writers.KINDS[kind].replace('``', '')}; rows: {rows}" for kind, rows in places]
    shares = [100 * writers.share(rounds, kind, rows) for kind, rows in places]
    _bars(axes, titles, shares, [THEIRS if kind == "by_row" else OURS for kind, _ in places])
    axes.set(xlabel="% of the commits without a trigger", xlim=(0, 110))


def _bells(axes: Any, outcome: Outcome) -> None:
    """Draw commits per second beside those without a bell, for each place."""
    rounds = outcome.raw["rounds"]
    names = [name for name in BELLS if name != NONE]
    keys = [(p, name) for p in bells.PLACES for name in names if f"{p} {name}" in rounds]
    titles = [f"{BELLS[name].title.replace('``', '')};\n{bells.PLACES[p]}" for p, name in keys]
    shares = [100 * bells.share(rounds, place, name) for place, name in keys]
    colours = [OURS if name == "by_log" else THEIRS for _, name in keys]
    _bars(axes, titles[::-1], shares[::-1], colours[::-1])
    axes.tick_params(axis="y", labelsize=7)
    axes.set(xlabel="% of the commits without a bell", xlim=(0, 120))


def _fleet(axes: Any, outcome: Outcome) -> None:
    """Draw, for the largest fleet, which share of the loops had a holder again after which time."""
    title, events = max(outcome.raw["fleets"].items(), key=lambda fleet: _hosts(fleet[0]))
    for event, taken in events.items():
        if taken["gaps"]:
            waits = [max(gap, 0.01) for gap in taken["gaps"]]
            axes.plot(waits, [n / 100 for n in range(101)], label=event)
    axes.set(
        xscale="log", xlabel="seconds without a holder", ylabel="share of the loops", ylim=(0, 1)
    )
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13))


def _hosts(title: str) -> int:
    return int(title.split(maxsplit=1)[0].replace(",", ""))


_DRAW: dict[str, Callable[[Any, Outcome], None]] = {
    "wake": _wake,
    "storm": _storm,
    "loop": _loop,
    "wakeups": _wakeups,
    "fairness": _fairness,
    "writers": _writers,
    "bells": _bells,
    "fleet": _fleet,
}
