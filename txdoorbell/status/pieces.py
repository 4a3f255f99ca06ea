"""What the parts of the page are made of: cells, badges, facts and tables."""

from __future__ import annotations

from twisted.web.template import Tag, tags

from txdoorbell.status.figures import clean

__all__ = ["badge", "cell", "fact", "section", "table", "two_lines", "wrapped"]


def badge(state: str) -> Tag:
    """Return a state, with a frame that tells good from bad."""
    return tags.span(state, class_=f"badge {state.replace(' ', '-')}")


def cell(name: str, *content: Tag | str, kind: str = "") -> Tag:
    """Return a cell of a table; a narrow window shows its column's name beside it."""
    return tags.td(*content, class_=kind, **{"data-label": name})


def wrapped(name: str) -> Tag:
    """Return a name of any length."""
    return tags.span(clean(name, 80), class_="name", title=clean(name, 200))


def two_lines(first: str, second: str) -> Tag:
    """Return a text with a small one under it, which has its place even when it is empty."""
    return tags.span(first, tags.small(second or "\N{NO-BREAK SPACE}"))


def fact(name: str, value: Tag | str, kind: str = "") -> Tag:
    """Return an entry of a list of facts."""
    return tags.div(tags.dt(name), tags.dd(value), class_=f"fact {kind}".strip())


def table(names: list[str], rows: list[Tag], can_act: bool = False) -> Tag:
    """
    Return a table.

    :param can_act: whether its rows end with forms.
    """
    heads = [tags.th(name, scope="col") for name in names]
    if can_act:
        heads.append(tags.th("Act", scope="col", class_="acts"))
    return tags.table(tags.thead(tags.tr(*heads)), tags.tbody(*rows))


def section(name: str, heading: str, *content: Tag) -> Tag:
    """Return a part of the page under a heading."""
    return tags.section(tags.h2(heading), *content, id=name)
