"""The frozen weights: token ids in, hidden states, keys and logits under a view out. Nothing here changes a weight.

Every question goes the short way: the forward stops where the answer is known, and logits are computed only at the
positions that are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from editlab.errors import BadRequest
from editlab.model.architectures import Architecture, architecture_of
from editlab.model.overlay import capturing_keys, capturing_output, laid_over, recording_blocks
from editlab.model.remembered import Beginnings, Remembered
from editlab.model.start import NONE, Start
from editlab.model.tokens import Located, TokenBatch, Tokens, in_chunks
from editlab.model.weights import inputs_of, matrix_of, parameters_of
from editlab.patches import BARE, BASE, Form, View

Views = View | Sequence[View]
"""One view for all rows, or one a row."""


@dataclass(eq=False)
class FrozenModel:
    """A causal language model whose weights stay as they are, and its tokenizer.

    `tokens_per_forward`: how many tokens a batch may hold, on a CPU as many as its caches hold. `start`: what stands before
    every plain text. `beginnings`: of the long texts that were read last; `remembered`: what the model said without a view.
    """

    hf: nn.Module
    tokenizer: PreTrainedTokenizerBase
    tokens_per_forward: int = field(default=4_096, kw_only=True)
    beginnings: Beginnings = field(default_factory=Beginnings, kw_only=True, repr=False)
    remembered: Remembered = field(default_factory=Remembered, kw_only=True, repr=False)
    start: Start = field(default=NONE, kw_only=True)

    def __post_init__(self) -> None:
        self.hf.eval().requires_grad_(False)

    # --- its shape and weights --------------------------------------------------------------------------------------

    @cached_property
    def arch(self) -> Architecture:
        """Where this family keeps its parts."""
        return architecture_of(self.hf.config.model_type)

    @cached_property
    def tok(self) -> Tokens:
        """The tokenizer with the questions that editing asks of it."""
        return Tokens(self.tokenizer, self.hf.config.max_position_embeddings, self.start)

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end what the model writes: the tokenizer's, and those of the settings for generation.

        An instruct model may end its turns with a token that stands in these settings alone: Gemma's `<end_of_turn>`.
        """
        told = getattr(getattr(self.hf, "generation_config", None), "eos_token_id", None)
        ids = {self.tokenizer.eos_token_id, *(told if isinstance(told, list | tuple) else [told])}
        return frozenset(id_ for id_ in ids if id_ is not None and id_ < len(self.tokenizer))

    @property
    def device(self) -> torch.device:
        """Where the token embedding computes: inputs go there."""
        embedding = self.hf.get_input_embeddings()
        if embedding.weight.is_meta:  # its weight is elsewhere until it is used
            return torch.device(embedding._hf_hook.execution_device)
        return embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the activations."""
        return self.hf.get_input_embeddings().weight.dtype

    @cached_property
    def n_layers(self) -> int:
        """Number of transformer blocks."""
        return len(self.arch.block_list(self.hf))

    @cached_property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.hf.config.hidden_size

    @cached_property
    def d_ff(self) -> int:
        """Width of a key: the input of the MLP's output projection."""
        return inputs_of(self.arch.projection_of(self.hf, 0))

    @cached_property
    def parameters(self) -> int:
        """Number of weights, tied ones counted once."""
        return parameters_of(self.hf)

    def weight(self, layer: int) -> Float[Tensor, "d_model d_ff"]:
        """Return the projection of a layer as W `[d_model, d_ff]`, float32, whatever the module stores."""
        return matrix_of(self.arch.projection_of(self.hf, layer))

    def weights_hash(self) -> str:
        """Return a hash of every byte of every weight: proof that nothing was written."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.hf.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).cpu().numpy().tobytes())
        return digest.hexdigest()

    def forget(self) -> None:
        """Forget every text that was read, so that the next question is answered from nothing."""
        self.beginnings.clear()
        self.remembered.clear()

    # --- its forwards -----------------------------------------------------------------------------------------------

    def tokens(self, texts: Sequence[str], view: View = BASE, side: str = "right") -> TokenBatch:
        """Return texts as one padded batch, the view's preamble in front of each."""
        return self.tok.pad([self.tok.encode(view.asks(text)) for text in texts], side, self.device)

    @torch.no_grad()
    def hidden(self, batch: TokenBatch, views: Views = BASE) -> Float[Tensor, "rows tokens d_model"]:
        """Return the final hidden states, after the last norm."""
        with laid_over(self.hf, self.arch, views):
            return self.hf.base_model(
                input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
            ).last_hidden_state

    @torch.no_grad()
    def hidden_under(self, batch: TokenBatch, views: Sequence[View]) -> Iterator[Float[Tensor, "rows tokens d_model"]]:
        """Yield the final hidden states of one batch under each of several views; layers that no view touches run once."""
        lowest = min((layer for view in views for layer in view.laid), default=0)
        if len(views) == 1 or lowest == 0:
            yield from (self.hidden(batch, view) for view in views)
            return
        norm = self.hf.get_submodule(self.arch.norm)
        with recording_blocks(self.hf, self.arch, lowest) as recorded:
            yield self.hidden(batch, views[0])
        for view in views[1:]:
            hidden = recorded.below
            with laid_over(self.hf, self.arch, view):
                for call in recorded.calls:
                    hidden = call(hidden)
                hidden = norm(hidden)
            yield hidden

    def head(self, hidden: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows vocab"]:
        """Return float32 logits of final hidden states, with the family's scale and soft-capping where it has one."""
        logits = self.hf.get_output_embeddings()(hidden).float() / getattr(self.hf.config, "logits_scaling", 1.0)
        cap = getattr(self.hf.config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits

    @torch.no_grad()
    def logits(self, texts: Sequence[str], view: Views = BASE, at: str = "last") -> Tensor:
        """Return logits `[rows, vocab]` after each text's last token, or `[rows, tokens, vocab]` with `at="all"`.

        `view` is one for all rows or one a row.
        """
        batch = self._batch(texts, view)
        hidden = self.hidden(batch, view)
        if at == "last":
            hidden = hidden[torch.arange(len(texts), device=self.device), batch.last]
        return self.head(hidden)

    @torch.no_grad()
    def keys(
        self, rows: Sequence[Located], layers: Sequence[int], view: Views = BASE
    ) -> dict[int, Float[Tensor, "rows d_ff"]]:
        """Return keys at each row's located token, for several layers in one forward that stops at the highest of them."""
        return self._at_located(rows, view, lambda: capturing_keys(self.hf, self.arch, layers))

    @torch.no_grad()
    def keys_everywhere(
        self, rows: Sequence[Sequence[int]], layer: int, views: Views = BASE
    ) -> Iterator[tuple[list[int], Float[Tensor, "tokens d_ff"]]]:
        """Yield the keys at every token of rows of ids, a forward at a time: the rows' numbers, and their keys in order.

        The forwards stop at the layer. Keys keep the model's precision: a scan over a million of them copies none.
        """
        for chunk in in_chunks([len(row) for row in rows], self.tokens_per_forward):
            batch = self.tok.pad([rows[n] for n in chunk], device=self.device)
            own = views if isinstance(views, View) else [views[n] for n in chunk]
            with laid_over(self.hf, self.arch, own), capturing_keys(self.hf, self.arch, [layer]) as captured:
                self.hf.base_model(
                    input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
                )
            yield chunk, captured[layer][batch.mask]

    @torch.no_grad()
    def residuals(self, rows: Sequence[Located], layer: int, view: View = BASE) -> Float[Tensor, "rows d_model"]:
        """Return the residual stream behind a layer's block at each row's located token; the forward stops there."""
        return self._at_located(rows, view, lambda: capturing_output(self.arch.block_list(self.hf)[layer], layer))[layer]

    @torch.no_grad()
    def outputs(self, rows: Sequence[Located], layer: int, view: View = BASE) -> Float[Tensor, "rows d_model"]:
        """Return what a layer's MLP puts out at each row's located token; the forward stops there."""
        mlp = self.arch.mlp_of(self.hf, layer)
        return self._at_located(rows, view, lambda: capturing_output(mlp, layer))[layer]

    def locate(self, prompt: str, subject: str, before: str = "", form: Form = BARE) -> Located:
        """Return the ids of a prompt whose "{}" is filled with the subject, and the place of the subject's last token."""
        head, found, tail = prompt.partition("{}")
        if not found:
            raise BadRequest(f"The prompt {prompt!r} has no {{}}. Write {{}} where the subject stands.")
        start = len(form.before) + len(before) + len(head)
        return self.tok.locate(form.around(f"{before}{head}{subject}{tail}"), start, start + len(subject))

    def _at_located(
        self, rows: Sequence[Located], views: Views, capturing: Callable[[], AbstractContextManager[dict[int, Tensor]]]
    ) -> dict[int, Float[Tensor, "rows width"]]:
        """Return what is captured at each row's located token, in as many forwards as the token budget asks for."""
        found: dict[int, Tensor] = {}
        for chunk in in_chunks([len(row.ids) for row in rows], self.tokens_per_forward):
            batch = self.tok.pad([rows[n].ids for n in chunk], device=self.device)
            own = views if isinstance(views, View) else [views[n] for n in chunk]
            at = torch.tensor([rows[n].index for n in chunk], device=self.device)
            with laid_over(self.hf, self.arch, own), capturing() as captured:
                self.hf.base_model(
                    input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
                )
            for layer, hidden in captured.items():
                here = hidden[torch.arange(len(chunk), device=self.device), at].float()
                found.setdefault(layer, here.new_empty(len(rows), here.shape[1]))[chunk] = here
        return found

    def _batch(self, texts: Sequence[str], view: Views) -> TokenBatch:
        if not texts:
            raise BadRequest("There is nothing to ask: give at least one text.")
        if isinstance(view, View):
            return self.tokens(texts, view)
        ids = [self.tok.encode(v.asks(text)) for v, text in zip(view, texts, strict=True)]
        return self.tok.pad(ids, device=self.device)
