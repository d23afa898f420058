"""What precision costs: the same edits on the same model in float32, bfloat16, 8 and 4 bit.

Each edit is compared with float32's by the cosine of what it writes, and asked its battery on the model that it was made on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from editlab import methods
from editlab.bench import robustness
from editlab.bench.editing import Setup
from editlab.facts import EditCase
from editlab.model import LanguageModel
from editlab.model.weights import Quantization, bytes_of
from editlab.probes import Ground
from editlab.work import Progress, no_progress


@dataclass(frozen=True)
class Precision:
    """How a model is held: `dtype` of activations, and `quantization` of the weights."""

    name: str
    dtype: str
    quantization: Quantization = "none"


PRECISIONS = (
    Precision("float32", "float32"),
    Precision("bfloat16", "bfloat16"),
    Precision("8 bit", "float32", "8bit"),
    Precision("4 bit", "float32", "4bit"),
)


def measure(
    load: Callable[[Precision], LanguageModel],
    cases: Sequence[EditCase],
    method: str,
    ground_of: Callable[[LanguageModel], Ground],
    progress: Progress = no_progress,
) -> Iterator[dict[str, Any]]:
    """Yield a row a precision: `robustness.summary`, mean and least `cosine` of the edits to float32's, bytes of weights."""
    exact: dict[str, Tensor] = {}
    for number, precision in enumerate(PRECISIONS):
        model, setup = load(precision), Setup(method)

        def report(fraction: float, text: str, number: int = number, name: str = precision.name) -> None:
            progress((number + fraction) / len(PRECISIONS), f"{name}: {text}")

        report(0.0, "edits")
        written = _written(model, cases, method, setup)
        exact = exact or written
        ground = ground_of(model)
        rows = list(robustness.measure([ground.with_facts(case) for case in cases], setup, ground, progress=report))
        alike = [float(cosine_similarity(written[case], exact[case], dim=0)) for case in written.keys() & exact.keys()]
        yield {
            "precision": precision.name,
            "bytes": bytes_of(model.hf),
            "cosine": sum(alike) / len(alike),
            "least_cosine": min(alike),
            **robustness.summary(rows),
        }
        del model


def _written(model: LanguageModel, cases: Sequence[EditCase], method: str, setup: Setup) -> dict[str, Tensor]:
    """Return what each edit adds to its layers, as one vector."""
    found = {}
    for case in cases:
        try:
            edited = methods.get(method).edit(model, [case.request], config=setup.config(model))
        except robustness.CASE_FAULTS:
            continue
        found[case.id] = torch.cat([patch.dense().flatten().cpu() for patch in edited])
    return found
