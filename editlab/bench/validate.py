"""Validation of a model: at which layer its edits hold best, and how well, measured on facts that it knows.

A few of the facts choose the layer, others are edited there and asked their whole battery: no subject is in both. Rows are
those of `robustness`, under its keys, so that a run that keeps them can be resumed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editlab import methods
from editlab.bench import robustness
from editlab.bench.editing import Setup
from editlab.bench.robustness import CaseRow
from editlab.errors import BadRequest
from editlab.facts import EditRequest, Fact, FactBase
from editlab.model import measuring, statistics
from editlab.probes import Ground, Passages
from editlab.work import Progress, no_progress, part_of

if TYPE_CHECKING:
    from editlab.model import LanguageModel

EDITS = 50
"""Edits that measure where nobody says how many."""
CHOOSING = 15
"""Edits that choose the layer; no more than a quarter of the facts that are known."""
LEAST = 10
"""Fewer known facts than these tell nothing."""
ASKED_AT_ONCE = 32
"""Facts that the model is asked for together, each in all its trained wordings."""
ALL_LAYERS, SOME_LAYERS = 12, 8
"""Of at most so many layers each one is tried, of more about so many."""
JUDGED_BY = ("success", "paraphrase", "locality")
"""The mean of these rates chooses the layer: what Meng et al. 2022 (arXiv 2202.05262) make their score of."""
WEAK = 0.8
"""Success under which a model's edits are said to fail often."""


@dataclass(frozen=True)
class Known:
    """Edits of facts that the model says, one a subject; of all that were `asked`, it says `said`."""

    requests: tuple[EditRequest, ...]
    said: int
    asked: int


@dataclass(frozen=True)
class Validation:
    """What was measured: a line of `robustness.summary` for each layer that was tried, and for each method.

    A line of the sweep has its `score` besides, a method's its whole `config`, and under `generated` the rates of what is
    written. `chosen`: the methods whose layers follow from the sweep; those of the others stood in the model's preset.
    `layer`: the best one, None where there was no choice.
    """

    facts: Known
    sweep: tuple[dict[str, Any], ...]
    layer: int | None
    chosen: frozenset[str]
    measured: dict[str, dict[str, Any]]
    seconds: float


def validate(
    ground: Ground,
    names: Sequence[str],
    statistics_folder: Path,
    edits: int = EDITS,
    layers: Sequence[int] | None = None,
    rows: MutableMapping[str, CaseRow] | None = None,
    keep: Callable[[CaseRow], None] = lambda _row: None,
    progress: Progress = no_progress,
) -> Validation:
    """Find facts that the model knows, try `layers` with ROME, and measure each method at the best of them.

    A method that does not write at the subject has no use for that layer, and is measured as its preset has it. Layers that
    the model's own preset was measured with stay, unless `layers` are given. `rows` has those of an earlier call and takes
    the new ones, each of which is given to `keep` as well. Key statistics that MEMIT lacks are measured and kept. Raises
    `BadRequest` where the model knows too few of the facts or none can be edited.
    """
    began, model = time.perf_counter(), ground.model
    known = known_facts(ground, edits + CHOOSING, part_of(progress, 0.0, 0.05))
    choosing, measuring = split(known.requests, edits)
    run = _Run(ground, {} if rows is None else rows, keep)
    own = layers is None and model.validated
    chosen = frozenset(name for name in names if methods.get(name).at_subject and (not own or name not in model.preset))
    tried = candidates(model) if layers is None else tuple(layers)
    sweep = run.sweep(choosing, tried, part_of(progress, 0.05, 0.3)) if len(tried) > 1 else ()
    best = max(sweep, key=lambda line: (line["score"], -line["layers"][0]))["layers"][0] if sweep else tried[0]
    where = {name: {"layers": window(methods.get(name).config, best)} for name in chosen}
    setups = [Setup(name, where.get(name, {}), generated=True) for name in names]
    run.statistics(setups, statistics_folder, part_of(progress, 0.3, 0.5))
    measured = {}
    for number, setup in enumerate(setups):
        share = 0.5 / len(setups)
        part = part_of(progress, 0.5 + share * number, 0.5 + share * (number + 1))
        line = run.line(measuring, setup, part)
        if not line["n"]:
            raise BadRequest(f"None of {len(measuring)} facts could be edited. {line['skipped_because'][0]}")
        measured[setup.method] = line | {"config": asdict(setup.config(model))}
    return Validation(known, sweep, best if sweep else None, chosen, measured, time.perf_counter() - began)


def known_facts(ground: Ground, most: int, progress: Progress = no_progress) -> Known:
    """Return at most `most` facts that the model says in a trained wording, each with another object to write.

    They have different subjects, come from all relations in turn, and are edited in a wording in which the model knows them.
    Only as many facts are asked as are needed. Raises `BadRequest` where fewer than ten are known.
    """
    facts, rng = ground.facts, random.Random(f"validate/{ground.seed}")
    objects = {name: sorted({fact.object for fact in own}) for name, own in facts.by_relation.items()}
    drawn = _in_turn(facts, rng)
    found: dict[str, EditRequest] = {}
    said = asked = 0
    while drawn and len(found) < most:
        progress(len(found) / most, f"validate: {said} facts known of {asked:,} asked")
        chunk, drawn = drawn[:ASKED_AT_ONCE], drawn[ASKED_AT_ONCE:]
        asked += len(chunk)
        for fact, wording in _known_wordings(ground, chunk, rng):
            said += 1
            others = [name for name in objects[fact.relation] if name.casefold() != fact.object.casefold()]
            if others and len(found) < most:
                found.setdefault(fact.subject, EditRequest(wording, fact.subject, rng.choice(others), fact.object))
        drawn = [fact for fact in drawn if fact.subject not in found]
    if len(found) < LEAST:
        raise BadRequest(
            f"{ground.model.name} knows {said} of the {asked:,} facts it was asked; {LEAST} of different subjects are the "
            "fewest to measure on. Give facts that it knows, as tables like those in presets/facts: --facts FOLDER"
        )
    requests = list(found.values())
    rng.shuffle(requests)
    return Known(tuple(requests), said, asked)


def split(requests: Sequence[EditRequest], edits: int = EDITS) -> tuple[Sequence[EditRequest], Sequence[EditRequest]]:
    """Return the requests that choose the layer, and those that measure."""
    few = min(CHOOSING, len(requests) // 4)
    return requests[:few], requests[few : few + edits]


def candidates(model: LanguageModel) -> tuple[int, ...]:
    """Return the layers to try: those below two thirds of the depth; where they are many, evenly around the default one."""
    below = max(1, model.n_layers * 2 // 3)
    default = Setup("rome").config(model).layers[0]
    step = 1 if below <= ALL_LAYERS else -(-below // SOME_LAYERS)
    return tuple(range(default % step, below, step))


def window(config: type, top: int) -> tuple[int, ...]:
    """Return the layers of a method that ends at a layer: as many as it spreads an edit over."""
    return tuple(range(max(0, top + 1 - getattr(config, "spread", 1)), top + 1))


def sentence(method: str, line: dict[str, Any]) -> str:
    """Return one method's rates as a sentence."""
    low, high = line["success_ci"]
    held, written = (round(own["success"] * line["n"]) for own in (line, line["generated"]))
    layers = f" at layer{'s' if len(line['layers']) > 1 else ''} {', '.join(map(str, line['layers']))}"
    text = f"{method.upper()}{layers if line['layers'] else ''}: {held} of {line['n']} edits hold ({low:.2f} to {high:.2f})"
    text += f", {written} in the answer that the model writes"
    if line["locality"] is not None:
        text += f"; {line['locality']:.0%} of what the model says about other subjects stays"
    return f"{text}.{' They fail often: choose other layers or settings.' if line['success'] < WEAK else ''}"


@dataclass(frozen=True)
class _Run:
    """What all measurements of one call share."""

    ground: Ground
    rows: MutableMapping[str, CaseRow]
    keep: Callable[[CaseRow], None]

    @property
    def model(self) -> LanguageModel:
        return self.ground.model

    def sweep(
        self, requests: Sequence[EditRequest], layers: Sequence[int], progress: Progress
    ) -> tuple[dict[str, Any], ...]:
        """Return a line a layer; without long contexts, which take most of a battery's time.

        And without key statistics: they may be there for some layers alone, and all are to be tried alike.
        """
        run = replace(self, ground=replace(self.ground, model=replace(self.model, statistics=()), passages=Passages((), ())))
        lines = []
        for number, layer in enumerate(layers):
            part = part_of(progress, number / len(layers), (number + 1) / len(layers))
            line = run.line(requests, Setup("rome", {"layers": (layer,)}), part)
            rates = [line[name] for name in JUDGED_BY if line[name] is not None]
            lines.append(line | {"score": sum(rates) / len(rates) if rates else 0.0})
        return tuple(lines)

    def statistics(self, setups: Sequence[Setup], folder: Path, progress: Progress) -> None:
        """Measure what methods cannot do without."""
        layers = {
            layer
            for setup in setups
            if methods.get(setup.method).needs_statistics
            for layer in methods.get(setup.method).layers_measured(setup.config(self.model))
        }
        missing = sorted(layers - set(statistics.measured_layers(self.model)))
        if missing:
            tokens = statistics.KEYS_PER_DIMENSION * self.model.d_ff
            measuring.collect(self.model, missing, None, tokens, folder, self.ground.seed, progress)

    def line(self, requests: Sequence[EditRequest], setup: Setup, progress: Progress) -> dict[str, Any]:
        """Return the line of one setup, from the rows that are there and those that are not."""
        cases = [self.ground.case(request) for request in requests]
        for row in robustness.measure(cases, setup, self.ground, self.rows, progress):
            self.rows[row.key] = row
            self.keep(row)
        wanted = robustness.keys(cases, setup, self.ground)
        return robustness.summary([self.rows[key] for (key,) in wanted], seed=self.ground.seed)


def _in_turn(facts: FactBase, rng: random.Random) -> list[Fact]:
    """Return all facts in random order, one of each relation after the other."""
    columns = [rng.sample(own, len(own)) for _, own in sorted(facts.by_relation.items())]
    rng.shuffle(columns)
    return [fact for row in zip_longest(*columns) for fact in row if fact is not None]


def _known_wordings(ground: Ground, chunk: Sequence[Fact], rng: random.Random) -> Iterator[tuple[Fact, str]]:
    """Yield the facts of a chunk whose object the model says, each with a wording in which it does, drawn at random."""
    asked = [(fact, wording) for fact in chunk for wording in ground.facts.relations[fact.relation].templates]
    if not asked:
        return
    scores = ground.model.score(
        [wording.replace("{}", fact.subject) for fact, wording in asked], [fact.object for fact, _ in asked]
    )
    known: dict[Fact, list[str]] = {}
    for (fact, wording), score in zip(asked, scores, strict=True):
        if score.hit:
            known.setdefault(fact, []).append(wording)
    for fact, wordings in known.items():
        yield fact, rng.choice(wordings)
