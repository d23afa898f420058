"""How fast EditLab is, as ratios taken in one run: against the plain way, and against what the machine's matmul allows.

What is compared is run in turn, round after round, so that a busy machine slows both sides; a ratio is the median over
rounds. All edits run all their steps: an early stop would compare luck.
"""

from __future__ import annotations

import random
import re
import statistics as middle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from editlab import methods
from editlab.bench import plain, plain_mask
from editlab.errors import BadRequest
from editlab.facts import EditRequest, FactBase
from editlab.insight import Lens, prefixes
from editlab.methods.mask import Example, batches
from editlab.methods.rep import Refined, RepConfig, refine
from editlab.methods.rome import RomeConfig
from editlab.model.scoring import in_chunks
from editlab.model.tokens import TokenBatch
from editlab.patches import BASE, LowRank, View
from editlab.probes import Passages, Probe, ask, battery, case_for, lessons

if TYPE_CHECKING:
    from editlab.model import LanguageModel

EDITS = 32
STEPS = 20
"""Steps of every edit measured here: each costs the same, so that the ratios do not depend on their number."""
PROBES = 60
MASKED = 50
"""Edits of a step of mask training, as published."""
TOKENS = 48
LARGEST_DIFFERENCE = 1e-4
"""Between the delta of an edit and that of the plain loop, relative, in float32."""

Progress = Callable[[float, str], None]
Work = Callable[[], Any]


@dataclass(frozen=True)
class Timing:
    """Seconds of every round, the rounds of compared works being neighbours in time; `peak` in bytes, None if unknown."""

    rounds: tuple[float, ...]
    peak: int | None

    @property
    def seconds(self) -> float:
        """Median."""
        return middle.median(self.rounds)

    def gains(self, other: Timing) -> list[float]:
        """For each round the other's seconds divided by this one's."""
        return [b / a for a, b in zip(self.rounds, other.rounds, strict=True)]

    def ratio_to(self, other: Timing) -> float:
        """Median over rounds of this one's seconds divided by the other's."""
        return middle.median(1 / gain for gain in self.gains(other))


def measure(
    model: LanguageModel,
    load: Work,
    facts: FactBase,
    passages: Passages,
    rounds: int = 5,
    seed: int = 0,
    progress: Progress = lambda _fraction, _text: None,
) -> Iterator[dict[str, Any]]:
    """The table's rows, each as soon as it is known; keys as in `interfaces.md`, and what they are compared with.

    `plain` says what the plain way is, `plain_seconds` how long it took; `ratio_to_plain` is seconds divided by those,
    `speedup` its inverse and `speedup_range` the least and the greatest of a round. `load` loads the model anew.
    """
    bench = _Bench(model, facts, passages, rounds, seed)
    parts = (
        *(partial(_load, load), bench.one_edit, bench.many_edits, bench.refining),
        *(bench.forward, bench.battery, bench.generation, bench.scan, bench.masking),
    )
    for number, part in enumerate(parts):
        progress(number / len(parts), f"speed: part {number + 1} of {len(parts)}")
        yield from part()


def in_turn(works: Mapping[str, Work], rounds: int, device: torch.device) -> dict[str, Timing]:
    """Run each work once to warm up, then all of them in turn, `rounds` times."""
    peaks = {name: _peak(work, device) for name, work in works.items()}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            seconds[name].append(_seconds(work, device))
    return {name: Timing(tuple(seconds[name]), peaks[name]) for name in works}


def requests(model: LanguageModel, facts: FactBase, count: int, seed: int = 0) -> list[EditRequest]:
    """Edits of `count` different subjects, each towards another object of its relation. Raises `BadRequest` if too few."""
    rng = random.Random(seed)
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
    """What the parts share: the edits, one of them laid over the model, and its battery."""

    def __init__(self, model: LanguageModel, facts: FactBase, passages: Passages, rounds: int, seed: int) -> None:
        self.model, self.facts, self.passages, self.rounds, self.seed = model, facts, passages, rounds, seed
        self.rome = methods.get("rome")
        first = methods.config_for(RomeConfig, "rome", model).layers[:1]
        self.config = methods.config_for(
            RomeConfig, "rome", model, layers=first, keys="consistent", steps=STEPS, stop_below=0.0, seed=seed
        )
        self.requests = requests(model, facts, EDITS, seed)
        edited = self.edit(self.requests[:1])  # also writes the contexts, once for all
        self.contexts = edited.contexts
        self.view = View.base().with_patches(edited)
        self.rep = self.view.with_patches(self.refine(self.requests[0], edited).pathways).with_threshold(
            RepConfig().threshold
        )
        case = case_for(self.requests[0], facts, seed)
        self.probes = spread(battery(model, case, passages, seed), PROBES)

    def edit(self, requests: Sequence[EditRequest]) -> methods.Edited:
        return self.rome.edit(self.model, requests, BASE, self.config)

    def refine(self, request: EditRequest, edited: methods.Edited) -> Refined:
        case = case_for(request, self.facts, self.seed)
        taught = lessons(self.model, case, self.passages, self.facts, self.seed)
        return refine(self.model, taught, edited.patches, config=RepConfig(seed=self.seed))

    def in_turn(self, works: Mapping[str, Work], rounds: int | None = None) -> dict[str, Timing]:
        return in_turn(works, rounds or self.rounds, self.model.device)

    def one_edit(self) -> Iterator[dict[str, Any]]:
        """Another request each round: how much can be spared depends on where the subject stands in the prompt."""
        fast, slow = [], []
        for request in islice(cycle(self.requests), self.rounds):
            works = {
                "edit": partial(self.edit, [request]),
                "plain": partial(plain.edit, self.model, request, self.config, self.contexts),
            }
            times = self.in_turn(works, rounds=1)
            fast.append(times["edit"])
            slow.append(times["plain"])
        against = "plain loop: everything again at each step"
        row = _row("ROME, one edit", joined(fast), joined(slow), against)
        yield row | {"largest_difference": max(difference(self.model, r, self.config) for r in self.requests[:3])}

    def many_edits(self) -> Iterator[dict[str, Any]]:
        times = self.in_turn(
            {
                "batch": lambda: self.edit(self.requests),
                "one by one": lambda: [self.edit([request]) for request in self.requests],
            },
            rounds=max(1, self.rounds // 2),
        )
        yield _row(f"ROME, {EDITS} edits in one batch", times["batch"], times["one by one"], "one by one")

    def refining(self) -> Iterator[dict[str, Any]]:
        """A pathway against the edit that it belongs to, which is made as the preset has it: it may end early."""
        config = methods.config_for(RomeConfig, "rome", self.model, layers=self.config.layers, seed=self.config.seed)
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
        yield _row("REP, one pathway", joined(refined), joined(edits), "the edit itself, as the preset has it")

    def forward(self) -> Iterator[dict[str, Any]]:
        chunks = self._chunks()
        tokens = sum(chunk.ids.numel() for chunk in chunks)
        works = {
            name: lambda view=view: [self.model.hidden(chunk, view) for chunk in chunks]
            for name, view in (("none", BASE), ("one", self.view), ("rep", self.rep))
        }
        times = self.in_turn(works, rounds=3 * self.rounds)
        floor = 2 * tokens * _block_parameters(self.model) / _matmul_rate(self.model, chunks[0].ids.numel())
        prompts = f"{len(self.probes)} prompts, {tokens:,} tokens"
        yield _row(f"forward without an edit ({prompts})", times["none"], floor=floor)
        yield _row(f"forward with one edit ({prompts})", times["one"], times["none"], "without an edit", floor)
        yield _row(f"forward with one edit and REP ({prompts})", times["rep"], times["none"], "without an edit", floor)

    def battery(self) -> Iterator[dict[str, Any]]:
        views = {"base": BASE, "edited": self.view}
        for what, answers in (("scores", False), ("scores and answers", True)):
            work = partial(ask, self.model, self.requests[0], self.probes, views, answers)
            times = self.in_turn({what: work})
            yield _row(f"battery of {len(self.probes)} prompts x 2 views: {what}", times[what])

    def generation(self) -> Iterator[dict[str, Any]]:
        text, tokens = self.requests[0].text, TOKENS
        times = self.in_turn(
            {
                name: lambda view=view: list(self.model.generate([text], view, tokens))
                for name, view in (("none", BASE), ("one", self.view))
            }
        )
        counts = {
            name: sum(1 for _ in self.model.generate([text], view, tokens))
            for name, view in (("none", BASE), ("one", self.view))
        }
        rows = (
            ("none", _row(f"generation of {tokens} tokens without an edit", times["none"])),
            ("one", _row(f"generation of {tokens} tokens with one edit", times["one"], times["none"], "without an edit")),
        )
        for name, row in rows:
            yield row | {"tokens_per_second": counts[name] / times[name].seconds}

    def scan(self) -> Iterator[dict[str, Any]]:
        """All places of a text whose key is most like the edit's."""
        lens = Lens.on(self.model, self.requests[0], self.view.patches)
        text = "\n".join(self.passages.inside)
        times = self.in_turn({"scan": lambda: list(prefixes(lens, text))})
        *_, found = prefixes(lens, text)
        row = _row(f"the edit's key against {found.tokens:,} keys of prose", times["scan"])
        yield row | {"tokens_per_second": found.tokens / times["scan"].seconds}

    def masking(self) -> Iterator[dict[str, Any]]:
        """A step of mask training, whose time does not depend on what the edits say: their directions are drawn."""
        layer, g = self.config.layers[0], torch.Generator().manual_seed(self.seed)
        model, examples = self.model, []
        for request in requests(model, self.facts, MASKED, self.seed):
            A, B = torch.randn(1, model.d_ff, generator=g), torch.randn(model.d_model, 1, generator=g)
            patch = LowRank(layer, (A / A.norm()).to(model.device), B.to(model.device))
            examples.append(Example(request, (patch,), (f"It is said that {request.text}", f"Once more: {request.text}")))
        rows = list(batches(model, examples, [layer], MASKED))
        theta = {layer: torch.randn(model.d_model, model.d_ff, generator=g).to(model.device)}
        works = {
            "batched": lambda: plain_mask.batched(rows, theta)[layer],
            "plain": lambda: plain_mask.gradient(model, examples, rows, theta)[layer],
        }
        found, expected = (work() for work in works.values())
        apart = float((found - expected).norm() / expected.norm())
        times = self.in_turn(works)
        row = _row(f"mask training, {MASKED} edits", times["batched"], times["plain"], "one forward per edit, own weights")
        yield row | {"largest_difference": apart}

    def _chunks(self) -> list[TokenBatch]:
        ids = [self.model.tok.encode(probe.text) for probe in self.probes]
        groups = in_chunks([len(row) for row in ids], self.model.tokens_per_forward)
        return [self.model.tok.pad([ids[i] for i in group], device=self.model.device) for group in groups]


def joined(timings: Sequence[Timing]) -> Timing:
    """The rounds of several timings as those of one."""
    peaks = [timing.peak for timing in timings if timing.peak is not None]
    return Timing(tuple(r for timing in timings for r in timing.rounds), max(peaks, default=None))


def spread(probes: Sequence[Probe], count: int) -> tuple[Probe, ...]:
    """At most `count` probes, evenly over the battery, so that every kind keeps its share."""
    if len(probes) <= count:
        return tuple(probes)
    return tuple(probes[i * len(probes) // count] for i in range(count))


def difference(model: LanguageModel, request: EditRequest, config: RomeConfig) -> float:
    """|delta of EditLab - delta of the plain loop| / |the latter|. Raises `RuntimeError` in float32 if it is not small.

    EditLab's delta is read back from the patch it made: what it writes is delta, plus what stood at the plain prompt,
    minus what stood there on average.
    """
    edited = methods.get("rome").edit(model, [request], BASE, config)
    slow = plain.edit(model, request, config, edited.contexts)
    written = edited.patches[0].B[:, 0] * edited.health[0]["divisor"]
    found = float((written - slow.init + slow.mean_value - slow.delta).norm() / slow.delta.norm())
    if model.dtype == torch.float32 and found > LARGEST_DIFFERENCE:
        raise RuntimeError(
            f"On {model.name} an edit and the plain loop differ by {found:.1e} of their length, more than "
            f"{LARGEST_DIFFERENCE:.0e}: their times cannot be compared."
        )
    return found


def _load(load: Work) -> Iterator[dict[str, Any]]:
    times = in_turn({"load": load}, 1, torch.device("cpu"))
    yield _row("load the model", times["load"])


def _row(
    what: str, timing: Timing, other: Timing | None = None, plain: str | None = None, floor: float | None = None
) -> dict[str, Any]:
    ratio = None if other is None else timing.ratio_to(other)
    return {
        "what": what,
        "seconds": timing.seconds,
        "floor_seconds": floor,
        "ratio_to_floor": None if floor is None else timing.seconds / floor,
        "ratio_to_plain": ratio,
        "peak_bytes": timing.peak,
        "plain": plain,
        "plain_seconds": None if other is None else other.seconds,
        "speedup": None if ratio is None else 1 / ratio,
        "speedup_range": None if other is None else [min(gains := timing.gains(other)), max(gains)],
    }


def _seconds(work: Work, device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak(work: Work, device: torch.device) -> int | None:
    """Most memory in use while `work` ran: the device's, or on CPU the process's where Linux tells it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device)
    known = _reset_process_peak()
    work()
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text()) if known else None
    return int(found[1]) * 1024 if found else None


def _reset_process_peak() -> bool:
    """Have Linux count the process's largest memory from now on; False where it does not."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _block_parameters(model: LanguageModel) -> int:
    return sum(p.numel() for p in model.arch.block_list(model.hf).parameters())


@torch.no_grad()
def _matmul_rate(model: LanguageModel, tokens: int) -> float:
    """Floating-point operations a second that one large product of the model's own shapes reaches here."""
    x = torch.randn(tokens, model.d_model, device=model.device).to(model.dtype)
    w = torch.randn(model.d_model, model.d_ff, device=model.device).to(model.dtype)
    times = in_turn({"matmul": lambda: [x @ w for _ in range(10)]}, 9, model.device)
    return 20 * tokens * model.d_model * model.d_ff / min(times["matmul"].rounds)
