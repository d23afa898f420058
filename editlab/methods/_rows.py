"""Texts with their labels, as methods read them that learn from a loss and not from a subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from editlab.facts import EditRequest
from editlab.patches import BARE, Form

if TYPE_CHECKING:
    from editlab.model import LanguageModel


@dataclass(frozen=True)
class Row:
    """A text as ids, and what is to be said where: pairs of a token's index and the label behind it."""

    ids: tuple[int, ...]
    reads: tuple[tuple[int, int], ...]


def row_of(model: LanguageModel, request: EditRequest, form: Form = BARE, ending: bool = False) -> Row:
    """Return the prompt and the new object, whose tokens are the labels; with an `ending`, the end of text as well."""
    ids, shared = model.tok.with_target(form.around(request.text), request.target_new)
    end = model.tokenizer.eos_token_id
    ids = [*ids, end] if ending and end is not None else ids
    return Row(tuple(ids[:-1]), tuple((at - 1, ids[at]) for at in range(shared, len(ids))))


def row_at_prompt_end(model: LanguageModel, request: EditRequest, form: Form = BARE) -> Row:
    """Return the prompt alone, with all tokens of the new object as labels of its last token (FT-L)."""
    ids, shared = model.tok.with_target(form.around(request.text), request.target_new)
    return Row(tuple(ids[:shared]), tuple((shared - 1, label) for label in ids[shared:]))


def row_of_text(model: LanguageModel, text: str) -> Row:
    """Return a text whose tokens, from the second on, are the labels."""
    ids = model.tok.encode(text)
    return Row(tuple(ids[:-1]), tuple((at - 1, ids[at]) for at in range(1, len(ids))))


@dataclass(frozen=True, eq=False)
class Reads:
    """Where labels of several rows are read, a place once: `rows` and `columns` of the places.

    Each label has its place, its row and its weight, by which a row's labels have a mean.
    """

    rows: Int[Tensor, "reads"]
    columns: Int[Tensor, "reads"]
    places: Int[Tensor, "labels"]
    labels: Int[Tensor, "labels"]
    owners: Int[Tensor, "labels"]
    weights: Tensor

    @classmethod
    def of(cls, rows: Sequence[Row], device: torch.device) -> Reads:
        """Return the reads of the rows of a batch."""
        number: dict[tuple[int, int], int] = {}
        for n, row in enumerate(rows):
            for at, _ in row.reads:
                number.setdefault((n, at), len(number))
        reads = [(number[n, at], label, n, 1 / len(row.reads)) for n, row in enumerate(rows) for at, label in row.reads]
        places, labels, owners, weights = (torch.tensor(own, device=device) for own in zip(*reads, strict=True))
        own_rows, columns = (torch.tensor(own, device=device) for own in zip(*number, strict=True))
        return cls(own_rows, columns, places, labels, owners, weights)
