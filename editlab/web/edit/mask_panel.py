"""The parts of the page that the reversal mask and the guard speak through: verdict, ways back, linked facts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.lab import MaskInfo
from editlab.web.core.render import percent, view_title
from editlab.web.edit import mask_words
from editlab.web.edit.picture import answer

TO_COME = Markup('<p class="hint">It is asked as soon as this edit lies over the model.</p>')
MARKS = {"follows": "→", "stays": "=", "breaks": "✗"}
MEANINGS = {"follows": "says what follows from the new fact", "stays": "says what it said before", "breaks": "says neither"}
Said = Mapping[str, Mapping[str, Any]]


def status(masks: Sequence[MaskInfo], problem: str, edits: bool) -> str:
    """What lies over the edits while a switch is on, or why nothing does."""
    if problem:
        return Markup('<p class="problem">{}</p>').format(problem)
    if not edits:
        return Markup('<p class="hint">The mask shows as soon as an edit is on.</p>')
    return Markup('<p class="hint">{}</p>').format(" ".join(map(mask_words.about, masks)))


def cost(sentence: str) -> str:
    """What training a mask takes."""
    return Markup('<p class="hint">To train one: {}</p>').format(sentence)


def verdict(request: EditRequest, said: Said, mask: MaskInfo | None) -> str:
    """Suppressed or not, with its evidence and both objects in every view."""
    return _finding(mask_words.verdict(request, said, mask), request, said)


def guard(request: EditRequest, said: Said) -> str:
    """Whether the guard held, with its evidence and both objects in every view."""
    return _finding(mask_words.guard(request, said), request, said)


def _finding(words: mask_words.Words, request: EditRequest, said: Said) -> str:
    found, title, evidence = words
    return Markup('<section class="verdict-box {}" aria-label="Verdict"><div><h2>{}</h2><p>{}</p></div>{}</section>').format(
        found.replace(" ", "-"), title, _unbroken(evidence), _objects(request, said)
    )


def _unbroken(text: str) -> str:
    """A sentence in which no line ends within a figure."""
    return text.replace(" %", "\u00a0%").replace("< ", "<\u00a0")


def _objects(request: EditRequest, said: Said) -> Markup:
    """P(true) and P(new) in all views."""
    names = {"p_true": request.target_true, "p_new": request.target_new}
    shown = {key: name for key, name in names.items() if name is not None}
    heads = Markup("").join(Markup('<th scope="col">p({})</th>').format(name) for name in shown.values())
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}<td class="says">{}</td></tr>').format(
            view_title(view),
            Markup("").join(Markup("<td>{}</td>").format(percent(own[key])) for key in shown),
            answer(own),
        )
        for view, own in said.items()
    )
    return Markup(
        '<div class="beside" tabindex="0" role="region" aria-label="Both objects in every view"><table><thead><tr>'
        '<th scope="col">View</th>{}<th scope="col" class="says">Says</th></tr></thead><tbody>{}</tbody></table></div>'
    ).format(heads, rows)


def ways_back(request: EditRequest, ways: DataFrame) -> str:
    """Every way back from the edit with what it restores and what it costs."""
    rows = Markup("").join(_way(row) for row in ways.to_dict("records"))
    true = request.target_true
    heads = (
        ("Way back", "left"),
        ("Needs", "left"),
        ("The edited question", "left"),
        *(((f"p({true})", ""),) if true is not None else ()),
        (f"p({request.target_new})", ""),
        ("Restored", ""),
        ("Newly wrong", ""),
        ("Locality", ""),
    )
    return Markup('<p class="finding small">{}</p>{}').format(
        mask_words.back(ways), _table("The ways back from this edit", heads, rows)
    )


def _way(row: Mapping[str, Any]) -> Markup:
    name, needs = mask_words.WAYS[row["way"]]
    now = row["way"] == "edited"
    mark = (
        ""
        if now
        else Markup('<span class="verdict {}">{}</span> ').format(
            "good" if row["restored"] else "bad", "✓" if row["restored"] else "✗"
        )
    )
    true = Markup("") if math.isnan(row["p_true"]) else Markup("<td>{}</td>").format(percent(row["p_true"]))
    return Markup(
        '<tr><th scope="row">{}</th><td class="left">{}</td><td class="left">{}{}</td>{}<td>{}</td><td>{}</td><td>{}</td>'
        "<td>{}</td></tr>"
    ).format(
        name,
        needs,
        mark,
        row["answer"],
        true,
        percent(row["p_new"]),
        f"{row['again']} of {row['changed']}" if not now else "–",
        row["broken"] if not now else "–",
        "–" if math.isnan(row["locality"]) else mask_words.rate(row["locality"]),
    )


def linked(frame: DataFrame, views: Sequence[str]) -> str:
    """Whether linked facts follow the edit, in one sentence, and each of them in every view."""
    sentence = Markup('<p class="finding small">{}</p>').format(mask_words.follow(frame, views))
    if frame.empty:
        return sentence
    heads = (("Linked fact", "left"), ("Before → after", "left"), *((view_title(view), "left") for view in views))
    rows = Markup("").join(_link(row, views) for row in frame.to_dict("records"))
    key = Markup("").join(
        Markup("<span><b>{}</b> {}: {}</span>").format(MARKS[fate], fate, meaning) for fate, meaning in MEANINGS.items()
    )
    return Markup('{}{}<p class="fates">{}</p>').format(
        sentence, _table("What becomes of linked facts in every view", heads, rows), key
    )


def _link(row: Mapping[str, Any], views: Sequence[str]) -> Markup:
    cells = Markup("").join(
        Markup('<td class="left fate-{}"><b>{}</b><span class="hidden"> {}: </span> {}</td>').format(
            row[view], MARKS[row[view]], row[view], row[f"{view}.answer"]
        )
        for view in views
    )
    unknown = "" if row["known"] else Markup(" <i>(the unedited model does not know it)</i>")
    return Markup('<tr><th scope="row">{} …{}</th><td class="left">{} → {}</td>{}</tr>').format(
        row["text"], unknown, row["before"], row["now"], cells
    )


def _table(label: str, heads: Sequence[tuple[str, str]], rows: Markup) -> Markup:
    head = Markup("").join(Markup('<th scope="col" class="{}">{}</th>').format(kind, name) for name, kind in heads)
    return Markup(
        '<div class="held" tabindex="0" role="region" aria-label="{}"><table><thead><tr>{}</tr></thead><tbody>{}</tbody>'
        "</table></div>"
    ).format(label, head, rows)
