"""The results of a workshop as CSV, without anything that says who somebody is."""

from __future__ import annotations

from pandas import DataFrame

from editlab.facts.writers import frame_csv
from editlab.lab.workshops.workshops import Workshops

COLUMNS = ["participant", "question", "guess", "right", "edits", "last_step"]


def results(workshops: Workshops, owner: str, id: str) -> str:
    """Return a row for each participant and question, and one for a participant who guessed nothing.

    Participants are numbered anew, 1 to n. `edits`: how many they made; `last_step`: when, in UTC, to the minute.
    """
    people, asked = workshops.people(owner, id), workshops.guesses(owner, id)
    rows = []
    for place, person in enumerate(people, start=1):
        given = [(question, *guesses[person.number]) for question, guesses in asked if person.number in guesses]
        last = person.stepped_at[:16].replace("T", " ")
        for question, guess, right in given or [("", "", None)]:
            told = "" if right is None else "yes" if right else "no"
            rows.append((f"participant {place}", question, guess, told, str(person.edits), last))
    return frame_csv(DataFrame(rows, columns=COLUMNS))
