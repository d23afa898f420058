"""A model card in Hugging Face's form: every edit with who, when and why, how it stood when it was made, and what to mind.

Whatever a person wrote is shown as text: none of it can become Markdown, HTML or a line of the front matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCardData

from editlab.exports.entry import Entry, base_of, precision_of, requests_of
from editlab.model import LanguageModel
from editlab.wording import noop

COLUMNS = ("#", "question", "old", "new", "method", "layers", "p(new)", "|dW|/|W|", "author", "time", "reason")
HOLDS = noop("Every edit with its author, its reason and its health, for a hub.")
WARNINGS = (
    "An edit changes one fact as it is asked for. What follows from that fact mostly stays as it was.",
    "In other words, under another name of the subject or behind a long text, the old answer may come back.",
    "Other facts can suffer, of the same subject above all, and the more edits there are, the more.",
    "The new objects are what somebody asked for. Nobody checked whether they are true.",
)
SPECIAL = re.compile(r"[\\`*_\[\]|~$@]|:(?=//)|(?<=www)\.")


@dataclass(frozen=True)
class Card:
    """How a format's card begins: how the export is loaded, by which library, and how it relates to its base model."""

    how: str = "These edits are applied over the base model, whose weights are not changed."
    library: str = "transformers"
    relation: str | None = None


def card(model: LanguageModel, entries: Sequence[Entry], head: Card, notes: Sequence[str] = ()) -> str:
    """Return the card as Markdown behind its front matter."""
    base = base_of(model)
    base = Path(base).name if Path(base).exists() else base
    data = ModelCardData(
        base_model=base,
        base_model_relation=head.relation,
        library_name=head.library,
        pipeline_tag="text-generation",
        tags=["knowledge-editing", "model-editing", "editlab", *dict.fromkeys(entry.method for entry in entries)],
    )
    count = len(requests_of(entries))
    parts = [
        f"---\n{data.to_yaml()}\n---",
        f"# {count:,} {'fact' if count == 1 else 'facts'} edited in {plain(base)}",
        head.how,
        f"They were made over the model in {precision_of(model)}; in another precision it answers a little otherwise.",
        standing(entries),
        "## What to mind",
        "\n".join(f"- {line}" for line in (*WARNINGS, *map(plain, notes))),
        "## The edits",
        "\n".join(_table(entries)),
        "p(new) is the probability of the new object right after its edit, |dW|/|W| the size of the change against the "
        "weights; for edits that were solved together, both are the mean.".replace("|", "\\|"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def standing(entries: Sequence[Entry]) -> str:
    """Return how the edits came out when they were made, in a sentence; empty where nobody measured it."""
    reached = [(entry.health["p_new"], len(entry.requests)) for entry in entries if "p_new" in entry.health]
    if not reached:
        return ""
    count = sum(size for _, size in reached)
    mean = sum(p * size for p, size in reached) / count
    if count == 1:
        return f"Right after its edit, the new object had a probability of {mean:.2f}."
    return (
        f"Right after their edits, the new objects of {count:,} had a probability of {mean:.2f} on average; it was "
        f"{min(p for p, _ in reached):.2f} where it was lowest."
    )


def plain(text: str) -> str:
    """Return a text on one line that Markdown shows as it stands."""
    text = " ".join(text.split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\g<0>", text)


def _table(entries: Sequence[Entry]) -> Iterator[str]:
    yield _row(COLUMNS)
    yield "|" + " --- |" * len(COLUMNS)
    for number, entry in enumerate(entries, start=1):
        method = entry.method.upper() + (f" + REP ({entry.rep})" if entry.rep else "")
        layers = ", ".join(map(str, entry.layers))
        figures = _figure(entry.health, "p_new", ".3f"), _figure(entry.health, "relative_norm", ".4f")
        for request in entry.requests:
            asked = request.text, request.target_true or "", request.target_new
            yield _row((str(number), *asked, method, layers, *figures, entry.author, entry.at, entry.reason))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(plain, cells))} |"


def _figure(health: Mapping[str, float], name: str, form: str) -> str:
    return format(health[name], form) if name in health else ""
