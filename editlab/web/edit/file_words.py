"""The sentences about edits from a file: which of them are valid, how many are applied, and how well they took."""

from __future__ import annotations

from editlab.lab import EditFile, FileProgress
from editlab.wording import count, duration, percent

COLLAPSE = 0.5
"""Where the latest batch took at less than this share of what all batches did so far, the page says so."""
HINT = "Every row is checked before the first edit is computed."
CHECKING = "Checking every row …"


def checked(file: EditFile, skip: bool, applied: int = 0) -> str:
    """Return which edits of a file are valid. `applied`: how many of them the workspace has already."""
    invalid, valid = len(file.faults), len(file.rows)
    if not valid:
        return f"{file.name}: none of {count(file.count, 'edit')} is valid. Correct the rows below."
    if not invalid:
        text = f"{file.name}: {count(valid, 'edit')}, {'valid' if valid == 1 else 'all valid'}."
    else:
        text = f"{file.name}: {valid:,} of {count(file.count, 'edit')} {_be(valid)} valid; {_invalid(invalid, skip)}."
    return f"{text}{_left(applied, valid - applied) if applied else ''}"


def _invalid(rows: int, skip: bool) -> str:
    if skip:
        return f"{count(rows, 'row')} {_be(rows)} skipped"
    return f"correct or skip {'the other row' if rows == 1 else f'the other {rows:,} rows'}"


def _left(applied: int, left: int) -> str:
    rest = f"so {left:,} {_be(left)} left" if left else "so nothing is left to do"
    return f" {applied:,} of them {_be(applied)} applied already, {rest}."


def so_far(now: FileProgress) -> str:
    """Return how many edits are applied, how long the rest takes, and whether the model still takes more."""
    if not now.done:
        return f"{count(now.rows, 'edit')}: computing the first batch."
    text = f"{now.done:,} of {count(now.rows, 'edit')} of the file {_be(now.done)} applied. {_took(now)}."
    if now.seconds_left:
        text += f" About {duration(now.seconds_left)} left."
    if now.latest < COLLAPSE * now.said:
        text += (
            f" Of the latest batch only {percent(now.latest)} took: with this method, the model does not hold so many "
            "edits. Press Stop, then Undo, to remove the batch."
        )
    return text


def at_end(now: FileProgress) -> str:
    """Return how many edits are applied, and how many of them took."""
    before = f" ({now.resumed:,} of them before)" if now.resumed else ""
    held = "" if now.held is None else f", and at {percent(now.held)} now that all are applied"
    return f"{count(now.done, 'edit')} of the file {_be(now.done)} applied{before}. {_took(now)}{held}."


def apply_label(left: int) -> str:
    """Return the label of the button that applies what is left of a file."""
    return f"Apply {count(left, 'edit')}" if left else "Apply"


def _took(now: FileProgress) -> str:
    return f"The model gave the new object at {percent(now.said)} of the prompts right after their batch"


def _be(number: int) -> str:
    return "is" if number == 1 else "are"
