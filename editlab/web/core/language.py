"""The language of the page."""


def gettext(message: str) -> str:
    """Return a text in the language of the page."""
    return message


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the form of a text for a number, in the language of the page."""
    return singular if number == 1 else plural


def noop(message: str) -> str:
    """Mark a text that is translated where it is shown."""
    return message
