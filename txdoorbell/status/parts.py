"""The parts of the page that change: whether it hears, what runs, functions and channels."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.web.template import Tag, tags

from txdoorbell.fleet.locking import RELEASE_CHANNEL
from txdoorbell.notification import State
from txdoorbell.status.figures import ago, clean, clock, length, share, until, whole_length
from txdoorbell.status.fleet import fleet, holder_of, is_elsewhere
from txdoorbell.status.history import History
from txdoorbell.status.model import (
    ChannelStatus,
    DoorbellStatus,
    FunctionStatus,
    LoopStatus,
)
from txdoorbell.status.pieces import badge, cell, fact, section, table, two_lines, wrapped
from txdoorbell.status.timeline import timeline
from txdoorbell.status.wal import wal

__all__ = ["live"]

_WORDS = {
    State.LISTENING: "Listening",
    State.DEAF: "Deaf",
    State.CONNECTING: "Connecting",
    State.WAITING: "Not connected",
    State.STOPPED: "Stopped",
}


def live(status: DoorbellStatus, history: History, can_act: bool) -> Tag:
    """
    Return what changes with the status.

    :param can_act: whether there are forms, for whoever holds the token.
    """
    return Tag("main")(
        _hearing(status),
        *fleet(status),
        *wal(status),
        timeline(status, history),
        _functions(status, can_act),
        _channels(status, history, can_act),
        id="live",
    )


# -- whether it hears


def _hearing(status: DoorbellStatus) -> Tag:
    listener = status.listener
    names = [name for name in listener.channels if name != RELEASE_CHANNEL]
    channels = ", ".join(clean(name, 40) for name in names[:6])
    more = len(names) - 6
    on = f"on {channels}{f' and {more} more' if more > 0 else ''}" if channels else ""
    good = not status.unready
    what = on if good else "; ".join(clean(reason, 300) for reason in status.unready)
    kind = "good" if good else "bad"
    kind = "bad" if status.sick else kind
    return tags.section(
        tags.div(
            tags.p(
                tags.i(class_="lamp"),
                tags.strong(_WORDS.get(State(listener.state), listener.state)),
                class_="verdict",
            ),
            tags.p(what, class_="what"),
            tags.p(clean(listener.endpoint, 120), class_="where"),
            *(tags.p(clean(sick, 300), class_="sick") for sick in status.sick),
            role="status",
        ),
        tags.dl(*_facts(status), class_="facts"),
        id="hearing",
        class_=kind,
        **{"aria-label": "Is it hearing?"},
    )


def _facts(status: DoorbellStatus) -> Iterator[Tag]:
    listener = status.listener
    since = two_lines(clock(listener.since), ago(listener.since, status.now))
    probe = "not yet" if listener.probe_latency is None else length(listener.probe_latency)
    net = f"every {whole_length(round(status.interval))}" if status.interval else "off"
    yield fact("Since", since)
    for loop in status.loops:
        name = "Runs now" if len(status.loops) == 1 else f"Runs now in {clean(loop.name, 40)}"
        yield fact(name, _running(loop, status.now), "busy" if loop.active else "")
    yield fact("Last probe heard in", probe)
    yield fact("Notification queue", *_queue(listener.queue_usage))
    yield fact("Safety net", net)
    yield fact("Unannounced work", str(status.misses), "warn" if status.misses else "")


def _running(loop: LoopStatus, now: float) -> Tag:
    submitted = f"{loop.submitted} submitted" if loop.submitted else ""
    if loop.active is None:
        return two_lines("nothing", _resting(loop) or submitted)
    since = "" if loop.active_since is None else f"for {length(max(0.0, now - loop.active_since))}"
    return two_lines(clean(loop.active, 60), ", ".join(filter(None, (since, submitted))))


def _resting(loop: LoopStatus) -> str:
    if loop.lock is None or not is_elsewhere(loop):
        return ""
    holder = clean(holder_of(loop.lock), 40)
    return f"{holder} runs it" if holder else f"the lock is {loop.lock.state}"


def _queue(usage: float | None) -> tuple[Tag | str, str]:
    if usage is None:
        return share(usage), ""
    meter = tags.meter(value=f"{usage:.4f}", min="0", max="1", high="0.5", optimum="0")
    return tags.span(share(usage), " full ", meter(**{"aria-hidden": "true"})), ""


# -- functions


def _functions(status: DoorbellStatus, can_act: bool) -> Tag:
    several = len(status.loops) > 1
    rows = [
        row
        for loop in status.loops
        for function in loop.functions
        for row in _function(loop, function, status.now, several, can_act)
    ]
    names = ["Function", "State", "Last run", "Took", "Result", "Next", "Runs", "Errors"]
    shown = table(names, rows, can_act) if rows else tags.p("None yet.", class_="none")
    return section("functions", "Functions", shown)


def _function(
    loop: LoopStatus, function: FunctionStatus, now: float, several: bool, can_act: bool
) -> Iterator[Tag]:
    name = f"{loop.name} / {function.name}" if several else function.name
    heard = "every ring" if function.channels is None else ", ".join(function.channels)
    key = f"function {loop.name} {function.name}"
    ran = ago(function.began, now)
    cells = [
        tags.th(wrapped(name), tags.small(clean(heard, 80)), scope="row"),
        cell("State", badge(_state_of(function, loop))),
        cell("Last run", ran, tags.small("" if function.began is None else function.cause)),
        cell("Took", "–" if function.took is None else length(function.took), kind="number"),
        cell("Result", tags.code(_result(function), title=clean(function.result, 500))),
        cell("Next", "–" if is_elsewhere(loop) else until(function.wakes, now)),
        cell("Runs", f"{function.runs:,}", kind="number"),
        cell("Errors", f"{function.errors:,}", kind=f"number{' bad' if function.errors else ''}"),
    ]
    if can_act:
        cells.append(_acts(_function_acts(loop, function)))
    yield tags.tr(*cells, **{"data-key": clean(key)})
    if function.error is not None:
        yield _error(function.error, clean(key))


def _state_of(function: FunctionStatus, loop: LoopStatus) -> str:
    if loop.stuck == function.name:
        return "stuck"
    if function.active:
        return "running"
    if function.muted:
        return "muted"
    if loop.lock is not None and is_elsewhere(loop):
        return loop.lock.state
    return "failed" if _has_failed(function) else "idle"


def _has_failed(function: FunctionStatus) -> bool:
    """Say whether the last call that has ended has failed."""
    if function.active or function.error is None or function.began is None:
        return function.failures_in_a_row > 0
    return function.succeeded is None or function.succeeded < function.began


def _result(function: FunctionStatus) -> str:
    if _has_failed(function):
        return "error"
    try:
        at = float(function.result)
    except ValueError:
        return clean(function.result, 60)
    return clock(at) if 1e9 < at < 1e10 else clean(function.result, 60)


def _error(traceback: str, key: str) -> Tag:
    last = traceback.strip().splitlines()[-1] if traceback.strip() else "an error"
    details = tags.details(
        tags.summary("Last error: ", tags.code(clean(last, 200))),
        tags.pre(clean(traceback, 20000), tabindex="0"),
    )
    return tags.tr(tags.td(details, colspan="8"), class_="error", **{"data-key": f"error {key}"})


# -- channels


def _channels(status: DoorbellStatus, history: History, can_act: bool) -> Tag:
    lately = history.rings_since(status.now - 60.0)
    rows = [
        tags.tr(
            tags.th(wrapped(channel.name), scope="row"),
            cell("State", badge(_state_of_channel(channel, status))),
            cell("Rings", f"{channel.rung:,}", kind="number"),
            cell("Last minute", f"{lately.get(channel.name, 0):,}", kind="number"),
            cell("Wakes", "functions" if channel.rings_loops else "nobody"),
            cell("Subscribers", f"{channel.subscribers:,}", kind="number"),
            *([_acts(_channel_acts(channel))] if can_act else []),
            **{"data-key": clean(f"channel {channel.name}")},
        )
        for channel in status.channels
    ]
    names = ["Channel", "State", "Rings", "Last minute", "Wakes", "Subscribers"]
    shown = table(names, rows, can_act) if rows else tags.p("None.", class_="none")
    return section("channels", "Channels", shown)


def _state_of_channel(channel: ChannelStatus, status: DoorbellStatus) -> str:
    if channel.muted:
        return "muted"
    if not channel.active:
        return "unheard"
    hears = status.listener.state == State.LISTENING and channel.name in status.listener.channels
    return "listening" if hears else "not heard"


# -- forms


def _acts(forms: list[Tag]) -> Tag:
    return tags.td(tags.div(*forms, class_="forms"), class_="acts", **{"data-label": "Act"})


def _function_acts(loop: LoopStatus, function: FunctionStatus) -> list[Tag]:
    target = {"loop": loop.name, "function": function.name}
    mute = "unmute" if function.muted else "mute"
    return [_form("run", "Run now", target), _form(mute, mute.capitalize(), target)]


def _channel_acts(channel: ChannelStatus) -> list[Tag]:
    target = {"channel": channel.name}
    mute = "unmute" if channel.muted else "mute"
    payload = tags.input(
        type="text",
        name="payload",
        placeholder="payload",
        autocomplete="off",
        **{"aria-label": clean(f"Payload for {channel.name}", 100)},
    )
    return [
        _form("ring", "Ring", target, payload),
        _form(mute, mute.capitalize(), target),
    ]


def _form(action: str, word: str, target: dict[str, str], *inputs: Tag) -> Tag:
    hidden = [tags.input(type="hidden", name=n, value=clean(v)) for n, v in target.items()]
    label = clean(f"{word}: {' '.join(target.values())}", 120)
    button = tags.button(word, type="submit", **{"aria-label": label})
    form = tags.form(*hidden, *inputs, button, action=action, method="post", class_="act")
    return form(**{"data-key": action if action in ("ring", "run") else "mute"})
