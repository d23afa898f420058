"""Compare with EasyEdit's MEMIT and AlphaEdit in one process: `python -m tools.beside_memit edits CHECKOUT MODEL --rows R`.

CHECKOUT is a folder with github.com/zjunlp/EasyEdit, whose editors are run as `tools.easyedit` says. Facts that the model
knows are edited one by one and in batches: by EasyEdit, by ours with its contexts, steps and regularisation, and by ours as
its preset has it, in turn. A row a batch is added to R; `table` instead of `edits` prints what R holds as Markdown.
"""

from __future__ import annotations

import argparse
import json
import statistics as middle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from editlab import EditRequest, methods
from editlab.bench.robustness import known
from editlab.facts import read_cases
from editlab.methods import alphaedit
from editlab.methods._metric import Metric
from editlab.model import LanguageModel
from editlab.patches import BASE, Dense, LowRank
from tools import easyedit
from tools.beside_easyedit import EASY, NEVER, PRESET, SAME, Row, gains, seconds, timed
from tools.starts import changes

EDITORS: dict[str, type[easyedit.Memit]] = {"memit": easyedit.Memit, "alphaedit": easyedit.AlphaEdit}
STOP_BELOW = 5e-2
"""The loss below which EasyEdit ends its search; it stands in its code."""
Updates = Sequence[LowRank | Dense]
Edit = Callable[[Sequence[EditRequest]], Updates]


def main() -> None:
    """Edit side by side and keep the rows, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("edits", "table"))
    parser.add_argument("checkout", type=Path, nargs="?")
    parser.add_argument("model", nargs="?", help="a folder with a Llama in safetensors")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--cases", type=Path, help="a file of cases; those whose true object the model knows are edited")
    parser.add_argument("--methods", default="memit,alphaedit")
    parser.add_argument("--sizes", default="1,1,1,1,10", help="how many edits each batch has")
    parser.add_argument("--ours", default="100", help="sizes of batches that ours edits alone")
    parser.add_argument("--set", default="", help="settings of EasyEdit's other than those it ships, as v_lr=30.0")
    given = parser.parse_args()
    if given.what == "table":
        rows = [json.loads(line) for line in given.rows.read_text(encoding="utf-8").splitlines()]
        for method in dict.fromkeys(row["method"] for row in rows):
            _table(method, [row for row in rows if row["method"] == method])
        return
    model = LanguageModel.load(given.model, dtype="float32")
    easy = easyedit.EasyEdit(given.checkout, model, str(model.folder))
    requests = [case.request for case in known(model, read_cases(given.cases, []))]
    for method in given.methods.split(","):
        ways = _ways(easy, method, changes(given.set))
        for row in _rows(model, ways, requests, _numbers(given.sizes), _numbers(given.ours)):
            with given.rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"method": method, **row}) + "\n")


def _ways(easy: easyedit.EasyEdit, method: str, others: dict[str, float]) -> dict[str, Edit]:
    """Return the ways to edit: EasyEdit's, ours alike, ours by its preset."""
    model, preset = easy.model, methods.config_for(method, easy.model)
    methods.get(method).prepare(model, preset)  # the model writes its contexts once
    own = {"mom2_update_weight": preset.preserved} if method == "memit" else {}
    editor = EDITORS[method](easy, preset.layers, **own, **others)
    alike = replace(model, memo=model.memo | {"contexts 10 5 0": editor.contexts})
    there = editor.given
    same = replace(
        preset,
        contexts=len(editor.contexts),
        steps=there.v_num_grad_steps,
        learning_rate=there.v_lr,
        weight_decay=there.v_weight_decay,
        clamp=there.clamp_norm_factor,
        kl=there.kl_factor,
        stop_below=STOP_BELOW,
        plain_below=NEVER,
    )
    ours = methods.get(method)
    like = Absolute(editor) if isinstance(editor, easyedit.AlphaEdit) else ours
    return {
        EASY: editor.edit,
        SAME: lambda requests: like.edit(alike, requests, BASE, same).patches,
        PRESET: lambda requests: ours.edit(model, requests, BASE, preset).patches,
    }


@dataclass(frozen=True)
class Matrix:
    """A projection as EasyEdit has it, as a matrix."""

    P: Float[Tensor, "d_ff d_ff"]

    def whiten(self, keys: Float[Tensor, "n d_ff"]) -> Float[Tensor, "n d_ff"]:
        """Return P k for each row."""
        return keys.float() @ self.P.T


@dataclass(frozen=True)
class Absolute(alphaedit.AlphaEdit):
    """Our AlphaEdit with EasyEdit's projection and ridge, which are absolute numbers there."""

    editor: easyedit.AlphaEdit

    def metric(self, model: LanguageModel, layer: int, K: Float[Tensor, "d_ff n"], config: Any) -> tuple[Metric, float]:
        """Return EasyEdit's projection and its ridge."""
        return Matrix(self.editor.projections[self.editor.given.layers.index(layer)]), self.editor.given.L2


def _rows(
    model: LanguageModel,
    ways: dict[str, Edit],
    requests: Sequence[EditRequest],
    sizes: Sequence[int],
    ours: Sequence[int],
) -> Iterator[Row]:
    """Yield what the edits of each batch take and reach, and how far the updates are from EasyEdit's."""
    taken = 0
    for size in sizes:
        batch = [requests[(taken + number) % len(requests)] for number in range(size)]
        taken += size
        yield _row(model, ways, batch)
    for size in ours:
        yield _row(model, {name: edit for name, edit in ways.items() if name != EASY}, requests[:size])


def _row(model: LanguageModel, ways: dict[str, Edit], batch: Sequence[EditRequest]) -> Row:
    row: Row = {"size": len(batch)}
    theirs: Updates | None = None
    for name, edit in ways.items():
        updates, row[name] = timed(lambda edit=edit: edit(batch))
        theirs = updates if name == EASY else theirs
        view = BASE.with_patches(updates)
        said = model.score([one.text for one in batch], [one.target_new for one in batch], view)
        row[name]["hits"] = sum(score.hit for score in said) / len(batch)
        if theirs is not None:
            row[name]["apart"] = [_apart(own, other) for own, other in zip(updates, theirs, strict=True)]
    return row


def _apart(update: LowRank | Dense, reference: LowRank | Dense) -> float:
    """Return |update - reference| / |reference|."""
    return float((update.dense() - reference.dense()).norm() / reference.dense().norm())


def _table(method: str, rows: Sequence[Row]) -> None:
    """Print what the edits of one method took and reached."""
    print(f"\n{method}\n")
    print("| edits at once | batches | way | seconds | of the processor | EasyEdit's / this | hit | update |")
    print("|---" * 8 + "|")
    for size in sorted({row["size"] for row in rows}):
        for name in (EASY, SAME, PRESET):
            own = [row for row in rows if row["size"] == size and name in row]
            if not own:
                continue
            against = gains(own, (EASY,), name) if all(EASY in row for row in own) else ""
            apart = [max(row[name]["apart"]) for row in own if "apart" in row[name]]
            cells = [*seconds(own, name), against, f"{middle.mean(row[name]['hits'] for row in own):.2f}"]
            print(
                f"| {size} | {len(own)} | {name} | {' | '.join(cells)} | {f'{middle.median(apart):.0e}' if apart else ''} |"
            )


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


if __name__ == "__main__":
    main()
