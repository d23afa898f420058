"""The sentences of the Workshop tab."""

from __future__ import annotations

from editlab.facts import EditRequest
from editlab.facts.script import bare
from editlab.lab.scenarios import Check, Expect, Scenario
from editlab.names import kind_name
from editlab.wording import count, percent, share

INTRO = (
    "Scenarios for an audience: one step at a time, each with what to expect. A scenario runs in a workspace of its own, "
    "so your edits stay as they are."
)
KEYS = "P: fill the screen. → or Page Down: forward, ← or Page Up: back, Esc: stop, then leave."
OWN = "A scenario is a TOML file: docs/scenarios.md says how it is written. Open one from the list, or begin with this."
CHECKED = "Its form is right: {} for {}."
SAVED = "Saved as “{}”. It is in the list above and in `editlab scenario list`."
DELETED = "Deleted “{}”."
OPENED = "“{}” is open below."
OPENED_BUNDLED = "“{}” is bundled. Save it under a name of your own."
NOT_PLAYED = "A report is about a scenario that was played. Start it first."
DOWNLOAD = "Download {} ({})"
PERFORMING = {
    "ask": "Asking the model",
    "edit": "Editing the model",
    "switch": "Switching, then asking",
    "look": "Computing what you will see",
}
SWITCHES = {
    "rep on": "REP is switched on",
    "rep off": "REP is switched off",
    "mask on": "The reversal mask is switched on",
    "mask off": "The reversal mask is switched off",
    "guard on": "The guard is switched on",
    "guard off": "The guard is switched off",
    "undo": "The last change is undone",
    "redo": "The change is made again",
    "clear": "All edits are removed",
}
MARKS = {"met": "as expected", "not met": "not as expected", "met anyway": "as expected, but also without the edit"}
SIGNS = {"met": "✓", "not met": "✗", "met anyway": "≈"}
TABS = {"edit": "Edit", "keys": "Keys", "inside": "Inside", "workspace": "Workspace", "monitor": "Monitor", "model": "Model"}
VERDICTS = {
    "suppressed": "suppressed, the old fact was still there",
    "not reversed": "not reversed, this mask does not bring the old fact back",
    "held": "held, the edit does not act under the guard",
    "got through": "got through, the edit acts under the guard as well",
}
METRICS = {
    "holds": "edits that hold",
    "retention": "edits that hold in other words",
    "locality": "other subjects kept",
    "same_subject": "same subject kept",
    "kl": "change of other answers (KL)",
    "loss": "loss on prose",
}
SHARES = ("holds", "retention", "locality", "same_subject")
"""Metrics that are shares."""
STARTER = """\
title = "My scenario"
shows = "In one sentence, what it shows."
source = "Where it comes from"
models = ["{model}"]

[[steps]]
do = "say"
text = "What you say first."

[[steps]]
do = "edit"
subject = "Slovenia"
prompt = "{{}} belongs to the continent of"
new = "Antarctica"
true = "Europe"
expect = [{{ is = "Antarctica" }}]
"""


def tried(scenario: Scenario, model: str) -> str:
    """Return whether a scenario was tried on a model."""
    return f"Tried on {model}" if model in scenario.models else f"Not tried on {model}"


def summary(tried: int, total: int, model: str) -> str:
    """Return how many scenarios there are, and what to expect of them on this model."""
    return f"{count(total, 'scenario')}, {tried} of them tried on {model}: every expectation was met there."


def progress(place: int, total: int) -> str:
    """Return where a scenario stands."""
    return f"{place + 1} of {total}" if 0 <= place < total else count(total, "step") if place < 0 else "The end"


def end(checks: int, met: int, problems: int) -> str:
    """Return how a scenario went."""
    said = f"{met} of {count(checks, 'expectation')} met" if checks else "Nothing was expected"
    return f"{said}, {count(problems, 'step')} not performed." if problems else f"{said}."


def expectation(expected: Expect, request: EditRequest | None = None) -> str:
    """Return what is expected, without the view of which it is."""
    if expected.is_ is not None:
        return f"“{expected.is_}”"
    if expected.is_not is not None:
        return f"not “{expected.is_not}”"
    if expected.contains is not None:
        return f"mentions “{expected.contains}”"
    if expected.differs:
        return "another answer than before"
    if expected.verdict is not None:
        return f"verdict: {VERDICTS.get(expected.verdict, expected.verdict)}"
    limits = [(sign, value) for sign, value in (("≥", expected.at_least), ("≤", expected.at_most)) if value is not None]
    if expected.metric is not None:
        name, form = METRICS.get(expected.metric, expected.metric), share if expected.metric in SHARES else "{:g}".format
    elif expected.score is not None:
        name, form = score_name(expected.score), share
    else:
        name, form = f"p({_object(expected.p, request)})", percent
    return f"{name} {', '.join(f'{sign} {form(value)}' for sign, value in limits)}"


def actual(check: Check) -> str:
    """Return what came instead; empty where the answer above it says so."""
    expected = check.expected
    if expected.score is not None and " of " in check.actual:
        total, _, number = check.actual.partition(" of ")
        return f"{share(float(total) / float(number))} ({float(total):.3g} of {number})"
    if expected.metric in SHARES and check.actual.replace(".", "").isdigit():
        return share(float(check.actual))
    told = expected.is_number or check.verdict == "not met"
    return check.actual if told else ""


def contrast(check: Check) -> str:
    """Return where an expectation was met as well, though it should not be."""
    return check.contrast.replace("_", " ") if check.verdict == "met anyway" else ""


def score_name(score: str) -> str:
    """Return the name of a score: Rephrase (in-domain)."""
    kind, _, half = score.rpartition("_")
    return kind_name(kind, half) if half in ("in", "out") else kind_name(score)


def _object(which: str | None, request: EditRequest | None) -> str:
    target = request and (request.target_new if which == "new" else request.target_true)
    return bare(target) if target else str(which)
