"""The sentences about edits from a file: which of them are valid, how many are applied, and how well they took."""

from __future__ import annotations

from editlab.facts.overlaps import TEXTS
from editlab.lab import EditFile, FileProgress
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.wording import duration, number, rate

COLLAPSE = 0.5
"""Where the latest batch took at less than this share of what all batches did so far, the page says so."""
SHOWN_MISSED = 5
"""Rows that a sentence names."""
HINT = noop("Every row is checked before the first edit is computed.")
CHECKING = noop("Checking every row …")


def checked(file: EditFile, skip: bool, applied: int = 0) -> str:
    """Return which edits of a file are valid. `applied`: how many of them the workspace has already."""
    invalid, valid = len(file.faults), len(file.rows)
    given = {"file": file.name, "n": number(valid), "all": number(file.count)}
    if not valid:
        none = ngettext(
            "{file}: none of {all} edit is valid. Correct the rows below.",
            "{file}: none of {all} edits is valid. Correct the rows below.",
            file.count,
        )
        return none.format(**given)
    if not invalid:
        text = ngettext("{file}: {n} edit, valid.", "{file}: {n} edits, all valid.", valid)
    else:
        text = ngettext(
            "{file}: {n} of {all} edits is valid; {rest}.", "{file}: {n} of {all} edits are valid; {rest}.", valid
        )
    text = text.format(**given, rest=_invalid(invalid, skip))
    return f"{text} {_left(applied, valid - applied)}" if applied else text


def notes(file: EditFile) -> list[str]:
    """Return as what a file was read, what else is to be known of it, and which of its rows bear on each other."""
    read = [_("{n} of {form}").format(n=_records(count), form=name) for name, count in file.forms.items()]
    found = [_("Read as {forms}.").format(forms=", ".join(read))] if read else []
    told = [_(TEXTS[overlap.kind]).format(**overlap.values) for overlap in file.overlaps]
    return found + [_(note) for note in file.notes] + told


def _records(n: int) -> str:
    return ngettext("{n} record", "{n} records", n).format(n=number(n))


def _invalid(rows: int, skip: bool) -> str:
    if skip:
        return ngettext("{n} row is skipped", "{n} rows are skipped", rows).format(n=number(rows))
    text = ngettext("correct or skip the other row", "correct or skip the other {n} rows", rows)
    return text.format(n=number(rows))


def _left(applied: int, left: int) -> str:
    if left:
        rest = ngettext("so {n} is left", "so {n} are left", left).format(n=number(left))
    else:
        rest = _("so nothing is left to do")
    text = ngettext("{n} of them is applied already, {rest}.", "{n} of them are applied already, {rest}.", applied)
    return text.format(n=number(applied), rest=rest)


def so_far(now: FileProgress) -> str:
    """Return how many edits are applied, how long the rest takes, and whether the model still takes more."""
    if not now.done:
        text = ngettext("{n} edit: computing the first batch.", "{n} edits: computing the first batch.", now.rows)
        return text.format(n=number(now.rows))
    text = ngettext("{n} of {all} of the file is applied.", "{n} of {all} of the file are applied.", now.done)
    parts = [text.format(n=number(now.done), all=_edits(now.rows)), f"{_took(now)}."]
    if now.seconds_left:
        parts.append(_("About {time} left.").format(time=duration(now.seconds_left)))
    if now.latest < COLLAPSE * now.said:
        text = _(
            "Of the latest batch only {share} took: with this method, the model does not hold so many edits. Press Stop, "
            "then Undo, to remove the batch."
        )
        parts.append(text.format(share=rate(now.latest)))
    return " ".join(parts)


def at_end(now: FileProgress) -> str:
    """Return how many edits are applied, and how many of them took."""
    if now.resumed:
        text = ngettext(
            "{n} of the file is applied ({before} of them before).",
            "{n} of the file are applied ({before} of them before).",
            now.done,
        )
    else:
        text = ngettext("{n} of the file is applied.", "{n} of the file are applied.", now.done)
    text = text.format(n=_edits(now.done), before=number(now.resumed))
    if now.held is None:
        return f"{text} {_took(now)}."
    held = _("{took}, and at {share} now that all are applied.")
    said = f"{text} {held.format(took=_took(now), share=rate(now.held))}"
    if not now.missed:
        return said
    names = "; ".join(f"{row.case.request.subject} ({row.place})" for row in now.missed[:SHOWN_MISSED])
    more = f" (+{number(len(now.missed) - SHOWN_MISSED)})" if len(now.missed) > SHOWN_MISSED else ""
    lost = _("These did not hold: {names}.").format(names=f"{names}{more}")
    return f"{said} {lost}"


def apply_label(left: int) -> str:
    """Return the label of the button that applies what is left of a file."""
    return ngettext("Apply {n} edit", "Apply {n} edits", left).format(n=number(left)) if left else _("Apply")


def _took(now: FileProgress) -> str:
    text = _("The model gave the new object at {share} of the prompts right after their batch")
    return text.format(share=rate(now.said))


def _edits(n: int) -> str:
    return ngettext("{n} edit", "{n} edits", n).format(n=number(n))
