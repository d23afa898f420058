"""The strip above a participant's page: the workshop, and what the presenter asks."""

from __future__ import annotations

from markupsafe import Markup

from editlab.lab.workshops import Guessing, Participant
from editlab.web.core.html import render
from editlab.web.core.language import gettext as _
from editlab.web.workshop import room_words as words


def strip(participant: Participant, guessing: Guessing | None) -> Markup:
    """Return the strip. Its script asks for the card again every few seconds."""
    return render("workshop/room_strip.html", participant=participant, card=guess_card(guessing))


def guess_card(guessing: Guessing | None) -> Markup:
    """Return what the presenter asks, with a button for each option; once it is told, the guesses as bars."""
    if guessing is None:
        return render("workshop/room_guess.html", question=None, said=_(words.WAITING), bars=())
    said = words.said(guessing.options, guessing.choice, guessing.answer)
    return render("workshop/room_guess.html", question=guessing, said=said, bars=bars(guessing.options, guessing.counts))


def bars(options: tuple[str, ...], counts: tuple[int, ...] | None) -> list[tuple[str, int, int]]:
    """Return (option, guesses, width in percent) of each option; empty without counts."""
    if counts is None:
        return []
    most = max(*counts, 1)
    return [(_(option), number, round(100 * number / most)) for option, number in zip(options, counts, strict=True)]
