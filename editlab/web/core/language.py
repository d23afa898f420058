"""The language in which a visitor is spoken to.

    from editlab.web.core.language import gettext as _, ngettext, noop

    _("Stopping …")
    _("{n} of {all} hold").format(n=3, all=4)
    ngettext("{n} edit", "{n} edits", n).format(n=n)
    TITLE = noop("Edit")  # only marked; `_(TITLE)` translates it where it is shown

The English sentence is the message. Its translations stand in `web/languages/`, one gettext catalogue a language.
"""

from __future__ import annotations

import gettext as standard
import io
import re
from collections.abc import Iterable
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from babel import Locale, negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from editlab.wording import noop

FOLDER = Path(__file__).parents[1] / "languages"
ENGLISH = "en"
LANGUAGES = (ENGLISH, "de")
"""The languages that visitors are offered. Each but English has a complete catalogue."""
LOCALES = {ENGLISH: "en_GB"}
"""The locale of a language's numbers and lists, where the language alone means another one: a, b and c."""
LANGUAGE: ContextVar[str] = ContextVar("language", default=ENGLISH)
ACCEPTED = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")
"""A language of the header `Accept-Language`, and how much it is liked."""


def language() -> str:
    """Return the language of the visit that is served now."""
    return LANGUAGE.get()


def locale() -> Locale:
    """Return how numbers and lists are written in the language of the visit."""
    return Locale.parse(LOCALES.get(language(), language()))


def gettext(message: str) -> str:
    """Return a message in the language of the visit."""
    return _translations(language()).gettext(message) if message else message


def ngettext(singular: str, plural: str, n: int) -> str:
    """Return a message about a number of things in the language of the visit."""
    return _translations(language()).ngettext(singular, plural, n)


def pgettext(context: str, message: str) -> str:
    """Return a message in the language of the visit that elsewhere means something else. `context`: what it is here."""
    return _translations(language()).pgettext(context, message)


def of_scripts() -> dict[str, str]:
    """Return the messages of the page's scripts with their translations; none in English."""
    return {
        message.id: gettext(message.id)
        for message in catalogue(language())
        if any(place.endswith(".js") for place, _ in message.locations)
    }


def choose(stated: Iterable[str | None], accepted: str) -> str:
    """Return a language that is offered: the first that is stated, else what a browser likes most (`Accept-Language`)."""
    for name in stated:
        if name in LANGUAGES:
            return name
    liked = {match[1]: float(match[2] or 1) for match in map(ACCEPTED.fullmatch, accepted.split(",")) if match}
    return negotiate_locale(sorted(filter(liked.get, liked), key=liked.get, reverse=True), LANGUAGES, sep="-") or ENGLISH


@cache
def catalogue(name: str) -> Catalog:
    """Return the catalogue of a language; an empty one of English."""
    if name == ENGLISH:
        return Catalog()
    with (FOLDER / f"{name}.po").open("rb") as file:
        return read_po(file, locale=name)


@cache
def _translations(name: str) -> standard.NullTranslations:
    """Return a catalogue as Python's gettext reads it. What is not translated, or not surely, stays English."""
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(name))
    compiled.seek(0)
    return standard.GNUTranslations(compiled)


__all__ = ["LANGUAGES", "choose", "gettext", "language", "ngettext", "noop", "of_scripts", "pgettext"]
