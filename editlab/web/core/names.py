"""What the page calls views, kinds of probes and tokens: the same as reports do."""

from editlab.lab import KINDS
from editlab.names import KIND_NAMES, TOLD, VIEW_TITLES, kind_name, token_name, view_title
from editlab.wording import capitalize


def kind_meaning(kind: str) -> str:
    """Return what a kind of probe asks."""
    return capitalize(KINDS[kind])


__all__ = ["KIND_NAMES", "TOLD", "VIEW_TITLES", "kind_meaning", "kind_name", "token_name", "view_title"]
