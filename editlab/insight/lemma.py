"""The edit's way to the answer through one attention layer, as Lemma 4.4 of arXiv 2410.09338 takes it.

    loudness = (e_new - e_old)^T diag(gamma_f) / sigma_f  W_O W_V  diag(gamma_a) / sigma_a  dv

It is in logits: by how much the edit lifts the new object over the old one, if its value dv reaches the prompt's end only
through this attention layer, with all its weight on the subject. An edit should take hold where its share of that is at
least the gap by which the old object leads, and ln 9 more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from editlab.insight.site import Site
from editlab.model.overlay import laid_over
from editlab.model.tokens import in_chunks
from editlab.patches import View
from editlab.wording import noop

LEAD = math.log(9)
"""g_after: the new object at 90 % against the runner-up."""
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
"""Families of one build: RMS norms before attention and head, v_proj and o_proj of their own."""


@dataclass(frozen=True, eq=False)
class Lemma:
    """`layer`: the attention layer that was taken, the one above the edit that carries it loudest.

    `loudness`: the left side in logits, `gap`: by how much the old object leads before the edit; `carried` `[d_model]`: what
    that layer adds to the residual stream, before the last norm.
    """

    layer: int
    loudness: float
    gap: float
    carried: Float[Tensor, "d_model"]

    @property
    def needed(self) -> float:
        """The least loudness that is enough: g_before + ln 9."""
        return self.gap + LEAD


@dataclass(frozen=True, eq=False)
class _Ends:
    """What stands at the last tokens of texts: `scales` `[texts]` of the last norm, `logits` `[texts, vocab]`."""

    scales: Float[Tensor, "texts"]
    logits: Float[Tensor, "texts vocab"]


def lemma(site: Site) -> Lemma | str:
    """Return the lemma's two sides at the edit prompt; where it cannot be told, why."""
    model, request = site.model, site.request
    if model.arch.family not in FAMILIES:
        return noop(f"a {model.arch.family} model's norms and attention are built otherwise than the lemma takes them")
    if request.target_true is None:
        return noop("nobody gave the true object, so there is no gap to overcome")
    if site.layer + 1 >= model.n_layers:
        return noop("no attention layer lies above the edit")
    new, old = _first(site, request.text, request.target_new), _first(site, request.text, request.target_true)
    if new == old:
        return noop("both objects begin with the same token")
    ends = _ends(site, [request.text], site.unedited)
    pull = _pull(site, new, old) / ends.scales[0]
    found = [(float(pull @ carried), layer, carried) for layer, carried in _carried(site)]
    loudness, layer, carried = max(found, key=lambda own: own[0])
    return Lemma(layer, loudness, float(ends.logits[0, old] - ends.logits[0, new]), carried)


def lemma_at(
    site: Site, theory: Lemma, texts: Sequence[str], olds: Sequence[str | None], spared: Sequence[bool]
) -> list[float]:
    """Return the share that each text's key must have, by Lemma 4.6, or reach for a neighbour to move, by Lemma 4.7.

    `olds`: the token there without the edit; NaN where that is unknown or begins as the new object does, and inf where the
    layer carries nothing towards the new object.
    """
    ends = _ends(site, texts, site.unedited)
    required = []
    for row, (text, old_object, is_spared) in enumerate(zip(texts, olds, spared, strict=True)):
        new, old = _first(site, text, site.request.target_new), old_object and _first(site, text, old_object)
        if old is None or old == new:
            required.append(math.nan)
            continue
        loudness = float(_pull(site, new, old) @ theory.carried / ends.scales[row])
        gap = float(ends.logits[row, old] - ends.logits[row, new]) + (0.0 if is_spared else LEAD)
        required.append(gap / loudness if loudness > 0 else math.inf)
    return required


def _first(site: Site, text: str, target: str) -> int:
    ids, start = site.model.tok.with_target(site.unedited.asks(text), target)
    return ids[start]


def _pull(site: Site, new: int, old: int) -> Float[Tensor, "d_model"]:
    """Return diag(gamma_f) (e_new - e_old)."""
    model = site.model
    embedding = model.hf.get_output_embeddings().weight
    gamma = model.hf.get_submodule(model.arch.norm).weight.float()
    return gamma * (embedding[new].float() - embedding[old].float())


@torch.no_grad()
def _carried(site: Site) -> list[tuple[int, Float[Tensor, "d_model"]]]:
    """Return W_O W_V diag(gamma_a) / sigma_a dv of each layer above the edit, all heads."""
    model = site.model
    blocks = model.arch.block_list(model.hf)
    at = site.own
    with _arriving([block.input_layernorm for block in blocks]) as arriving, laid_over(model.hf, model.arch, site.unedited):
        model.hidden(model.tok.pad([at.ids], device=model.device))
    found = []
    for layer in range(site.layer + 1, model.n_layers):
        norm, attention = blocks[layer].input_layernorm, blocks[layer].self_attn
        scale = _scale(arriving[layer][0, at.index].float(), norm)
        pushed = (norm.weight.float() * site.delta / scale).to(model.dtype)[None]
        value = _linear(attention.v_proj, pushed)
        heads = value.view(1, -1, attention.head_dim).repeat_interleave(attention.num_key_value_groups, dim=1)
        found.append((layer, _linear(attention.o_proj, heads.reshape(1, -1))[0].float()))
    return found


@torch.no_grad()
def _ends(site: Site, texts: Sequence[str], view: View) -> _Ends:
    model = site.model
    asked = [model.tok.with_target(view.asks(text), site.request.target_new) for text in texts]
    rows = [ids[:start] for ids, start in asked]
    scales = torch.empty(len(rows), device=model.device)
    logits = torch.empty(len(rows), model.hf.get_output_embeddings().weight.shape[0], device=model.device)
    norm = model.hf.get_submodule(model.arch.norm)
    for chunk in in_chunks([len(row) for row in rows], model.tokens_per_forward):
        batch = model.tok.pad([rows[n] for n in chunk], device=model.device)
        with _arriving([norm]) as arriving:
            hidden = model.hidden(batch, view)
        places = torch.arange(len(chunk), device=model.device), batch.last
        scales[chunk] = _scale(arriving[0][places].float(), norm)
        logits[chunk] = model.head(hidden[places])
    return _Ends(scales, logits)


@contextmanager
def _arriving(modules: Sequence[nn.Module]) -> Iterator[dict[int, Tensor]]:
    """Collect, inside the block, the first input of each of some modules."""
    found: dict[int, Tensor] = {}

    def taker(number: int) -> Callable[..., None]:
        def take(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found[number] = inputs[0]

        return take

    with ExitStack() as stack:
        for number, module in enumerate(modules):
            stack.callback(module.register_forward_pre_hook(taker(number)).remove)
        yield found


def _scale(x: Float[Tensor, "*rows d_model"], norm: nn.Module) -> Float[Tensor, "*rows"]:
    """Return the root mean square by which an RMS norm divides."""
    return (x.square().mean(-1) + norm.variance_epsilon).sqrt()


def _linear(module: nn.Module, x: Tensor) -> Tensor:
    """Return a projection without its bias; the module computes, so it may be quantised."""
    return module(x) - module(torch.zeros_like(x))
