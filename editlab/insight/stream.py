"""The residual stream of one text under several views: what each layer leaves in it, and what each part writes into it.

All pictures of the Inside tab read this. The views are the rows of a batch, so that one forward answers for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.insight.site import locate_subject
from editlab.model.behind import residual_multiplier
from editlab.model.overlay import first_of
from editlab.model.tokens import in_chunks
from editlab.patches import BARE, Form, View
from editlab.work import Cancel, never, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

MOST_TOKENS = 64
"""Tokens of a text that can be looked at, counted from its end."""


@dataclass(frozen=True)
class Question:
    """A text that is looked into for an edit.

    Places are counted from the text's end, 1 for its last token, so that they are the same after any preamble: `at` is the
    token that is looked at, `subject` the last token of the last place that names the subject (None without any). `tokens`
    are the text's last ones as a person sees them; `new` and `true` the ids of the objects' first tokens after this text.
    """

    text: str
    request: EditRequest
    tokens: tuple[str, ...]
    new: int
    true: int | None
    at: int = 1
    subject: int | None = None

    @classmethod
    def of(
        cls, model: LanguageModel, request: EditRequest, text: str | None = None, at: int | None = None, form: Form = BARE
    ) -> Question:
        """Return the question of a text, by default the edit's own, as it is put to the model in a form.

        `at`: by default the token behind which the new object begins: the last one, but where the text ends in a space or
        the tokenizer joins the two. Raises `BadRequest` where there is no such token.
        """
        text = request.text if text is None else text
        ids, (new, start) = model.tok.encode(form.around(text)), _first(model, form.around(text), request.target_new)
        shown = tuple(model.tok.decode([i]).replace(" ", "␣").replace("\n", "↵") for i in ids[-MOST_TOKENS:])
        own = locate_subject(model, text, request.subject, form)
        asked = cls(
            text,
            request,
            shown,
            new,
            None if request.target_true is None else _first(model, form.around(text), request.target_true)[0],
            subject=None if own is None else len(ids) - own.index,
        )
        return asked.looked_at(len(ids) - start + 1 if at is None else at)

    def looked_at(self, at: int) -> Question:
        """Return the same at another token. Raises `BadRequest` where there is none."""
        if not 1 <= at <= len(self.tokens):
            raise BadRequest(f"There is no such token. Choose one of the last {len(self.tokens)}.")
        return replace(self, at=at)

    @property
    def token(self) -> str:
        """The token that is looked at, as a person sees it."""
        return self.tokens[-self.at]

    @property
    def objects(self) -> dict[str, int]:
        """The ids of the objects by `new` and `true`."""
        return {"new": self.new} | ({} if self.true is None else {"true": self.true})


def _first(model: LanguageModel, text: str, target: str) -> tuple[int, int]:
    """Return a target's first token behind a text, and its place."""
    ids, start = model.tok.with_target(text, target)
    return ids[start], start


@dataclass(frozen=True, eq=False)
class Stream:
    """What stood in the residual stream, in the model's precision; the `views` in their order.

    `residual`: before the first block and behind each, at all tokens of the question. At the token that is looked at:
    `embedding`, what the token's embedding wrote, and `attention` and `mlp`, what each layer's parts wrote, behind the norms
    and factors that a family may have there.
    """

    views: tuple[str, ...]
    residual: Float[Tensor, "views layers+1 tokens d_model"]
    embedding: Float[Tensor, "views d_model"]
    attention: Float[Tensor, "views layers d_model"]
    mlp: Float[Tensor, "views layers d_model"]


@torch.no_grad()
def stream(model: LanguageModel, views: Mapping[str, View], question: Question, cancel: Cancel = never) -> Stream:
    """Return one forward under all views, or as few as the token budget allows. Raises `Cancelled`."""
    found: dict[str, dict[str, Tensor]] = {}
    blocks, arch = model.arch.block_list(model.hf), model.arch
    embedded, added = getattr(model.hf.config, "embedding_multiplier", 1.0), residual_multiplier(model.hf)
    shown, at = torch.arange(len(question.tokens), 0, -1), torch.tensor([question.at])
    for names, rows in batched(model, views, question):
        stop_if(cancel, "Stopped before the model had read the text.")
        batch = model.tok.pad(rows, device=model.device)
        ends = batch.starts + batch.mask.sum(1)
        with ExitStack() as stack:
            taken = {
                "entering": stack.enter_context(_inputs([blocks[0]], ends, shown)),
                "leaving": stack.enter_context(_outputs(blocks, ends, shown)),
                "embedding": stack.enter_context(_outputs([model.hf.get_input_embeddings()], ends, at)),
                "attention": stack.enter_context(
                    _outputs([b.get_submodule(arch.post_attention_norm or arch.attention) for b in blocks], ends, at)
                ),
                "mlp": stack.enter_context(
                    _outputs([b.get_submodule(arch.post_mlp_norm or arch.mlp) for b in blocks], ends, at)
                ),
            }
            model.hidden(batch, [views[name] for name in names])
        for row, name in enumerate(names):
            found[name] = {
                "residual": torch.stack([part[row] for part in (*taken["entering"], *taken["leaving"])]),
                "embedding": taken["embedding"][0][row, 0] * embedded,
                "attention": torch.stack([part[row, 0] for part in taken["attention"]]) * added,
                "mlp": torch.stack([part[row, 0] for part in taken["mlp"]]) * added,
            }
    parts = {
        part: torch.stack([found[name][part] for name in views]) for part in ("residual", "embedding", "attention", "mlp")
    }
    return Stream(tuple(views), **parts)


def batched(
    model: LanguageModel, views: Mapping[str, View], question: Question, budget: int | None = None, whole: bool = True
) -> Iterator[tuple[list[str], list[list[int]]]]:
    """Yield the question's ids under each view, in batches of views; not `whole`: up to the token that is looked at."""
    names = list(views)
    rows = [model.tok.encode(views[name].asks(question.text)) for name in names]
    if not whole:
        rows = [row[: len(row) + 1 - question.at] for row in rows]
    for chunk in in_chunks([len(row) for row in rows], model.tokens_per_forward if budget is None else budget):
        yield [names[n] for n in chunk], [rows[n] for n in chunk]


@contextmanager
def _outputs(modules: nn.ModuleList | list[nn.Module], ends: Int[Tensor, "rows"], back: Int[Tensor, "n"]) -> Iterator[list]:
    """Collect the outputs of modules, in order, `[rows, n, d_model]`: `back` counts from the `ends` of the rows."""
    found: list[Tensor] = []

    def take(_module: nn.Module, _inputs: tuple, output: Tensor | tuple) -> None:
        found.append(_at(first_of(output), ends, back))

    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(take).remove)
        yield found


@contextmanager
def _inputs(modules: list[nn.Module], ends: Int[Tensor, "rows"], back: Int[Tensor, "n"]) -> Iterator[list]:
    """Yield the same of their first inputs, by whatever name these are given."""
    found: list[Tensor] = []

    def take(_module: nn.Module, inputs: tuple, named: dict) -> None:
        found.append(_at(inputs[0] if inputs else named["hidden_states"], ends, back))

    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_pre_hook(take, with_kwargs=True).remove)
        yield found


def _at(hidden: Tensor, ends: Int[Tensor, "rows"], back: Int[Tensor, "n"]) -> Float[Tensor, "rows n d_model"]:
    rows = torch.arange(len(hidden), device=hidden.device)[:, None]
    return hidden[rows, ends.to(hidden.device)[:, None] - back.to(hidden.device)]
