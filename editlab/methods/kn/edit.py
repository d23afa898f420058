"""Knowledge neurons: the few neurons a fact comes from are made to write another object.

Dai et al. 2022, arXiv 2104.08696. See docs/methods.md, section 11.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from accelerate.utils import align_module_device
from jaxtyping import Float
from torch import Tensor

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.methods._method import Edited, Method, Stopwatch, check_requests, probability_of_new, relative_norm
from editlab.methods.kn.attribution import attributions
from editlab.methods.kn.config import KnConfig
from editlab.patches import BASE, Form, LowRank, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class Kn(Method):
    """Knowledge neurons. It keeps no state."""

    name = "kn"
    title = noop("KN: knowledge neurons")
    about = noop(
        "Knowledge neurons (Dai et al. 2022). Integrated gradients find the few neurons from which the old object comes; "
        "what they write is moved from the old object’s embedding to the new one’s."
    )
    config = KnConfig
    whitens = False
    at_subject = False

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: KnConfig | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> Edited:
        """Return a rank-one patch for each layer that has knowledge neurons of a request, which see no other request.

        The old object is the request's true object, or what the model says where it names none. Raises `BadRequest` where no
        neuron speaks for it.
        """
        watch = Stopwatch()
        config = self.settle(config, model)
        check_requests(model, requests)
        form = model.form(config.form)
        solves, health = [], []
        for place, request in enumerate(requests):
            stop_if(cancel)
            progress(place / len(requests), "neurons: integrated gradients of all layers")
            solve, neurons = _edit(model, request, config, form, view)
            solves.append(solve)
            norm = max(relative_norm(model, patch) for patch in solve)
            health.append({"relative_norm": norm, "neurons": float(neurons)})
        reached = probability_of_new(model, requests, [view.with_patches((*solve, form)) for solve in solves])
        seconds = watch.seconds
        for entry, p in zip(health, reached, strict=True):
            entry |= {"p_new": p, "seconds": seconds / len(requests)}
        layers = tuple(sorted({patch.layer for solve in solves for patch in solve}))
        return Edited(self.name, tuple(requests), layers, tuple(solves), tuple(health), (), seconds)


def _edit(
    model: LanguageModel, request: EditRequest, config: KnConfig, form: Form, view: View
) -> tuple[tuple[LowRank, ...], int]:
    """Return the patches of one request, and how many neurons they change."""
    text = form.around(request.text)
    old = request.target_true or model.top(text, view, 1)[0][0].strip()
    ids, shared = model.tok.with_target(text, old)
    found = [attributions(model, tuple(ids[:at]), ids[at], config.steps, view) for at in range(shared, len(ids))]
    scores = torch.stack([own for own, _ in found]).mean(0)
    if not scores.max() > 0:
        raise BadRequest(f"No neuron of {model.name} speaks for {old!r} here. Name the true object, or use another method.")
    chosen = scores > config.threshold * scores.max()
    new, begun = model.tok.with_target(text, request.target_new)
    shift = config.add * _embedding(model, new[begun:]) - config.remove * _embedding(model, ids[shared:])
    signs = found[0][1].sign() if config.signed else torch.ones_like(scores)
    reads = chosen * signs
    layers = chosen.any(1).nonzero()[:, 0].tolist()
    return tuple(LowRank(layer, reads[layer][None].clone(), shift[:, None].clone()) for layer in layers), int(chosen.sum())


def _embedding(model: LanguageModel, ids: Sequence[int]) -> Float[Tensor, "d_model"]:
    """Return the mean embedding of an object's tokens, as the model's head has it."""
    head = model.hf.get_output_embeddings()
    with align_module_device(head):
        return head.weight[torch.tensor(ids, device=head.weight.device)].float().mean(0).to(model.device)
