"""
Names in docstrings are those that their module sees, as in code.

Sphinx links a name only when it is written out in full. Here one that a module has imported leads
to where it is defined. One that has no entry on any page is shown without a link, if only it
exists: ``-n`` goes on refusing names that don't.
"""

import importlib


def setup(app):
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}


def resolve(app, environment, node, shown):
    """Return what to show for a reference that Sphinx can't resolve; None where nobody can."""
    if node.get("refdomain") != "py":
        return None
    found = find(node["reftarget"].lstrip("."), node.get("py:module"), node.get("py:class"))
    if found is None:
        return None
    link = link_to(app, environment, node, shown, found)
    return shown if link is None else link


def find(target, module, owner):
    """Return the full name of what a docstring of a module, or of its class, means; or None."""
    home, _, _ = (look_up(f"{module}.{owner}") or "").rpartition(".")
    for place in (f"{module}.{owner}.", f"{module}.", f"{home or module}.", "builtins.", ""):
        found = look_up(place + target)
        if found is not None:
            return found
    return None


def look_up(path):
    parts = path.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        return follow(module, parts[cut:])
    return None


def follow(value, names):
    """Return the full name of an attribute's attribute, by where it was defined."""
    place = [value.__name__]
    for name in names:
        if not hasattr(value, name) and name not in getattr(value, "__annotations__", {}):
            return None
        value = getattr(value, name, None)
        defined = [getattr(value, "__module__", None), getattr(value, "__qualname__", None)]
        place = defined if all(defined) else [*place, name]
    return ".".join(place)


def link_to(app, environment, node, shown, target):
    domain = environment.get_domain("py")
    return domain.resolve_xref(
        environment, node["refdoc"], app.builder, node["reftype"], target, node, shown
    )
