"""Whether the memory plan is right: what loading, statistics, an edit and a battery really take, beside what was planned.

On a CPU the process's largest resident memory is read, less what it held before; so it runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from editlab import methods
from editlab.answers import ViewName
from editlab.bench.speed import requests
from editlab.bench.timing import held, peak
from editlab.model import LanguageModel, Plan, measuring, memory, statistics
from editlab.patches import BASE, View
from editlab.probes import Ground, ask
from editlab.work import Progress, no_progress

STEPS = 3
"""The peak of an edit does not depend on how many there are."""
PROBES = 14
"""The longest ones: together they fill a forward, and more of them would only take longer."""
TOKENS = 600


def measure(
    plan: Plan,
    load: Callable[[], LanguageModel],
    ground_of: Callable[[LanguageModel], Ground],
    progress: Progress = no_progress,
) -> Iterator[dict[str, Any]]:
    """Yield a row a stage: bytes `planned` and `measured` above those before, and their `ratio`; last, all stages.

    Memory is given back between the stages, as the app does it between jobs.
    """
    device = torch.device(plan.device)
    before, largest = held(device), 0
    kept: dict[str, Any] = {}

    def stage(number: int, what: str, planned: int, work: Callable[[], None]) -> dict[str, Any]:
        nonlocal largest
        progress(number / 4, f"memory: {what}")
        memory.give_back()
        reached = (peak(work, device) or 0) - before
        largest = max(largest, reached)
        return {"what": what, "planned": planned, "measured": reached, "ratio": planned / reached}

    yield stage(0, "load", plan.weights, lambda: kept.update(model=load()))
    model: LanguageModel = kept["model"]
    ground = ground_of(model)
    standing = plan.weights + plan.statistics
    config = methods.config_for("rome", model, steps=STEPS, stop_below=0.0, seed=ground.seed)
    config = methods.config_for("rome", model, steps=STEPS, stop_below=0.0, seed=ground.seed, layers=config.layers[:1])
    request = requests(ground, 1)[0]
    with TemporaryDirectory() as folder:
        model.statistics = (Path(folder),)
        text = " ".join(ground.passages.inside)
        measuring.collect(model, config.layers, text, TOKENS, Path(folder), ground.seed)
        yield stage(1, "statistics", standing, lambda: statistics.find(model, config.layers[0]))
        edited = methods.get("rome").edit(model, [request], BASE, config)
        yield stage(2, "edit", standing + plan.edit, lambda: methods.get("rome").edit(model, [request], BASE, config))
    asked = ground.battery(ground.case(request))
    asked = sorted(asked, key=lambda probe: -len(probe.text))[:PROBES]
    views = {ViewName.BASE: BASE, ViewName.EDITED: View.base().with_patches(edited)}
    yield stage(3, "battery", standing + plan.kept + plan.cache + plan.batch, lambda: ask(model, request, asked, views))
    yield {"what": "all", "planned": plan.total, "measured": largest, "ratio": plan.total / largest}
