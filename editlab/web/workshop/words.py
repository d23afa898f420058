"""The sentences of the Workshop tab."""

from __future__ import annotations

from editlab.facts import EditRequest
from editlab.facts.script import bare
from editlab.lab.scenarios import Check, Expect, Scenario
from editlab.web.core.engine import said
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.names import kind_name
from editlab.web.core.wording import number, percent, share

INTRO = noop(
    "Scenarios for an audience: one step at a time, each with what to expect. A scenario runs in a workspace of its own, "
    "so your edits stay as they are."
)
KEYS = noop("P: fill the screen. → or Page Down: forward, ← or Page Up: back, Esc: stop, then leave.")
OWN = noop(
    "A scenario is a TOML file: docs/scenarios.md says how it is written. Open one from the list, or begin with this."
)
CHECKED = noop("Its form is right: {steps} for {models}.")
SAVED = noop("Saved as “{name}”. It is in the list above and in `editlab scenario list`.")
DELETED = noop("Deleted “{name}”.")
OPENED = noop("“{name}” is open below.")
OPENED_BUNDLED = noop("“{name}” is bundled. Save it under a name of your own.")
PRESENTERS_ALONE = noop(
    "In a workshop, the presenter runs the scenarios. To run or read one, run EditLab on your own computer: the README says "
    "how."
)
NOT_PLAYED = noop("A report is about a scenario that was played. Start it first.")
DOWNLOAD = noop("Download {file} ({size})")
STILL_PERFORMING = noop("The model is still at work, so this press did not count. Press again after that, or press Stop.")
PERFORMING = {
    "ask": noop("Asking the model"),
    "edit": noop("Editing the model"),
    "switch": noop("Switching, then asking"),
    "look": noop("Computing what you will see"),
}
SWITCHES = {
    "rep on": noop("REP is switched on"),
    "rep off": noop("REP is switched off"),
    "mask on": noop("The reversal mask is switched on"),
    "mask off": noop("The reversal mask is switched off"),
    "guard on": noop("The guard is switched on"),
    "guard off": noop("The guard is switched off"),
    "undo": noop("The last change is undone"),
    "redo": noop("The change is made again"),
    "clear": noop("All edits are removed"),
}
MARKS = {
    "met": noop("as expected"),
    "not met": noop("not as expected"),
    "met anyway": noop("as expected, but also without the edit"),
}
SIGNS = {"met": "✓", "not met": "✗", "met anyway": "≈"}
TABS = {
    "edit": noop("Edit"),
    "keys": noop("Keys"),
    "inside": noop("Inside"),
    "compare": noop("Compare"),
    "workspace": noop("Workspace"),
    "monitor": noop("Monitor"),
    "model": noop("Model"),
}
VERDICTS = {
    "suppressed": noop("suppressed, the old fact was still there"),
    "not reversed": noop("not reversed, this mask does not bring the old fact back"),
    "held": noop("held, the edit does not act under the guard"),
    "got through": noop("got through, the edit acts under the guard as well"),
}
METRICS = {
    "holds": noop("edits that hold"),
    "generated": noop("edits that hold in the written answer"),
    "retention": noop("edits that hold in other words"),
    "locality": noop("other subjects kept"),
    "same_subject": noop("same subject kept"),
    "kl": noop("change of other answers (KL)"),
    "ability": noop("questions with four options answered right"),
    "loss": noop("loss on prose"),
}
SHARES = ("holds", "generated", "retention", "locality", "same_subject", "ability")
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
    text = _("Tried on {model}") if model in scenario.models else _("Not tried on {model}")
    return text.format(model=model)


def summary(tried: int, total: int, model: str) -> str:
    """Return how many scenarios there are, and what to expect of them on this model."""
    text = ngettext(
        "{n} scenario, {tried} of them tried on {model}: every expectation was met there.",
        "{n} scenarios, {tried} of them tried on {model}: every expectation was met there.",
        total,
    )
    return text.format(n=number(total), tried=tried, model=model)


def steps(n: int) -> str:
    """Return a number of steps."""
    return ngettext("{n} step", "{n} steps", n).format(n=number(n))


def progress(place: int, total: int) -> str:
    """Return where a scenario stands."""
    if place < 0:
        return steps(total)
    return _("{n} of {all}").format(n=place + 1, all=total) if place < total else _("The end")


def end(checks: int, met: int, problems: int) -> str:
    """Return how a scenario went."""
    if checks:
        text = ngettext("{met} of {n} expectation met", "{met} of {n} expectations met", checks)
        told = text.format(met=met, n=number(checks))
    else:
        told = _("Nothing was expected")
    if not problems:
        return f"{told}."
    text = ngettext("{n} step not performed.", "{n} steps not performed.", problems)
    return f"{told}, {text.format(n=number(problems))}"


def expectation(expected: Expect, request: EditRequest | None = None) -> str:
    """Return what is expected, without the view of which it is."""
    if expected.is_ is not None:
        return _("“{answer}”").format(answer=expected.is_)
    if expected.is_not is not None:
        return _("not “{answer}”").format(answer=expected.is_not)
    if expected.contains is not None:
        return _("mentions “{answer}”").format(answer=expected.contains)
    if expected.differs:
        return _("another answer than before")
    if expected.verdict is not None:
        return _("verdict: {verdict}").format(verdict=_(VERDICTS.get(expected.verdict, expected.verdict)))
    limits = [(sign, value) for sign, value in (("≥", expected.at_least), ("≤", expected.at_most)) if value is not None]
    if expected.metric is not None:
        name = _(METRICS.get(expected.metric, expected.metric))
        form = share if expected.metric in SHARES else "{:g}".format
    elif expected.score is not None:
        name, form = score_name(expected.score), share
    else:
        name, form = f"p({_object(expected.p, request)})", percent
    return f"{name} {', '.join(f'{sign} {form(value)}' for sign, value in limits)}"


def actual(check: Check) -> str:
    """Return what came instead; empty where the answer above it says so."""
    expected = check.expected
    if check.problem:
        return said(check.problem)
    if expected.score is not None and " of " in check.actual:
        right, total = check.actual.split(" of ")
        text = _("{share} ({right} of {total})")
        return text.format(share=share(float(right) / float(total)), right=f"{float(right):.3g}", total=total)
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
