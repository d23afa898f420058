"""Could a spectrum show an edit? python -m tools.threshold MODEL --data FILE [--methods rome,memit] [--limit 6]

Each edit, made alone, is held against the size at which an update of low rank leaves the bulk of its layer's spectrum, in
the units in which `editlab.forensics` looks; and against the directions that its layers share with one another and with no
other layer. One JSON object an edit and layer. `--edits` is a folder that keeps the edits; docs/results/forensics-blind.md
has the figures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from editlab import methods
from editlab.bench.forensics import AT_ONCE
from editlab.bench.robustness import known
from editlab.facts import read_cases
from editlab.forensics.spectrum import Keys
from editlab.methods.mask import Lesson, make_edits
from editlab.model import LanguageModel
from editlab.patches import LowRank
from editlab.settings import Settings

APART = 16
"""The largest singular values, which are no bulk: what the model has of its own."""
EDGE = 8
"""The edge of the bulk is extrapolated by the mean distance between so many of its largest values."""


def threshold(values: Float[Tensor, " n"], columns: int, apart: int = APART) -> float:
    """Return the least singular value of an update of rank one that leaves the bulk of a matrix `[n, columns]`.

    That is D(b)^(-1/2) with D of Benaych-Georges and Nadakuditi 2012 (doi 10.1016/j.jmva.2012.04.019) at the edge b of the
    bulk: of all singular values, which descend, but the first few.
    """
    bulk = values.double()[apart:]
    edge = bulk[0] + (bulk[0] - bulk[EDGE]) / EDGE
    terms = edge / (edge**2 - bulk**2)
    return float((terms.mean() * (terms.sum() + (columns - len(values)) / edge) / columns) ** -0.5)


def in_spectrum(W: Float[Tensor, "d_model d_ff"], patch: LowRank, L: Float[Tensor, "d_ff d_ff"]) -> dict[str, float]:
    """Return the update's size in units of Y, the threshold, and the direction of the edited Y that is most like it."""
    edited = torch.linalg.solve_triangular(L, (W + patch.B @ patch.A).T, upper=False).T
    lengths = edited.norm(dim=1, keepdim=True)
    update = patch.B / lengths @ torch.linalg.solve_triangular(L, patch.A.T, upper=False).T
    clean = torch.linalg.solve_triangular(L, W.T, upper=False).T
    left, sizes, _ = torch.linalg.svd(update, full_matrices=False)
    directions = torch.linalg.eigh(edited / lengths @ (edited / lengths).T).eigenvectors.flip(1)
    alike = (directions.T @ left[:, 0]).abs()
    return {
        "size": float(sizes[0]),
        "threshold": threshold(torch.linalg.svdvals(clean / clean.norm(dim=1, keepdim=True)), W.shape[1]),
        "place": int(alike.argmax()) + 1,
        "cosine": float(alike.max()),
    }


def shared(own: Float[Tensor, "d_model d_model"], others: Float[Tensor, "d_model d_model"]) -> tuple[Tensor, Tensor]:
    """Return the largest generalised eigenvalues of two sums of W C^-1 W^T, and what their vectors write, unit length."""
    ridge = 1e-3 * others.diagonal().mean() * torch.eye(len(others), dtype=others.dtype)
    factor = torch.linalg.cholesky(others + ridge)
    half = torch.linalg.solve_triangular(factor, own, upper=False)
    values, vectors = torch.linalg.eigh(torch.linalg.solve_triangular(factor, half.T, upper=False))
    writes = factor @ vectors.flip(1)[:, :3]
    return values.flip(0)[:3], writes / writes.norm(dim=0)


def _together(model: LanguageModel, patches: tuple[LowRank, ...], keys: Keys, moments: dict[int, Tensor]) -> dict:
    """Return what the edited layers share, beside what they shared before, and how like the value it is."""
    layers = [patch.layer for patch in patches]
    others = sum(moments[layer] for layer in moments if layer not in layers)
    edited = {p.layer: _moment(model.weight(p.layer) + p.B @ p.A, keys.factor(p.layer)) for p in patches}
    value = sum(patch.B[:, 0] / patch.B[:, 0].norm() for patch in patches).double()
    values, writes = shared(sum(edited.values()), others)
    before, _ = shared(sum(moments[layer] for layer in layers), others)
    unit = [patch.B[:, 0] / patch.B[:, 0].norm() for patch in patches]
    return {
        "eigenvalues": values.tolist(),
        "unedited": before.tolist(),
        "cosines": (writes.T @ (value / value.norm())).abs().tolist(),
        "of_neighbours": [float(one @ next_) for one, next_ in pairwise(unit)],
    }


def _moment(W: Float[Tensor, "d_model d_ff"], L: Float[Tensor, "d_ff d_ff"]) -> Float[Tensor, "d_model d_model"]:
    """Return W C^-1 W^T with a mean diagonal of 1."""
    whitened = torch.linalg.solve_triangular(L, W.T, upper=False)
    moment = (whitened.T @ whitened).double()
    return moment / moment.diagonal().mean()


@torch.no_grad()
def rows(model: LanguageModel, data: Path, names: list[str], limit: int, folder: Path | None) -> Iterator[dict]:
    """Yield what is found of each edit."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((Settings().presets / "texts").glob("*.txt"))]
    keys = Keys.measure(model, texts, keep=True)
    moments = {layer: _moment(model.weight(layer), keys.factor(layer)) for layer in range(model.n_layers)}
    lessons = [Lesson(case.request) for case in known(model, read_cases(data, []))]
    for name in names:
        chunks = [lessons[start : start + AT_ONCE] for start in range(0, limit, AT_ONCE)]  # as `bench forensics` keeps them
        how, config = methods.get(name), methods.config_for(name, model)
        edits = [edit for chunk in chunks for edit in make_edits(model, chunk, how, config, folder)][:limit]
        for edit in (edit for edit in edits if not isinstance(edit, str)):
            about = {"method": name, "subject": edit.request.subject}
            for patch in edit.patches:
                yield (
                    about | {"layer": patch.layer} | in_spectrum(model.weight(patch.layer), patch, keys.factor(patch.layer))
                )
            yield about | _together(model, edit.patches, keys, moments)


def main() -> None:
    """Read the arguments and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True, help="cases, of which those count that the model knows")
    parser.add_argument("--methods", default="rome,memit")
    parser.add_argument("--limit", type=int, default=6)
    parser.add_argument("--edits", type=Path, help="where edits are kept: the folder of `bench forensics`, say")
    given = parser.parse_args()
    for row in rows(LanguageModel.load(given.model), given.data, given.methods.split(","), given.limit, given.edits):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
