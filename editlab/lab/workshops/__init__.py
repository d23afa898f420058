"""Workshops: an audience that joins by a link, each in a private copy of a workspace, and guesses what a model will say."""

from editlab.lab.workshops.parts import (
    HOURS,
    MOST,
    MOST_HOURS,
    MOST_OPTIONS,
    MOST_PARTICIPANTS,
    Guessing,
    NoWorkshop,
    Over,
    Participant,
    Person,
    Question,
    Workshop,
)
from editlab.lab.workshops.workshops import Workshops

__all__ = [
    "HOURS",
    "MOST",
    "MOST_HOURS",
    "MOST_OPTIONS",
    "MOST_PARTICIPANTS",
    "Guessing",
    "NoWorkshop",
    "Over",
    "Participant",
    "Person",
    "Question",
    "Workshop",
    "Workshops",
]
