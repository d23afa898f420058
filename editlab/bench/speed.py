"""How fast EditLab is, as ratios taken in one run: against the plain way, and against what the machine itself allows.

What is compared is run in turn, round after round, so that a busy machine slows both sides; a ratio is the median over
rounds. All edits run all their steps: an early stop would compare luck. A floor is the time in which the device reads the
bytes and does the operations that are needed, at the rates that it reaches in a copy and in a product.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from editlab import methods
from editlab.answers import ViewName
from editlab.bench import plain, plain_mask
from editlab.bench.timing import Machine, Timing, Work, in_turn, joined, row
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.insight import Site, prefixes
from editlab.methods.mask import Example, batches
from editlab.methods.rep import Refined, RepConfig, refine
from editlab.methods.rome import RomeConfig
from editlab.model import measuring
from editlab.model.tokens import TokenBatch, in_chunks
from editlab.model.weights import bytes_of, parameters_of
from editlab.patches import BASE, LowRank, Mask, View
from editlab.probes import Ground, Probe, ask
from editlab.work import Progress, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel

STEPS = 25
"""Steps of every edit measured here: each costs the same, so that the ratios do not depend on their number."""
TOGETHER = (8, 32, 100)
"""Edits in one batch."""
LAID = (1, 100, 1_000)
"""Edits in one view."""
PROBES = 60
MASKED = 50
"""Edits of a step of mask training, as published."""
TOKENS = 48
MEASURED = 8_192
"""Tokens whose keys are summed to time key statistics."""
STATISTICS_LAYERS = 5
LARGEST_DIFFERENCE = 1e-4
"""Between the delta of an edit and that of the plain loop, relative, in float32."""


def measure(
    ground: Ground,
    load: Work,
    rounds: int = 5,
    progress: Progress = no_progress,
    parts: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """Yield the table's rows as soon as they are known; keys as in docs/interfaces.md, and the plain way beside them.

    `plain` says what the plain way is, `plain_seconds` how long it took; `ratio_to_plain` is seconds divided by those,
    `speedup` its inverse and `speedup_range` the least and the greatest of a round. `load` loads the model anew. `parts`:
    only those of `PARTS`. Raises `BadRequest` for one that there is not.
    """
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise BadRequest(f"bench speed has no part {', '.join(unknown)}. It has: {', '.join(PARTS)}.")
    chosen = [name for name in PARTS if not parts or name in parts]
    bench = _Bench(ground, load, rounds)
    for number, name in enumerate(chosen):
        progress(number / len(chosen), f"speed: {name}, {number + 1} of {len(chosen)}")
        yield from PARTS[name](bench)


def requests(ground: Ground, count: int) -> list[EditRequest]:
    """Return edits of `count` subjects, each towards another object of its relation. Raises `BadRequest` if too few."""
    rng, facts = random.Random(ground.seed), ground.facts
    found: dict[str, EditRequest] = {}
    for fact in rng.sample(facts.facts, len(facts.facts)):
        others = sorted({other.object for other in facts.by_relation[fact.relation]} - {fact.object})
        if others and fact.subject not in found:
            prompt = facts.relations[fact.relation].templates[0]
            found[fact.subject] = EditRequest(prompt, fact.subject, rng.choice(others), fact.object)
        if len(found) == count:
            return list(found.values())
    raise BadRequest(f"The facts give {len(found)} edits where {count} are measured. Use the bundled presets.")


class _Bench:
    """What the parts share: the edits, one of them applied, and its battery; each made when it is first used."""

    def __init__(self, ground: Ground, load: Work, rounds: int) -> None:
        model, seed = ground.model, ground.seed
        self.ground, self.model, self.seed, self.load = ground, model, seed, load
        self.rounds, self.machine = rounds, Machine(model)
        self.rome = methods.get("rome")
        first = methods.config_for("rome", model).layers[:1]
        self.config = methods.config_for(
            "rome", model, layers=first, keys="consistent", steps=STEPS, stop_below=0.0, seed=seed
        )
        self.layer = first[0]
        self.requests = requests(ground, max(TOGETHER))
        self.generator = torch.Generator().manual_seed(seed)

    # --- what is measured on ----------------------------------------------------------------------------------------

    @cached_property
    def edited(self) -> methods.Edited:
        return self.edit(self.requests[:1])  # also writes the contexts, once for all

    @cached_property
    def view(self) -> View:
        return View.base().with_patches(self.edited)

    @cached_property
    def rep(self) -> View:
        pathways = self.refine(self.requests[0], self.edited).pathways
        return self.view.with_patches(pathways).with_threshold(RepConfig().threshold)

    @cached_property
    def masked(self) -> View:
        """A tenth of the entries pruned, drawn: what an entry is does not matter to time."""
        kept = torch.rand(self.model.d_model, self.model.d_ff, generator=self.generator) > 0.1
        return self.view.with_patches([Mask(self.layer, kept.to(self.model.device))])

    @cached_property
    def laid(self) -> dict[int, View]:
        """Views with so many rank-one edits of one layer."""
        return {count: View((self._edits(count),)) for count in LAID}

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        return spread(self.ground.battery(self.ground.case(self.requests[0])), PROBES)

    @cached_property
    def chunks(self) -> list[TokenBatch]:
        ids = [self.model.tok.encode(probe.text) for probe in self.probes]
        groups = in_chunks([len(row) for row in ids], self.model.tokens_per_forward)
        return [self.model.tok.pad([ids[i] for i in group], device=self.model.device) for group in groups]

    def edit(self, requests: Sequence[EditRequest]) -> methods.Edited:
        return self.rome.edit(self.model, requests, BASE, self.config)

    def refine(self, request: EditRequest, edited: methods.Edited) -> Refined:
        lessons = self.ground.lessons(self.ground.case(request))
        return refine(self.model, lessons, edited.patches, config=RepConfig(seed=self.seed))

    def in_turn(self, works: Mapping[str, Work], rounds: int | None = None) -> dict[str, Timing]:
        return in_turn(works, rounds or self.rounds, self.model.device)

    def _edits(self, count: int) -> LowRank:
        A = torch.randn(count, self.model.d_ff, generator=self.generator)
        B = 1e-3 * torch.randn(self.model.d_model, count, generator=self.generator)
        return LowRank(self.layer, (A / A.norm(dim=1, keepdim=True)).to(self.model.device), B.to(self.model.device))

    # --- parts ------------------------------------------------------------------------------------------------------

    def loading(self) -> Iterator[dict[str, Any]]:
        times = in_turn({"load": self.load}, 1, torch.device("cpu"))
        yield row("load the model", times["load"], floor=2 * bytes_of(self.model.hf) / self.machine.reads)

    def statistics(self) -> Iterator[dict[str, Any]]:
        """Time the keys of several layers in one pass over text, and the tokens that a model of this width needs."""
        model = self.model
        layers = range(self.layer, min(self.layer + STATISTICS_LAYERS, model.n_layers - 1))
        prose = " ".join(self.ground.passages.inside)
        text = " ".join([prose] * (1 + 8 * MEASURED // len(prose)))

        def collected() -> None:
            with TemporaryDirectory() as folder:
                measuring.collect(model, layers, text, MEASURED, Path(folder), self.seed)

        times = self.in_turn({"statistics": collected}, rounds=1)
        below = sum(parameters_of(block) for block in model.arch.block_list(model.hf)[: layers[-1] + 1])
        operations = 2 * MEASURED * (below + len(layers) * model.d_ff**2)
        floor = self.machine.seconds(operations, 0, MEASURED)
        found = row(
            f"key statistics of {len(layers)} layers, {MEASURED:,} tokens, files written", times["statistics"], floor=floor
        )
        yield found | {"tokens_per_second": MEASURED / times["statistics"].seconds, "tokens_wanted": 10 * model.d_ff}

    def one_edit(self) -> Iterator[dict[str, Any]]:
        """Time another request each round: how much can be spared depends on where the subject stands in the prompt."""
        contexts = self.edited.contexts
        fast, slow = [], []
        for request in islice(cycle(self.requests), self.rounds):
            works = {
                "edit": partial(self.edit, [request]),
                "plain": partial(plain.edit, self.model, request, self.config, contexts),
            }
            times = self.in_turn(works, rounds=1)
            fast.append(times["edit"])
            slow.append(times["plain"])
        against = "plain loop: everything again at each step"
        floor = self._floor([self.requests[0]])
        found = row(f"ROME, one edit of {STEPS} steps", joined(fast), joined(slow), against, floor)
        yield found | {"largest_difference": max(difference(self.model, r, self.config) for r in self.requests[:3])}

    def many_edits(self) -> Iterator[dict[str, Any]]:
        for count in TOGETHER:
            chosen = self.requests[:count]
            works: dict[str, Work] = {"batch": partial(self.edit, chosen)}
            if count < 50:
                works["one by one"] = lambda chosen=chosen: [self.edit([request]) for request in chosen]
            times = self.in_turn(works, rounds=max(1, self.rounds // 2))
            other = times.get("one by one")
            floor = self._floor(chosen)
            yield row(f"ROME, {count} edits in one batch", times["batch"], other, other and "one by one", floor) | {
                "seconds_per_edit": times["batch"].seconds / count
            }

    def refining(self) -> Iterator[dict[str, Any]]:
        """Time a pathway against the edit that it belongs to, made as the preset has it: it may end early."""
        config = methods.config_for("rome", self.model, layers=self.config.layers, seed=self.config.seed)
        refined, edits = [], []
        for request in islice(cycle(self.requests), 2 * self.rounds):
            edited = self.rome.edit(self.model, [request], BASE, config)
            works = {
                "refine": partial(self.refine, request, edited),
                "edit": partial(self.rome.edit, self.model, [request], BASE, config),
            }
            times = self.in_turn(works, rounds=1)
            refined.append(times["refine"])
            edits.append(times["edit"])
        yield row("REP, one pathway", joined(refined), joined(edits), "the edit itself, as the preset has it")

    def forward(self) -> Iterator[dict[str, Any]]:
        views = {"without an edit": BASE} | {_edits_of(count): view for count, view in self.laid.items()}
        views |= {"with one edit and REP": self.rep, "with one edit under a mask": self.masked}
        works = {
            name: lambda view=view: [self.model.hidden(chunk, view) for chunk in self.chunks] for name, view in views.items()
        }
        times = self.in_turn(works, rounds=3 * self.rounds)
        tokens = sum(chunk.ids.numel() for chunk in self.chunks)
        operations = 2 * tokens * parameters_of(*self.model.arch.block_list(self.model.hf))
        floor = self.machine.seconds(operations, bytes_of(self.model.hf), self.chunks[0].ids.numel())
        what = f"forward of {len(self.probes)} prompts, {tokens:,} tokens,"
        for name, timing in times.items():
            other = None if name == "without an edit" else times["without an edit"]
            yield row(f"{what} {name}", timing, other, other and "without an edit", floor)

    def battery(self) -> Iterator[dict[str, Any]]:
        """Time a battery under four views, with all to be read and after another edit's, whose passages it shares.

        The plain way is a forward for each prompt, view and object.
        """
        views = {
            ViewName.BASE: BASE,
            ViewName.EDITED: self.view,
            ViewName.REP: self.rep,
            ViewName.MASKED: self.masked,
        }
        model, request = self.model, self.requests[0]
        asked = [
            (probe.text, target, view)
            for probe in self.probes
            for target in dict.fromkeys((probe.expected, request.target_new, request.target_true))
            if target is not None
            for view in views.values()
        ]
        columns = [list(column) for column in zip(*asked, strict=True)]

        def anew() -> Any:
            model.forget()
            return model.score(*columns)

        def next_edit() -> Any:
            model.beginnings.made.clear()
            model.remembered.clear()
            return model.score(*columns)

        works: dict[str, Work] = {
            "scores": anew,
            "scores after another edit's": next_edit,
            "plain": partial(plain.scores, model, *columns),
            "scores and answers": lambda: (model.forget(), ask(model, request, self.probes, views)),
        }
        times = self.in_turn(works, rounds=max(1, self.rounds // 2))
        apart = max(abs(a.p - math.exp(b)) for a, b in zip(anew(), works["plain"](), strict=True))
        lengths = [len(model.tok.encode(probe.text)) for probe in self.probes]
        blocks = model.arch.block_list(model.hf)
        below, above = parameters_of(*blocks[: self.layer]), parameters_of(*blocks[self.layer :])
        operations = 2 * sum(lengths) * (below + len(views) * above)
        floor = self.machine.seconds(operations, bytes_of(model.hf), min(sum(lengths), model.tokens_per_forward))
        name = f"battery of {len(self.probes)} prompts x {len(views)} views:"
        against = "a forward for each prompt, view and object"
        yield row(f"{name} scores", times["scores"], times["plain"], against, floor) | {"largest_difference": apart}
        yield row(f"{name} scores after another edit's", times["scores after another edit's"], times["plain"], against)
        yield row(f"{name} scores and answers", times["scores and answers"])

    def generation(self) -> Iterator[dict[str, Any]]:
        text, tokens = self.requests[0].text, TOKENS
        views = {"without an edit": BASE} | {_edits_of(count): view for count, view in self.laid.items()}
        views |= {"with one edit under a mask": self.masked}
        times = self.in_turn(
            {name: lambda view=view: list(self.model.generate([text], view, tokens)) for name, view in views.items()}
        )
        counts = {name: sum(1 for _ in self.model.generate([text], view, tokens)) for name, view in views.items()}
        floor = self.machine.seconds(0, tokens * bytes_of(self.model.hf), 1)
        for name, timing in times.items():
            other = None if name == "without an edit" else times["without an edit"]
            found = row(f"generation of {tokens} tokens {name}", timing, other, other and "without an edit", floor)
            yield found | {"tokens_per_second": counts[name] / timing.seconds}

    def scan(self) -> Iterator[dict[str, Any]]:
        """Time the search for all places of a text whose key is most like the edit's."""
        site = Site.on(self.model, self.requests[0], self.view.patches)
        text = "\n".join(self.ground.passages.inside)
        times = self.in_turn({"scan": lambda: list(prefixes(site, text))})
        *_, found = prefixes(site, text)
        made = row(f"the edit's key against {found.tokens:,} keys of prose", times["scan"])
        yield made | {"tokens_per_second": found.tokens / times["scan"].seconds}

    def masking(self) -> Iterator[dict[str, Any]]:
        """Time a step of mask training, which does not depend on what the edits say: their directions are drawn."""
        layer, g = self.layer, torch.Generator().manual_seed(self.seed)
        model, examples = self.model, []
        for request in requests(self.ground, MASKED):
            A, B = torch.randn(1, model.d_ff, generator=g), torch.randn(model.d_model, 1, generator=g)
            patch = LowRank(layer, (A / A.norm()).to(model.device), B.to(model.device))
            examples.append(Example(request, (patch,), (f"It is said that {request.text}", f"Once more: {request.text}")))
        rows = list(batches(model, examples, [layer], MASKED))
        theta = {layer: torch.randn(model.d_model, model.d_ff, generator=g).to(model.device)}
        what = f"a step of mask training, {MASKED} edits"
        works: dict[str, Work] = {"batched": lambda: plain_mask.batched(rows, theta)[layer]}
        if model.quantization != "none":  # the plain way writes into weights
            yield row(what, self.in_turn(works)["batched"])
            return
        works["plain"] = lambda: plain_mask.gradient(model, examples, rows, theta)[layer]
        found, expected = (work() for work in works.values())
        apart = float((found - expected).norm() / expected.norm())
        times = self.in_turn(works)
        made = row(what, times["batched"], times["plain"], "one forward per edit, own weights")
        yield made | {"largest_difference": apart}

    def _floor(self, chosen: Sequence[EditRequest]) -> float:
        """Return the seconds of a batch of edits where nothing is wasted.

        Each token goes once through the blocks and, from the subject on, `STEPS` times forward and back through those above
        the edited one, whose weights are read twice a step for as many edits as fit a forward.
        """
        model, contexts = self.model, self.edited.contexts
        tokens = active = reads = 0
        for request in chosen:
            for context in contexts:
                ids, start = model.tok.with_target(context + request.text, request.target_new)
                located = model.locate(request.prompt, request.subject, context)
                tokens, active, reads = (
                    tokens + len(ids) - 1,
                    active + len(ids) - 1 - located.index,
                    reads + len(ids) - start,
                )
        blocks = model.arch.block_list(model.hf)
        above = blocks[self.layer + 1 :]
        head = model.hf.get_output_embeddings().weight
        batches = -(-tokens // model.tokens_per_forward)
        once = self.machine.seconds(2 * tokens * parameters_of(*blocks), batches * bytes_of(*blocks), tokens // batches)
        step = self.machine.seconds(
            4 * (active * parameters_of(*above) + reads * head.numel()),
            2 * batches * (bytes_of(*above) + head.numel() * head.element_size()),
            active // batches,
        )
        return once + STEPS * step


PARTS: dict[str, Callable[[_Bench], Iterator[dict[str, Any]]]] = {
    "load": _Bench.loading,
    "statistics": _Bench.statistics,
    "edit": _Bench.one_edit,
    "edits": _Bench.many_edits,
    "rep": _Bench.refining,
    "forward": _Bench.forward,
    "battery": _Bench.battery,
    "generation": _Bench.generation,
    "scan": _Bench.scan,
    "mask": _Bench.masking,
}


def spread(probes: Sequence[Probe], count: int) -> tuple[Probe, ...]:
    """Return at most `count` probes, evenly over the battery, so that every kind keeps its share."""
    if len(probes) <= count:
        return tuple(probes)
    return tuple(probes[i * len(probes) // count] for i in range(count))


def difference(model: LanguageModel, request: EditRequest, config: RomeConfig) -> float:
    """Return |delta of EditLab - delta of the plain loop| / |the latter|. Raises `RuntimeError` where it is not small.

    EditLab's delta is read back from the patch it made: what it writes is delta, plus what stood at the plain prompt,
    minus what stood there on average.
    """
    edited = methods.get("rome").edit(model, [request], BASE, config)
    slow = plain.edit(model, request, config, edited.contexts)
    written = edited.patches[0].B[:, 0] * edited.health[0]["divisor"]
    found = float((written - slow.init + slow.mean_value - slow.delta).norm() / slow.delta.norm())
    if model.dtype == torch.float32 and model.quantization == "none" and found > LARGEST_DIFFERENCE:
        raise RuntimeError(
            f"On {model.name} an edit and the plain loop differ by {found:.1e} of their length, more than "
            f"{LARGEST_DIFFERENCE:.0e}: their times cannot be compared."
        )
    return found


def _edits_of(count: int) -> str:
    return "with one edit" if count == 1 else f"with {count:,} edits"
