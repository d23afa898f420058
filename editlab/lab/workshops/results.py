"""The results of a workshop as CSV, without anything that says who somebody is."""

from __future__ import annotations

import csv
import io

from editlab.facts.writers import for_spreadsheet
from editlab.lab.workshops.workshops import Workshops


def results(workshops: Workshops, owner: str, id: str) -> str:
    """Return a row for each participant and question, and one for a participant who guessed nothing.

    Participants are numbered anew, 1 to n. `edits`: how many they made; `last_step`: when, in UTC, to the minute.
    """
    people, asked = workshops.people(owner, id), workshops.guesses(owner, id)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["participant", "question", "guess", "right", "edits", "last_step"])
    for place, person in enumerate(people, start=1):
        given = [(question, *guesses[person.number]) for question, guesses in asked if person.number in guesses]
        last = person.stepped_at[:16].replace("T", " ")
        for question, guess, right in given or [("", "", None)]:
            told = "" if right is None else "yes" if right else "no"
            cells = f"participant {place}", question, guess, told, str(person.edits), last
            rows.writerow(map(for_spreadsheet, cells))
    return text.getvalue()
