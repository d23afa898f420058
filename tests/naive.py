"""ROME and MEMIT once more, straight from their formulas: one bare row at a time through all of the model, own Adam.

Nothing of the engine is used but its architecture table. Slow, and therefore easy to believe; the engine is held against it.
"""

import copy
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from editlab.facts import EditRequest
from editlab.methods._delta import Schedule
from editlab.model import LanguageModel


@dataclass
class Row:
    """Ids of a context, prompt and all of the target but its last token; where the subject ends; the target's ids."""

    ids: list[int]
    index: int
    labels: list[int]


@dataclass
class Found:
    """What the optimisation found. `key` and `value` have a row for each context, the bare prompt first."""

    delta: torch.Tensor
    init: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    loss: float
    steps: int


def row_of(model: LanguageModel, request: EditRequest, context: str) -> Row:
    """By adding up lengths, which is right where neither the subject's nor the prompt's end merges with what follows."""
    head, tail = request.prompt.split("{}")
    until, prompt = f"{context}{head}{request.subject}", f"{context}{head}{request.subject}{tail}"
    adds_space = model.tokenizer.tokenize("a")[0].startswith("▁")
    target = request.target_new if adds_space else " " + request.target_new
    labels = model.tokenizer(target, add_special_tokens=False)["input_ids"]
    start = model.tokenizer(model.start.text, add_special_tokens=False)["input_ids"] if model.start.text else []

    def encode(text: str) -> list[int]:
        return start + model.tokenizer(f" {text}" if model.start.space else text)["input_ids"]

    return Row(encode(prompt) + labels[:-1], len(encode(until)) - 1, labels)


@contextmanager
def watching(model: LanguageModel, layer: int, index: int, hook: str, delta: torch.Tensor | None = None):
    """Adds `delta` at token `index` of the MLP's or the block's output, or a half each to attention's and the MLP's.

    Collects what passes there.
    """
    seen: dict[str, torch.Tensor] = {}
    block = model.hf.get_submodule(f"{model.arch.blocks}.{layer}")
    projection = block.get_submodule(model.arch.projection)

    def see(_module, inputs, output):
        seen["key"], seen["value"] = inputs[0][0, index], output[0, index]

    places = {"block": [""], "mlp": [model.arch.mlp], "parts": [model.arch.attention, model.arch.mlp]}[hook]
    put_out: list[torch.Tensor] = [torch.empty(0)] * len(places)
    changes = [None] * len(places) if delta is None else delta.chunk(len(places))

    def adding(number):
        def add(_module, _inputs, output):
            hidden = output[0] if isinstance(output, tuple) else output
            put_out[number] = hidden[0, index].detach()
            seen["init"] = torch.cat(put_out)
            if changes[number] is None:
                return output
            own = hidden[:, index] + changes[number]
            hidden = torch.cat([hidden[:, :index], own[:, None], hidden[:, index + 1 :]], 1)
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return add

    handles = [projection.register_forward_hook(see)]
    handles += [block.get_submodule(place).register_forward_hook(adding(n)) for n, place in enumerate(places)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def log_p(model: LanguageModel, ids: list[int]) -> torch.Tensor:
    """Log-probabilities `[tokens, vocab]` from the whole model."""
    return model.hf(input_ids=torch.tensor([ids]), use_cache=False).logits[0].log_softmax(-1)


def passing(model: LanguageModel, row: Row, layer: int, hook: str) -> dict[str, torch.Tensor]:
    """Key, value and hooked output at the subject's last token."""
    with torch.no_grad(), watching(model, layer, row.index, hook) as seen:
        log_p(model, row.ids)
    return seen


def value_for(
    model: LanguageModel,
    request: EditRequest,
    layer: int,
    hook: str,
    contexts: tuple[str, ...],
    schedule: Schedule,
    reversed_kl: bool = False,
) -> Found:
    """The delta of `methods.md` 1.3, in the model's own precision."""
    rows = [row_of(model, request, context) for context in contexts]
    essence = row_of(model, EditRequest("{} is a", request.subject, request.target_new), "")
    essence.ids = essence.ids[: len(essence.ids) - len(essence.labels) + 1]
    at_contexts = [passing(model, row, layer, hook) for row in rows]
    init, n = at_contexts[0]["init"], 2 if hook == "parts" else 1
    delta, first, second = (torch.zeros_like(init) for _ in range(3))
    reference, steps = log_p(model, essence.ids)[essence.index].detach(), 0
    for step in range(schedule.steps):
        delta = delta.detach().requires_grad_()
        with torch.enable_grad():
            nll = 0.0
            for row in rows:
                with watching(model, layer, row.index, hook, delta):
                    said = log_p(model, row.ids)[-len(row.labels) :]
                nll = nll - said[range(len(row.labels)), row.labels].mean() / len(rows)
            with watching(model, layer, essence.index, hook, delta):
                now = log_p(model, essence.ids)[essence.index]
            edited, base = (reference, now) if reversed_kl else (now, reference)
            kl = (edited.exp() * (edited - base)).sum()
            decay = sum(
                torch.linalg.vector_norm(d) / i.norm() ** 2 for d, i in zip(delta.chunk(n), init.chunk(n), strict=True)
            )
            loss = nll + schedule.kl * kl + schedule.weight_decay * decay
            if loss < schedule.stop_below or step == schedule.steps - 1:
                break
            (gradient,) = torch.autograd.grad(loss, delta)
        steps += 1
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        root = (second / (1 - 0.999**steps)).sqrt() + 1e-8
        delta = delta.detach() - schedule.learning_rate * first / (1 - 0.9**steps) / root
        limits = [schedule.clamp * part.norm() for part in init.chunk(n)]
        delta = torch.cat([d * min(1.0, m / d.norm()) for d, m in zip(delta.chunk(n), limits, strict=True)])
    key, value = (torch.stack([seen[name] for seen in at_contexts]) for name in ("key", "value"))
    return Found(delta.detach(), init, key, value, loss.item(), steps)


def rank_one(found: Found, keys: str, C: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """u `[d_ff]` and right `[d_model]` of `methods.md` 1.4 and 1.6."""
    k_bar, k_0, target = found.key.mean(0), found.key[0], found.init + found.delta
    u = k_0 if keys == "prompt" else k_bar
    if C is not None:
        u = torch.linalg.inv(C.double()).to(u.dtype) @ u
    u = u / u.norm()
    if keys == "consistent":
        return u, (target - found.value.mean(0)) / (k_bar @ u)
    return u, (target - found.value[0]) / (k_0 @ u)


def reached(model, requests, layer, found):
    """The residual streams behind a layer with each value at the MLP's output, as columns."""
    columns = []
    for request, value in zip(requests, found, strict=True):
        row = row_of(model, request, "")
        with torch.no_grad(), watching(model, layer, row.index, "mlp", value.delta):
            columns.append(passing(model, row, layer, "block")["init"])
    return torch.stack(columns, 1)


def through_norm(gain: torch.Tensor, wanted: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The columns x with the lengths of `like` for which |gain x - wanted|^2 + ridge |x - like|^2, at length 1, is least."""
    ridge, columns = 0.01 * gain.square().median(), []
    for goal, own in zip(wanted.T, like.T, strict=True):
        length = own.square().mean().sqrt()
        system = torch.cat([gain.diag(), ridge.sqrt() * torch.eye(len(gain), dtype=gain.dtype)])
        right = torch.cat([goal, ridge.sqrt() * own / length])
        columns.append(length * torch.linalg.lstsq(system, right[:, None]).solution[:, 0])
    return torch.stack(columns, 1)


def memit(
    model: LanguageModel,
    requests: tuple[EditRequest, ...],
    layers: tuple[int, ...],
    contexts: tuple[str, ...],
    schedule: Schedule,
    C: dict[int, torch.Tensor],
    preserved: float,
) -> list[torch.Tensor]:
    """One update `[d_model, d_ff]` a layer after `methods.md` 2.1: dense solves, written into a copy of the weights."""
    hook = "block" if model.arch.post_mlp_norm is None else "mlp"
    found = [value_for(model, request, layers[-1], hook, contexts, schedule) for request in requests]
    target = torch.stack([value.init + value.delta for value in found], 1)
    wanted = target if hook == "block" else reached(model, requests, layers[-1], found)
    edited, updates = copy.deepcopy(model), []
    for position, layer in enumerate(layers):
        keys = [
            torch.stack([passing(edited, row_of(edited, request, context), layer, "mlp")["key"] for context in contexts])
            for request in requests
        ]
        K = torch.stack([(each[0] + each[1:].mean(0)) / 2 for each in keys], 1)
        bare = [row_of(edited, request, "") for request in requests]
        now = torch.stack([passing(edited, row, layers[-1], "block")["init"] for row in bare], 1)
        R = (wanted - now) / (len(layers) - position) / getattr(model.hf.config, "residual_multiplier", 1.0)
        if hook == "mlp":
            value = torch.stack([passing(edited, row, layer, "mlp")["init"] for row in bare], 1)
            like = target if layer == layers[-1] else value
            norm = edited.hf.get_submodule(f"{edited.arch.blocks}.{layer}.{edited.arch.post_mlp_norm}")
            gain = norm.weight + edited.arch.norm_offset
            with torch.no_grad():
                R = through_norm(gain, norm(value.T).T + R, like) - value
        updates.append(R @ torch.linalg.solve(preserved * C[layer].to(K.dtype) + K @ K.T, K).T)
        weight = edited.arch.projection_of(edited.hf, layer).weight
        weight.data += updates[-1].T if edited.arch.transposed else updates[-1]
    return updates
