"""The picture: what every view says at the edited prompt, side by side, so that the change is what meets the eye.

One column a view, in the order of the views; nothing here counts them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from editlab.facts import EditRequest
from editlab.lab import CONTROL
from editlab.web.core import render

LONG_ANSWER = 16
"""Characters from which an answer is set smaller, so that no column grows."""
HINT = "Nothing is edited yet. Press “Apply edit”: the new answer will stand here, next to the old one."
KEPT_PLACES = ("base", "edited")
GUARDED_PLACES = ("base", "guarded")
"""Views whose columns are there from the beginning; another one takes room only once it has something to say."""

UNCHANGED = {"masked": "the old answer", "guarded": "the old answer"}
"""What an answer that is the base model's means, where the edit lies under a mask."""

Said = Mapping[str, Mapping[str, Any]]


def picture(request: EditRequest, said: Said, waiting: bool = False, views: Sequence[str] = KEPT_PLACES) -> str:
    """The question and one column a view: `said` is what `Workspace.look` gives, whole or as far as it has come.

    The places of `views` are kept: before an edit by a hint, or by a waiting answer while one is computed. What only serves
    to check the others stands below them, in one line.
    """
    controls = controls_of(said)
    answers = {view: answer(own) for view, own in said.items() if view not in controls}
    columns = Markup("").join(_column(view, request, said[view], _fate(view, answers)) for view in answers)
    for view in [view for view in views if view not in said]:
        columns += _waiting(view) if waiting or view == "base" else _empty(view)
    columns += Markup("").join(_control(view, request, said[view]) for view in controls)
    checked = Markup(' checked" style="--columns:{}').format(len(answers)) if controls else ""
    return Markup('{}<div class="columns{}">{}</div>').format(question(request), checked, columns)


def controls_of(said: Said) -> tuple[str, ...]:
    """Views that only serve to check the others: the mask alone; under the guard, what the edit does without it."""
    return tuple(view for view in said if view == CONTROL or ("guarded" in said and view in ("edited", "rep")))


def question(request: EditRequest) -> Markup:
    """The prompt with its subject marked, as the headline over all answers."""
    before, _, after = request.prompt.partition("{}")
    return Markup('<h2 id="question" class="question">{}<mark>{}</mark>{} …</h2>').format(before, request.subject, after)


def answer(said: Mapping[str, Any]) -> str:
    """A view's answer in a few words; before the first of them is written, its likeliest token."""
    text = said.get("text") or ""
    return render.headline(text if text.strip() else render.visible(said["top"][0][0]) if said.get("top") else "…")


def spoken(said: Said) -> str:
    """All answers as a sentence, for whoever hears the page."""
    base, *others = said
    first = f"{render.view_title(base)}: “{answer(said[base])}”."
    if not others:
        return f"{first} Press “Apply edit” to change that."
    return " ".join([first, *(f"{render.view_title(view)}: “{answer(said[view])}”." for view in others)])


def _fate(view: str, answers: Mapping[str, str]) -> str:
    """What became of a view's answer: the base's may be replaced, another view's is new or is still the base's."""
    base = answers.get("base")
    others = [text for name, text in answers.items() if name != "base"]
    if view == "base":
        return "replaced" if others and any(text != base for text in others) else ""
    return "changed" if answers[view] != base else "unchanged"


def _column(view: str, request: EditRequest, said: Mapping[str, Any], fate: str) -> Markup:
    text = answer(said)
    size = "long" if len(text) > LONG_ANSWER else ""
    shown = Markup("<s>{}</s>").format(text) if fate == "replaced" else text
    objects = _objects(request, said)
    note = {"replaced": "was", "changed": "changed", "unchanged": UNCHANGED.get(view, "unchanged")}.get(fate, "")
    return Markup(
        '<section id="answer-{}" class="answer {} {}" aria-label="{}"><h3>{}<span>{}</span></h3>'
        '<p class="said {}">{}</p>{}<dl class="objects">{}</dl><p class="text"><span>{}</span>{}</p></section>'
    ).format(
        view,
        view,
        fate,
        render.view_title(view),
        render.view_title(view),
        note,
        size,
        shown,
        render.bars(request, said.get("top") or ()),
        objects,
        f"{request.text} ",
        (said.get("text") or "").strip(),
    )


def _objects(request: EditRequest, said: Mapping[str, Any]) -> Markup:
    return Markup("").join(
        Markup('<div class="{}"><dt>p({})</dt><dd>{}</dd></div>').format(word, name, render.percent(said.get(key)))
        for word, name, key in (("new", request.target_new, "p_new"), ("old", request.target_true, "p_true"))
        if name is not None
    )


def _control(view: str, request: EditRequest, said: Mapping[str, Any]) -> Markup:
    """A view in one line."""
    return Markup(
        '<section id="answer-{}" class="answer control {}" aria-label="{}"><h3>{}<span>control: {}</span></h3>'
        '<p class="said">{}</p><dl class="objects">{}</dl></section>'
    ).format(
        view,
        view,
        render.view_title(view),
        render.view_title(view),
        "no edit, only the mask" if view == CONTROL else "without the guard",
        answer(said),
        _objects(request, said),
    )


def _empty(view: str) -> Markup:
    return Markup(
        '<section id="answer-{}" class="answer {} empty" aria-label="{}"><h3>{}</h3><p class="hint">{}</p></section>'
    ).format(view, view, render.view_title(view), render.view_title(view), HINT)


def _waiting(view: str) -> Markup:
    return Markup(
        '<section id="answer-{}" class="answer {} waiting" aria-label="{}"><h3>{}<span></span></h3>'
        '<p class="said" aria-hidden="true">…</p>{}<dl class="objects"></dl><p class="text"></p></section>'
    ).format(view, view, render.view_title(view), render.view_title(view), render.bars(None, ()))
