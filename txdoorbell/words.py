"""Command lines in error messages: what may be shown of a word that nobody asked for."""

__all__ = ["shown"]


def shown(word: str) -> str:
    """
    Return a stray word of a command line without what may be a password.

    Most often it is a part of a DSN that isn't quoted: an option and a key are shown, the rest
    isn't.
    """
    key, equals, _ = word.partition("=")
    if equals:
        return f"{key}=..."
    return word if word.startswith("-") else "..."
