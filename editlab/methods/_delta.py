"""The core of all locate-and-edit methods: which value must a layer retrieve, so that the model says the new object?

One vector a request is optimised by Adam, all requests in one batch: Adam is element-wise and the losses are independent,
so a batch gives what one by one gives. Only layers above the edited one and tokens from the subject on are run
(`model.replay`), logits are computed at the labels alone. Meng et al. 2022, arXiv 2202.05262, eq. 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.facts.languages import essence
from editlab.facts.script import joined
from editlab.model.overlay import first_of
from editlab.model.replay import Replay, replay
from editlab.model.tokens import Located
from editlab.patches import BARE, Form, View
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

Hook = Literal["mlp", "block", "parts"]
"""What is changed at the located token: what the MLP puts out, what the block does, or what attention and MLP both do."""
LOOK_STEPS = 5
ENOUGH = {"cpu": 128, "gpu": 2_048}
"""Tokens at which a device's products are about as fast as they get: a CPU's core reaches its speed at a few dozen."""


@dataclass(frozen=True)
class Schedule:
    """Settings of the optimisation, named as in the published code.

    It ends early where the loss is under `stop_below` and the bare prompt's own negative log-likelihood under `plain_below`.
    """

    steps: int
    learning_rate: float
    weight_decay: float
    clamp: float
    kl: float
    stop_below: float = 5e-2
    plain_below: float = math.inf

    @classmethod
    def of(cls, config: Any) -> Schedule:
        """Return the part of a method's configuration that the optimisation reads."""
        return cls(**{f.name: getattr(config, f.name) for f in fields(cls)})


@dataclass(frozen=True, eq=False)
class Value:
    """The outcome for one request. Rows of `keys` `[contexts, d_ff]` and `values` `[contexts, d_model]`: plain prompt first.

    `delta` `[d_model]` is what must be added, `init` `[d_model]` the value at the plain prompt.
    """

    delta: Float[Tensor, "d_model"]
    init: Float[Tensor, "d_model"]
    keys: Float[Tensor, "contexts d_ff"]
    values: Float[Tensor, "contexts d_model"]
    loss: float
    steps: int


def optimise(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    layer: int,
    hook: Hook,
    contexts: Sequence[str],
    schedule: Schedule,
    view: View,
    progress: Progress = no_progress,
    cancel: Cancel = never,
    form: Form = BARE,
) -> list[Value]:
    """Return a `Value` a request at the subject's last token of `layer`: at the MLP's output (ROME) or the block's (MEMIT).

    With "parts" (PMET), what attention puts out is changed beside it, and the value is the MLP's. `form`: how prompts are
    put to the model.
    """
    kind = _Parts if hook == "parts" else _Problem
    values: list[Value | None] = [None] * len(requests)
    done = 0
    for chunk in _chunks(model, requests, contexts):

        def report(fraction: float, text: str, done: int = done, size: int = len(chunk)) -> None:
            progress((done + fraction * size) / len(requests), text)

        def problem(places: Sequence[int], chunk: list[int] = chunk) -> _Problem:
            return kind(model, [requests[chunk[place]] for place in places], layer, hook, contexts, view, form)

        for i, value in zip(chunk, _search(problem, len(chunk), schedule, report, cancel), strict=True):
            values[i] = value
        done += len(chunk)
    return [value for value in values if value is not None]


def _chunks(model: LanguageModel, requests: Sequence[EditRequest], contexts: Sequence[str]) -> Iterator[list[int]]:
    """Yield requests to solve together: within a forward's token budget, and alike in the tokens behind the subject.

    Rows are padded to the longest of these, so a chunk that keeps the device busy takes no longer ones.
    """
    rows, enough = len(contexts) + 1, ENOUGH["cpu" if model.device.type == "cpu" else "gpu"]
    longest = [rows * max(len(model.tok.encode(joined(c + r.text, r.target_new))) for c in contexts) for r in requests]
    whole = [joined(r.text, r.target_new) for r in requests]
    tails = [
        len(model.tok.encode(text[r.prompt.index("{}") + len(r.subject) :])) for r, text in zip(requests, whole, strict=True)
    ]
    chunk: list[int] = []
    for i in sorted(range(len(requests)), key=lambda i: (tails[i], longest[i])):
        full = chunk and max(longest[j] for j in (*chunk, i)) * (len(chunk) + 1) > model.tokens_per_forward
        busy = chunk and rows * sum(tails[j] for j in chunk) >= enough
        if full or (busy and tails[i] > tails[chunk[0]]):
            yield chunk
            chunk = []
        chunk.append(i)
    yield chunk


def _search(
    problem_of: Callable[[Sequence[int]], _Problem],
    count: int,
    schedule: Schedule,
    progress: Progress,
    cancel: Cancel,
) -> list[Value]:
    """Run Adam over `count` values at once; each one ends on its own and is then soon left out."""
    first = problem = problem_of(range(count))
    running = torch.arange(count, device=first.init.device)
    delta = torch.zeros_like(first.init, requires_grad=True)
    adam = torch.optim.Adam([delta], lr=schedule.learning_rate)
    limit = schedule.clamp * first.norms(first.init)
    losses = torch.zeros_like(first.init[:, 0])
    steps = torch.zeros_like(running)
    reference: Tensor | None = None
    # On a GPU the loop must not wait for the device: it looks every few steps only whether all have ended. What has ended is
    # kept as it is, so that this changes nothing but time.
    every = LOOK_STEPS if delta.is_cuda else 1
    with torch.enable_grad():
        for step in range(schedule.steps):
            looks = step % every == 0
            stop_if(cancel)
            progress(step / schedule.steps, f"value: step {step + 1} of at most {schedule.steps}")
            nll, plain, now = problem.forward(delta[running])
            reference = now.detach() if reference is None else reference
            kl = (now.exp() * (now - reference[running])).sum(1)
            decay = (first.norms(delta[running]) / first.norms(first.init[running]) ** 2).sum(1)
            loss = nll + schedule.kl * kl + schedule.weight_decay * decay
            losses[running] = loss.detach()
            going = (loss.detach() >= schedule.stop_below) | (plain >= schedule.plain_below)
            if step == schedule.steps - 1 or (looks and not bool(going.any())):
                break
            adam.zero_grad()
            loss.backward(going.to(loss.dtype))
            before = delta.detach().clone()
            adam.step()
            active = torch.zeros(count, dtype=torch.bool, device=delta.device).index_copy(0, running, going)
            with torch.no_grad():
                delta *= (limit / first.norms(delta).clamp(min=1e-12)).clamp(max=1.0).repeat_interleave(first.size, 1)
                delta.copy_(torch.where(active[:, None], delta, before))
            steps += active
            if looks and int(active.sum()) <= len(running) // 2:
                running = active.nonzero()[:, 0]
                problem = problem_of(running.tolist())
    return first.values(delta.detach(), losses, steps)


class _Problem:
    """Rows of one batch: for each request every context and then the KL prompt, and where its labels are read.

    A prompt that begins with its subject says at the subject what the KL prompt says there, whose row is then left out.
    """

    def __init__(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        layer: int,
        hook: Hook,
        contexts: Sequence[str],
        view: View,
        form: Form = BARE,
    ) -> None:
        self.hook, self.count, self.contexts = hook, len(requests), len(contexts)
        rows: list[Located] = []
        reads: list[tuple[int, int, int, float]] = []
        owner, plain, kl_row = list[int](), list[int](), list[int]()
        for number, request in enumerate(requests):
            plain.append(len(rows))
            before = len(reads)
            for context in contexts:
                located, labels = _with_target(model, request, context, form)
                first = len(located.ids) - len(labels) - located.index
                reads += [(len(rows), first + t, label, 1 / len(labels)) for t, label in enumerate(labels)]
                rows.append(located)
            asked = _until_subject(model.locate(essence(request.prompt, request.subject), request.subject, form=form))
            told = [column for row, column, _, _ in reads[before:] if row == plain[-1]]
            kl_row.append(plain[-1] if 0 not in told and _until_subject(rows[plain[-1]]) == asked else len(rows))
            rows += [asked] if kl_row[-1] == len(rows) else []
            owner += [number] * (len(rows) - len(owner))
        device = model.device
        self.owner, self.plain, self.kl_row = (torch.tensor(own, device=device) for own in (owner, plain, kl_row))
        self.read_row = torch.tensor([r for r, _, _, _ in reads], device=device)
        self.read_column = torch.tensor([c for _, c, _, _ in reads], device=device)
        self.labels = torch.tensor([label for _, _, label, _ in reads], device=device)
        self.weights = torch.tensor([w for _, _, _, w in reads], device=device) / self.contexts
        self.read_owner = self.owner[self.read_row]
        self.read_plain = self.read_row == self.plain[self.read_owner]
        self._start(model, rows, layer, view)
        self.size = model.d_model

    def _start(self, model: LanguageModel, rows: Sequence[Located], layer: int, view: View) -> None:
        """Keep what is replayed, and what stands at the bare prompts."""
        self.replay: Replay = replay(model, rows, layer, view)
        self.init = (self.replay.mlp if self.hook == "mlp" else self.replay.residual[:, 0].float())[self.plain]

    def norms(self, values: Tensor) -> Tensor:
        """Return the lengths of values `[requests, parts x d_model]`, each part's own."""
        return values.unflatten(1, (-1, self.size)).norm(dim=2)

    def run(self, placed: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return logits at (row, column) pairs with these values placed in their rows."""
        start = self.replay.with_value(placed) if self.hook == "mlp" else self.replay.with_residual(placed)
        return self.replay.finish(start, rows, columns)

    def forward(self, delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return losses `[requests]`, mean over contexts and at the bare prompt; log-probabilities at the KL subject."""
        rows = torch.cat([self.read_row, self.kl_row])
        columns = torch.cat([self.read_column, torch.zeros_like(self.kl_row)])
        log_p = self.run(delta[self.owner], rows, columns).log_softmax(-1)
        n = len(self.labels)
        said = -log_p[:n].gather(1, self.labels[:, None])[:, 0] * self.weights
        none = torch.zeros_like(delta[:, 0])
        plain = none.index_add(0, self.read_owner, said.detach() * self.read_plain) * self.contexts
        return none.index_add(0, self.read_owner, said), plain.detach(), log_p[n:]

    def values(self, delta: Tensor, losses: Tensor, steps: Tensor) -> list[Value]:
        """Return what was found, a `Value` a request."""
        own = [slice(first, first + self.contexts) for first in self.plain.tolist()]
        return [
            Value(delta[i], self.init[i], self.replay.key[rows], self.replay.value[rows], losses[i].item(), int(steps[i]))
            for i, rows in enumerate(own)
        ]


class _Parts(_Problem):
    """What attention and the MLP put out is changed alike: replayed from the block below on, with both parts hooked.

    `init` and deltas `[requests, 2 d_model]`: attention's part first. Li et al. 2024 (PMET), arXiv 2308.08742.
    """

    def _start(self, model: LanguageModel, rows: Sequence[Located], layer: int, view: View) -> None:
        if layer == 0:
            raise BadRequest(
                "This method changes what attention adds as well, from layer 1 on. Choose other layers.", "layers"
            )
        self.replay = replay(model, rows, layer - 1, view)
        self._modules = (model.arch.attention_of(model.hf, layer), model.arch.mlp_of(model.hf, layer))
        self.size = model.d_model
        own = torch.arange(len(rows), device=model.device)
        put_out: list[Tensor] = []
        with torch.no_grad(), self._hooked(lambda number, output: put_out.append(output[:, 0].float())):
            self.replay.last(self.replay.residual, own, torch.zeros_like(own))
        self.init = torch.cat(put_out, 1)[self.plain]

    @contextmanager
    def _hooked(self, each: Callable[[int, Tensor], Tensor | None]) -> Iterator[None]:
        """Call `each` with a part's number and what it puts out `[rows, active, d_model]`; a result takes its place."""

        def hook(number: int) -> Callable[..., Any]:
            def run(_module: Any, _inputs: Any, output: Any) -> Any:
                changed = each(number, first_of(output))
                if changed is None:
                    return None
                return (changed, *output[1:]) if isinstance(output, tuple) else changed

            return run

        with ExitStack() as stack:
            for number, module in enumerate(self._modules):
                stack.callback(module.register_forward_hook(hook(number)).remove)
            yield

    def run(self, placed: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return logits at (row, column) pairs with these values placed in their rows."""
        parts = placed.unflatten(1, (2, self.size))

        def add(number: int, output: Tensor) -> Tensor:
            return torch.cat([output[:, :1] + parts[:, number, None].to(output.dtype), output[:, 1:]], 1)

        with self._hooked(add):
            return self.replay.finish(self.replay.residual, rows, columns)

    def values(self, delta: Tensor, losses: Tensor, steps: Tensor) -> list[Value]:
        """Return what was found for the MLP. Its keys are those of the layer below, and are of no use."""
        own = super().values(delta, losses, steps)
        return [replace(value, delta=value.delta[self.size :], init=value.init[self.size :]) for value in own]


def _until_subject(row: Located) -> Located:
    """Return a row without what follows its located token, which is not heard there."""
    return Located(row.ids[: row.index + 1], row.index)


def _with_target(model: LanguageModel, request: EditRequest, context: str, form: Form) -> tuple[Located, list[int]]:
    """Return the ids of context, prompt and target without the last, located at the subject; and the target's ids."""
    head = form.before + context + request.prompt.partition("{}")[0]
    text = form.around(context + request.text)
    ids, shared = model.tok.with_target(text, request.target_new)
    found = model.tok.locate(model.tok.joined(text, request.target_new), len(head), len(head) + len(request.subject))
    return Located(tuple(ids[:-1]), min(found.index, shared - 1)), ids[shared:]
