"""What is said about a file of edits: what can be made of it, how far it is, and how well its edits took."""

from __future__ import annotations

from editlab.lab import EditFile, FileProgress
from editlab.web.core.render import percent

COLLAPSED = 0.5
"""Where the latest batch took at less than this share of what all did so far, it is said."""


def looked_over(file: EditFile, skip: bool, there: int = 0) -> str:
    """What can be made of a file of which `there` edits lie over the model already."""
    bad, good = len(file.faults), len(file.rows)
    if not good:
        return f"{file.name}: of {edits(file.count)} none can be made. Mend the rows below."
    if not bad:
        said = f"{file.name}: {edits(good)}, and {'it' if good == 1 else 'all'} can be made."
    else:
        row, to_do = ("one row", ("is", "has")) if bad == 1 else (f"{bad:,} rows", ("are", "have"))
        rest = f"{row} {to_do[0]} left out" if skip else f"{row} {to_do[1]} to be mended or left out"
        said = f"{file.name}: {good:,} of {edits(file.count)} can be made; {rest}."
    if there:
        said += f" {there:,} of them {'lies' if there == 1 else 'lie'} here already"
        said += (
            ", so nothing is left to do."
            if there == good
            else f", so {good - there:,} {'is' if good - there == 1 else 'are'} left."
        )
    return said


def so_far(done: FileProgress) -> str:
    """How far a file is, how long the rest takes, and whether the model still takes more."""
    if not done.done:
        return f"{edits(done.rows)}: the first batch is being made."
    said = f"{_lie(f'{done.done:,} of {edits(done.rows)}', done.done)}. {_took(done)}"
    if done.seconds_left:
        said += f" About {duration(done.seconds_left)} left."
    if done.latest < COLLAPSED * done.said:
        said += (
            f" Of the latest batch only {percent(done.latest)} took: so many edits are more than this model holds with this "
            "method. Press Stop, and Undo takes the batch back."
        )
    return said


def at_end(done: FileProgress) -> str:
    """How many edits lie over the model, and how many of them took."""
    before = f" ({done.resumed:,} of them from before)" if done.resumed else ""
    held = "" if done.held is None else f" Now that all lie there, it is said at {percent(done.held)}."
    return f"{_lie(edits(done.done), done.done)}{before}. {_took(done)}{held}"


def _lie(what: str, count: int) -> str:
    return f"{what} of the file {'lies' if count == 1 else 'lie'} over the model"


def _took(done: FileProgress) -> str:
    return f"The new object was said at {percent(done.said)} of the prompts right after their batch."


def edits(count: int) -> str:
    """So many edits, in words."""
    return "1 edit" if count == 1 else f"{count:,} edits"


def duration(seconds: float) -> str:
    """A time to wait as people say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 90 else f"{round(seconds / 3600)} hours"
