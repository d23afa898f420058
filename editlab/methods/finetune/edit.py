"""Fine-tuning of one matrix: FT-L, FT-M and LocFT-BF.

Adam trains the MLP's output projection of one layer until the model says the new object. The three differ in the loss and
in the order of the facts: see docs/methods.md, section 7.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.methods._method import Edited, Method, Stopwatch, check_requests, probability_of_new, relative_norm
from editlab.methods._rows import Row, row_at_prompt_end, row_of
from editlab.methods.finetune.config import FtlConfig, FtmConfig, LocftConfig
from editlab.methods.finetune.training import MiniBatch, Trained, exact, fit
from editlab.patches import BASE, Dense, Form, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, part_of

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class FineTuning(Method):
    """What the three have in common: one dense patch for all requests of a call. They keep no state."""

    group = "tune"
    joint = True
    whitens = False
    at_subject = False

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: Any = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> Edited:
        """Return one dense patch for all requests, which are one solve and are removed as one.

        Nothing is done to keep what `view` holds already. Raises `BadRequest` where the settings name more than one layer.
        """
        watch = Stopwatch()
        config = self.settle(config, model)
        if len(config.layers) > 1:
            raise BadRequest(f"{self.name} trains one matrix. Name one layer instead of {len(config.layers)}.", "layers")
        check_requests(model, requests)
        form = model.form(config.form)
        D = torch.zeros(model.d_model, model.d_ff, device=model.device, dtype=exact(model))
        trained = self._train(model, requests, D, config, form, view, progress, cancel)
        patch = Dense(config.layers[0], trained.D.float().contiguous())
        reached = probability_of_new(model, requests, [view.with_patches((patch, form))] * len(requests))
        norm, seconds = relative_norm(model, patch), watch.seconds
        health = tuple(
            {"relative_norm": norm, "loss": loss, "steps": steps, "p_new": p, "seconds": seconds / len(requests)}
            for loss, steps, p in zip(trained.losses, trained.steps, reached, strict=True)
        )
        return Edited(self.name, tuple(requests), config.layers, ((patch,),), health, (), seconds)

    @abstractmethod
    def _train(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        D: Float[Tensor, "d_model d_ff"],
        config: Any,
        form: Form,
        view: View,
        progress: Progress,
        cancel: Cancel,
    ) -> Trained:
        """Return the matrix that makes the model say all new objects."""


class _DepthFirst(FineTuning):
    """One fact after the other, each until it holds, by an Adam of its own."""

    def _train(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        D: Float[Tensor, "d_model d_ff"],
        config: Any,
        form: Form,
        view: View,
        progress: Progress,
        cancel: Cancel,
    ) -> Trained:
        losses, steps = [], []
        for place, request in enumerate(requests):
            batch = MiniBatch(model, [self._row(model, request, form)], config.layers[0], view)
            part = part_of(progress, place / len(requests), (place + 1) / len(requests))
            found = fit(
                [((0,), batch)],
                D,
                config.learning_rate,
                config.steps,
                config.stop_below,
                config.norm_constraint,
                progress=part,
                cancel=cancel,
            )
            D = found.D
            losses += found.losses
            steps += found.steps
        return Trained(D, losses, steps)

    @abstractmethod
    def _row(self, model: LanguageModel, request: EditRequest, form: Form) -> Row:
        """Return the text of a request, and what is to be said where."""


class FtL(_DepthFirst):
    """Constrained fine-tuning: all tokens of the new object at the prompt's last token (Meng et al. 2022, FT+L)."""

    name = "ft_l"
    title = noop("FT-L: fine-tuning within a norm")
    about = noop(
        "Constrained fine-tuning (Meng et al. 2022). One layer’s weight is trained until the prompt’s end says the new "
        "object, with no entry further from where it was than a constraint."
    )
    config = FtlConfig

    def _row(self, model: LanguageModel, request: EditRequest, form: Form) -> Row:
        return row_at_prompt_end(model, request, form)


class FtM(_DepthFirst):
    """Fine-tuning on the new object's tokens, the prompt masked (Zhang et al. 2024, arXiv 2401.01286)."""

    name = "ft_m"
    title = noop("FT-M: fine-tuning on the new object")
    about = noop(
        "Fine-tuning with a masked prompt (Zhang et al. 2024). One layer’s weight is trained until the model says "
        "all tokens of the new object."
    )
    config = FtmConfig

    def _row(self, model: LanguageModel, request: EditRequest, form: Form) -> Row:
        return row_of(model, request, form)


class LocftBf(FineTuning):
    """Breadth-first fine-tuning: epochs over mini-batches of all facts (Yang et al. 2026, arXiv 2509.22072)."""

    name = "locft_bf"
    title = noop("LocFT-BF: fine-tuning in mini-batches")
    about = noop(
        "Localized breadth-first fine-tuning (Yang et al. 2026). One layer’s weight is trained in mini-batches of many "
        "facts, epoch after epoch, instead of one fact after the other."
    )
    config = LocftConfig

    def _train(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        D: Float[Tensor, "d_model d_ff"],
        config: LocftConfig,
        form: Form,
        view: View,
        progress: Progress,
        cancel: Cancel,
    ) -> Trained:
        order = torch.Generator().manual_seed(config.seed)
        drawn = torch.randperm(len(requests), generator=order).tolist()
        rows = [row_of(model, request, form, config.ending) for request in requests]
        batches = [
            (own, MiniBatch(model, [rows[n] for n in own], config.layers[0], view))
            for own in (drawn[start : start + config.batch] for start in range(0, len(drawn), config.batch))
        ]
        return fit(
            batches,
            D,
            config.learning_rate,
            config.epochs,
            config.stop_below,
            order=order,
            progress=progress,
            cancel=cancel,
        )
