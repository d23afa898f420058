"""What the page calls views, kinds of probes and tokens: the same as reports do, in the language of the visit."""

from editlab import names
from editlab.lab import KINDS, METHODS
from editlab.names import VIEW_TITLES, token_name
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.wording import capitalize

NAMED_AFTER_THEMSELVES = (noop("Rephrase"), noop("Shuffle"), noop("Paraphrase"), noop("Locality"))
"""Kinds of probes without a name of their own."""
DOMAINS = (noop("own"), noop("in"), noop("out"))


def view_title(view: str) -> str:
    """Return a view's title."""
    return _(names.view_title(view))


def method_name(name: str) -> str:
    """Return the short name of a method: how its title begins. One that there is not is shown under its own name."""
    return _(METHODS[name].title).partition(":")[0] if name in METHODS else name


def kind_name(kind: str, domain: str = "") -> str:
    """Return the name of a kind of probe, with its domain in brackets where it has one."""
    return _(names.kind_name(kind)) + (f" ({_(domain)})" if domain else "")


def kind_meaning(kind: str) -> str:
    """Return what a kind of probe asks."""
    return capitalize(_(KINDS[kind]))


__all__ = ["VIEW_TITLES", "kind_meaning", "kind_name", "method_name", "token_name", "view_title"]
