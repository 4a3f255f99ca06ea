"""Errors in one line, as log lines and messages want them."""

__all__ = ["one_line"]


def one_line(text: object) -> str:
    """Return an error's text, which libpq spreads over several lines, as one."""
    return " ".join(str(text).split())
