"""Texts in front of the prompt, written by the model itself, so that an edit does not hold for the bare prompt alone.

They are drawn once for a model, with a seed of their own: the same request on the same model gives the same patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from editlab.model.sampling import Sampling

if TYPE_CHECKING:
    from editlab.model import LanguageModel

OPENINGS = ("The", "Therefore", "Because", "I", "You")


def context_texts(
    model: LanguageModel, each: tuple[tuple[int, int], ...], seed: int = 0, most: int | None = None
) -> tuple[str, ...]:
    """Return the empty text and, for every (tokens, count) in `each`, that many prefixes, ending in ". "; the first `most`.

    Groups behind the last one that is needed are not written. Source: kmeng01/rome, `get_context_templates`, with the
    openings that EasyEdit uses.
    """
    texts: list[str] = []
    for size, count in each:
        if most is None or len(texts) < most:
            texts += _written(model, size, count, seed)
    return ("", *texts[:most])


def _written(model: LanguageModel, size: int, count: int, seed: int) -> tuple[str, ...]:
    """Return so many prefixes of so many tokens, which the model writes once."""
    key = f"contexts {size} {count} {seed}"
    if key not in model.memo:
        starts = [OPENINGS[i % len(OPENINGS)] for i in range(count)]
        *_, written = model.generate(starts, max_tokens=size, sampling=Sampling(top_k=5, seed=seed + size))
        model.memo[key] = tuple(f"{_plain(start + text)}. " for start, text in zip(starts, written, strict=True))
    return model.memo[key]


def _plain(text: str) -> str:
    return " ".join(text.replace("{", " ").replace("}", " ").split()).rstrip(".")
