"""What the methods have in common that tell the model a fact and change no weight."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from editlab.facts import EditRequest, FactBase
from editlab.methods._method import Edited, Stopwatch, probability_of_new
from editlab.patches import Form, Note, Preamble, View
from editlab.settings import Settings

if TYPE_CHECKING:
    from editlab.model import LanguageModel


def told(
    method: str,
    model: LanguageModel,
    requests: Sequence[EditRequest],
    patches: Sequence[Preamble | Note],
    view: View,
    form: Form,
    watch: Stopwatch,
) -> Edited:
    """Return the edit of one patch a request, and how it does: p(new), and the tokens that stand before its own question."""
    views = [view.with_patches((patch, form)) for patch in patches]
    reached = probability_of_new(model, requests, views)
    under = view.with_patches([form])
    texts = [request.text for request in requests]
    tokens = [
        len(model.tok.encode(own.asks(text))) - len(model.tok.encode(under.asks(text)))
        for own, text in zip(views, texts, strict=True)
    ]
    seconds = watch.seconds
    health = tuple(
        {"p_new": p, "tokens": float(count), "seconds": seconds / len(requests)}
        for p, count in zip(reached, tokens, strict=True)
    )
    return Edited(method, tuple(requests), (), tuple((patch,) for patch in patches), health, (), seconds)


def our_facts() -> FactBase:
    """Return the facts that come with EditLab, read once."""
    return _read(Settings().presets / "facts")


@lru_cache(1)
def _read(folder: Path) -> FactBase:
    return FactBase.load(folder)
