"""The sections of the Inside tab, drawn: each with its sentence, its figure and its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pandas import DataFrame
from pydantic import Field

from editlab.figures import inside as figures
from editlab.insight import Question, concentration
from editlab.insight.loudness import Loudness, loud, summary
from editlab.web.core.components import folded
from editlab.web.core.html import pieces
from editlab.web.core.inputs import Inputs, Name
from editlab.web.core.language import gettext as _
from editlab.web.core.updates import Update
from editlab.web.inside import loudness_words, table, words
from editlab.web.inside.headings import HEADINGS

OF_EDIT = ("lens", "tokens", "contributions", "attention", "mask")
"""The sections of the selected edit, in their order on the page."""
OF_MANY = ("loudness", "parts")
"""The sections of many edits, below them."""
COMPARING = ("lens", "tokens", "contributions")
"""The sections that compare the first tokens of the two objects."""
FIRST_VIEW = "edited-base"
"""The view that the heat maps show at first."""
ObjectName = Literal["new", "true", "lead"]
Form = Literal["added", "differences", "raw"]


class Selection(Inputs):
    """What the figures show: a view or a difference of two in the heat maps, an object, and a form of contributions."""

    view: Annotated[Name, Field(alias="inside-shown")]
    object: Annotated[ObjectName, Field(alias="inside-which")]
    form: Annotated[Form, Field(alias="inside-form")]


@dataclass(frozen=True)
class Shown:
    """What a section is drawn for: the question and the layers of the edit, and what the visitor selected."""

    question: Question
    layers: Sequence[int]
    selection: Selection


def draw(section: str, frame: DataFrame, shown: Shown, leads: bool = False) -> Update:
    """Return a section of the selected edit; the figure that `leads` the tab is not drawn again."""
    title, sentence, figure, rows = CONTENTS[section](frame, shown)
    question = shown.question
    if section in COMPARING and question.new == question.true:
        title, sentence = "", words.same_token(question.request)
    return _section(section, sentence, None if leads else figure, rows, leads) | _fold(section, title)


def figure(section: str, frame: DataFrame, shown: Shown) -> Any:
    """Return the figure of a section of the selected edit."""
    return CONTENTS[section](frame, shown)[2]


def draw_many(cases: Sequence[Loudness], which: ObjectName) -> Update:
    """Return the sections of many edits."""
    compared, parts = loud(cases), summary(cases)
    empty = compared.empty
    loudness_plot = None if empty else figures.loudness(_probabilities(cases))
    parts_plot = None if empty else figures.contributions(parts, which)
    return {
        **_fold("loudness", loudness_words.title(compared)),
        **_section("loudness", loudness_words.answers(compared), loudness_plot, table.cases(cases)),
        **_section("parts", loudness_words.parts(parts), parts_plot, table.parts(parts)),
    }


def clear(section: str, hint: str = "") -> Update:
    """Return a section without results, so that no figure of another edit stays. `hint`: the text in its place."""
    text = pieces.message(hint, "hint") if hint else ""
    update = {f"inside-{section}": text, f"inside-{section}-plot": None, f"inside-{section}-table": ""}
    return update | _fold(section)


def clear_all(sections: Sequence[str], hint: str = "") -> Update:
    """Return several sections without results."""
    return {name: value for section in sections for name, value in clear(section, hint).items()}


def _fold(section: str, finding: str = "") -> Update:
    """Return the title of a section with its finding; the parts of many edits are in the fold of their loudness."""
    return {} if section == "parts" else {f"inside-{section}-fold": folded(_(HEADINGS[section].title), finding)}


def _section(section: str, sentence: str, figure: Any, rows: str, leads: bool = False) -> Update:
    return {
        f"inside-{section}": (pieces.finding(sentence) if sentence else "") + pieces.picture_leads(leads),
        f"inside-{section}-plot": figure,
        f"inside-{section}-table": rows,
    }


Content = tuple[str, str, Any, str]
"""A finding in a few words, a sentence, a figure and a table."""


def _lens(frame: DataFrame, shown: Shown) -> Content:
    request, at = shown.question.request, shown.question.at
    lines = figures.lens_lines(frame, at, words.objects(request))
    return words.lens_title(request, frame, at), words.lens(request, frame, at), lines, table.lens(request, frame, at)


def _tokens(frame: DataFrame, shown: Shown) -> Content:
    request, selection = shown.question.request, shown.selection
    first = figures.DIFFERENCES.get(selection.view, (selection.view,))[0]
    heat_map = figures.lens_heat(frame, selection.view, selection.object)
    rows = table.tokens(request, frame, first)
    return words.tokens_title(request, frame), words.tokens(request, frame), heat_map, rows


def _contributions(frame: DataFrame, shown: Shown) -> Content:
    request, selection = shown.question.request, shown.selection
    figure = figures.contributions(frame, selection.object, selection.form)
    rows = table.contributions(request, frame, raw=selection.form == "raw")
    return words.contributions_title(frame), words.contributions(request, frame, shown.layers), figure, rows


def _attention(frame: DataFrame, shown: Shown) -> Content:
    request = shown.question.request
    title, figure = words.attention_title(request, frame, shown.layers), figures.attention(frame, shown.selection.view)
    sentence = words.attention(request, frame, shown.question.token, shown.layers)
    return title, sentence, figure, table.attention(frame)


def _mask(frame: DataFrame, shown: Shown) -> Content:
    uneven = concentration(frame)
    return words.mask_title(uneven), words.mask_structure(frame, uneven), figures.mask_structure(frame), table.mask(frame)


CONTENTS: dict[str, Callable[[DataFrame, Shown], Content]] = {
    "lens": _lens,
    "tokens": _tokens,
    "contributions": _contributions,
    "attention": _attention,
    "mask": _mask,
}


def _probabilities(cases: Sequence[Loudness]) -> DataFrame:
    """Return a row a case, with the probabilities that are compared."""
    edited = [case for case in cases if case.skipped is None]
    columns = {
        "case": [f"{case.subject}: {case.target_true} → {case.target_new}" for case in edited],
        _("P(true) before the edit"): [case.p_true["base"] for case in edited],
        _("P(new) after the edit"): [case.p_new["edited"] for case in edited],
    }
    if all("masked" in case.p_new for case in edited):
        columns[_("P(true) under the mask")] = [case.p_true["masked"] for case in edited]
        columns[_("P(new) under the mask")] = [case.p_new["masked"] for case in edited]
    if all("base_masked" in case.p_true for case in edited):
        columns[_("P(true), mask alone")] = [case.p_true["base_masked"] for case in edited]
    return DataFrame(columns)
