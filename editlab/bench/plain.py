"""ROME the plain way: every step runs all rows through all layers and takes logits of the whole vocabulary everywhere.

And a battery: each prompt with each object under each view is a forward of its own, with logits everywhere.

This is how the published code works. It is the yardstick of `bench speed` and, being written from the paper without any
of the engine's shortcuts, the reference for its results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from editlab.facts import EditRequest
from editlab.facts.languages import essence
from editlab.facts.script import joined
from editlab.methods.rome import RomeConfig
from editlab.model import statistics
from editlab.model.overlay import first_of, laid_over
from editlab.model.tokens import TokenBatch
from editlab.patches import LowRank, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel


@dataclass(frozen=True, eq=False)
class Rows:
    """All rows of one request: every context with prompt and target, and last "<subject> is a".

    `at` is each row's last subject token; `labels` the target's ids, which every row but the last is scored on at its
    last `len(labels)` positions.
    """

    batch: TokenBatch
    at: Int[Tensor, "rows"]
    labels: Int[Tensor, "labels"]


@dataclass(frozen=True, eq=False)
class PlainEdit:
    """What the loop found: `delta` and `init` as in ROME's paper, the mean of the old values, and the patch."""

    delta: Float[Tensor, "d_model"]
    init: Float[Tensor, "d_model"]
    mean_value: Float[Tensor, "d_model"]
    patch: LowRank


def edit(model: LanguageModel, request: EditRequest, config: RomeConfig, contexts: tuple[str, ...]) -> PlainEdit:
    """Return one rank-one edit of `config.layers[0]` with consistent keys, without early stop."""
    layer = config.layers[0]
    rows = rows_of(model, request, contexts)
    keys, values = _keys_and_values(model, rows, layer)
    delta, init = _optimise(model, rows, layer, config)
    mean_key, mean_value = keys.mean(0), values.mean(0)
    C = statistics.find(model, layer) if config.whiten else None
    u = mean_key if C is None else C.whiten(mean_key[None])[0]
    u = u / u.norm()
    right = (init + delta - mean_value) / (u @ mean_key)
    return PlainEdit(delta, init, mean_value, LowRank(layer, u[None], right[:, None]))


def rows_of(model: LanguageModel, request: EditRequest, contexts: tuple[str, ...]) -> Rows:
    """Return the rows as ids, padded on the right."""
    rows, at, labels = [], [], []
    for context in contexts:
        text = context + request.text
        ids, shared = model.tok.with_target(text, request.target_new)
        start = len(context) + request.prompt.index("{}")
        located = model.tok.locate(joined(text, request.target_new), start, start + len(request.subject))
        rows.append(ids[:-1])
        at.append(min(located.index, shared - 1))
        labels = ids[shared:]
    kl = model.locate(essence(request.prompt, request.subject), request.subject)
    batch = model.tok.pad([*rows, list(kl.ids)], device=model.device)
    return Rows(batch, torch.tensor([*at, kl.index], device=model.device), torch.tensor(labels, device=model.device))


@torch.no_grad()
def _keys_and_values(model: LanguageModel, rows: Rows, layer: int) -> tuple[Tensor, Tensor]:
    """Return the input and output of the projection at the subject, for every row but the KL row."""
    found: dict[str, Tensor] = {}

    def keep(_module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found["key"], found["value"] = inputs[0], output

    handle = model.arch.projection_of(model.hf, layer).register_forward_hook(keep)
    try:
        _forward(model, rows.batch)
    finally:
        handle.remove()
    every = torch.arange(len(rows.at), device=model.device)
    return tuple(found[name][every, rows.at][:-1].float() for name in ("key", "value"))


def _optimise(model: LanguageModel, rows: Rows, layer: int, config: RomeConfig) -> tuple[Tensor, Tensor]:
    delta = torch.zeros(model.d_model, device=model.device, requires_grad=True)
    adam = torch.optim.Adam([delta], lr=config.learning_rate)
    every = torch.arange(len(rows.at), device=model.device)
    init: list[Tensor] = []
    reference: Tensor | None = None

    def add(_module: torch.nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
        value = first_of(output)
        init.append(value[0, rows.at[0]].detach().float())
        changed = value.clone()
        changed[every, rows.at] += delta.to(value.dtype)
        return changed if output is value else (changed, *output[1:])

    handle = model.arch.mlp_of(model.hf, layer).register_forward_hook(add)
    try:
        with torch.enable_grad():
            for step in range(config.steps):
                log_p = _forward(model, rows.batch).float().log_softmax(-1)
                now = log_p[-1, rows.at[-1]]
                reference = now.detach() if reference is None else reference
                kl = (now.exp() * (now - reference)).sum()
                decay = delta.norm() / init[0].norm() ** 2
                loss = _nll(log_p, rows) + config.kl * kl + config.weight_decay * decay
                if step == config.steps - 1:
                    break
                adam.zero_grad()
                loss.backward()
                adam.step()
                with torch.no_grad():
                    limit = config.clamp * init[0].norm()
                    if delta.norm() > limit:
                        delta *= limit / delta.norm()
    finally:
        handle.remove()
    return delta.detach(), init[0]


def _nll(log_p: Float[Tensor, "rows tokens vocab"], rows: Rows) -> Tensor:
    size = len(rows.labels)
    columns = rows.batch.last[:-1, None] + torch.arange(1 - size, 1, device=log_p.device)
    every = torch.arange(len(columns), device=log_p.device)[:, None]
    return -log_p[every, columns, rows.labels].mean()


@torch.no_grad()
def scores(model: LanguageModel, prompts: Sequence[str], targets: Sequence[str], views: Sequence[View]) -> list[float]:
    """Return the log-probability of each target after its prompt under its view, one row after the other."""
    found = []
    for prompt, target, view in zip(prompts, targets, views, strict=True):
        ids, start = model.tok.with_target(view.asks(prompt), target)
        with laid_over(model.hf, model.arch, view):
            log_p = _forward(model, model.tok.pad([ids], device=model.device))[0].float().log_softmax(-1)
        found.append(sum(log_p[n - 1, ids[n]].item() for n in range(start, len(ids))))
    return found


def _forward(model: LanguageModel, batch: TokenBatch) -> Float[Tensor, "rows tokens vocab"]:
    return model.hf(input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False).logits
