"""At which probes would a note stand, and a codebook answer? By the share of a name that must be heard, and by the radius.

Beside the letters of the name, the model's own states are tried as the note's gate: a probe's last token, or the mean of its
tokens, against that of the edit's own prompt, behind a block; the threshold at which as many neighbours pass as with the
letters. Nothing is edited. Run: python -m tools.what_answers --data rep_valid.json

With --others: how many questions about other subjects get a note, where the notes of all cases lie in one view.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from editlab import methods
from editlab.facts import FactBase, read_cases
from editlab.facts.retrieval import Names
from editlab.model import LanguageModel
from editlab.model.overlay import capturing_output
from editlab.model.tokens import Located
from editlab.probes import Ground, Probe, passages
from editlab.settings import Settings

HEARD = (0.6, 0.7, 0.75, 0.8, 0.9)
RADII = (0.01, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 1.0)
OTHERS = 400
"""Questions about other subjects."""
LONG_CASES = 8
"""Cases whose long contexts the model reads for their keys; the letters are asked of all."""


def main(
    data: Annotated[Path, typer.Option(help="Cases, in any form that apply reads.")],
    name: Annotated[str, typer.Option("--model", help="The model.")] = "atlas",
    limit: Annotated[int, typer.Option(min=1, help="Only the first so many cases.")] = 60,
    others: Annotated[bool, typer.Option("--others", help="Only ask about other subjects, among all notes.")] = False,
) -> None:
    """Print a table for each: rows by threshold, columns by kind of probe, cells the share of the probes."""
    settings = Settings()
    model = LanguageModel.load(name, settings=settings)
    ground = Ground(model, FactBase.load(settings.presets / "facts"), passages(model, settings.presets / "texts"))
    cases = read_cases(data)[:limit]
    if others:
        among([case.request.subject for case in cases], ground.facts)
        return
    batteries = [ground.battery(case) for case in cases]
    letters = [
        [Names([ground.facts.names_of(case.request.subject)]).heard(probe.text).get(0, 0.0) for probe in probes]
        for case, probes in zip(cases, batteries, strict=True)
    ]
    table("Share of the name that is heard", batteries, letters, HEARD)
    chosen = methods.config_for("note", model).heard
    passed = sum(share >= chosen for share in of_kind("locality", batteries, letters))
    short = [[probe for probe in own if probe.kind != "long"] for own in batteries]
    for layer in (1, model.n_layers // 2, model.n_layers - 2):
        for how in ("last", "mean"):
            asked = [[case.request.text, *(p.text for p in own)] for case, own in zip(cases, short, strict=True)]
            near = [states(model, texts, layer, how) for texts in asked]
            middle = torch.cat(near).mean(0)
            alike = [torch.cosine_similarity(own[1:] - middle, own[:1] - middle).tolist() for own in near]
            at = sorted(of_kind("locality", short, alike))[-max(1, passed)]
            table(f"States behind block {layer}, {how} token", short, alike, (at,))
    (layer,) = methods.config_for("grace", model).layers
    batteries = [own if n < LONG_CASES else short[n] for n, own in enumerate(batteries)]
    apart, lengths = [], []
    for case, own in zip(cases, batteries, strict=True):
        rows = [model.tok.encode(text) for text in (case.request.text, *(p.text for p in own))]
        keys = model.keys([Located(tuple(ids), len(ids) - 1) for ids in rows], [layer])[layer]
        lengths.append(keys[0].norm().item())
        apart.append([-value for value in ((keys[1:] - keys[0]).norm(dim=1) / keys[0].norm()).tolist()])
    print(f"A key at layer {layer} is {min(lengths):.0f} to {max(lengths):.0f} long.")
    table(f"Radius at layer {layer}, in lengths of the key", batteries, apart, [-radius for radius in RADII])


def among(subjects: Sequence[str], facts: FactBase) -> None:
    """Print at how many questions about subjects that have no note one of the notes of the others would stand."""
    own = set(subjects)
    asked = [fact for fact in facts.facts if fact.subject not in own]
    asked = random.Random(0).sample(asked, min(OTHERS, len(asked)))
    names = Names([facts.names_of(subject) for subject in own])
    found = [names.heard(facts.relations[f.relation].templates[0].replace("{}", f.subject)) for f in asked]
    for level in HEARD:
        opened = sum(max(shares.values(), default=0.0) >= level for shares in found)
        print(f"{level:.2f}: {opened} of {len(asked)} questions, among the notes about {len(own):,} subjects")


def of_kind(kind: str, batteries: Sequence[Sequence[Probe]], found: Sequence[Sequence[float]]) -> list[float]:
    """Return what was found at the probes of a kind."""
    pairs = zip(batteries, found, strict=True)
    return [value for probes, own in pairs for probe, value in zip(probes, own, strict=True) if probe.kind == kind]


def table(
    title: str, batteries: Sequence[Sequence[Probe]], found: Sequence[Sequence[float]], levels: Sequence[float]
) -> None:
    """Print of each kind of probe the share at or above each level."""
    named = dict.fromkeys(probe.kind for probes in batteries for probe in probes)
    kinds = {kind: of_kind(kind, batteries, found) for kind in named}
    print(f"\n| {title} | {' | '.join(kinds)} |\n|---|{'---|' * len(kinds)}")
    for level in levels:
        cells = [f"{sum(value >= level for value in values) / len(values):.3f}" for values in kinds.values()]
        print(f"| {abs(level):.2f} | {' | '.join(cells)} |")


@torch.no_grad()
def states(model: LanguageModel, texts: Sequence[str], layer: int, how: str) -> Tensor:
    """Return a vector of unit length a text."""
    batch = model.tokens(texts)
    with capturing_output(model.arch.block_list(model.hf)[layer], layer) as found:
        model.hf.base_model(input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False)
    hidden = torch.nn.functional.normalize(found[layer].float(), dim=-1)
    if how == "last":
        return hidden[torch.arange(len(texts)), batch.last]
    return (hidden * batch.mask[..., None]).sum(1) / batch.mask.sum(1, keepdim=True)


if __name__ == "__main__":
    typer.run(main)
