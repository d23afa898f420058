"""What no adapter can hold: pathways (REP) and masks, as safetensors, with a short loader that needs no EditLab.

The edits lie beside them, so that the folder is all that a plain transformers model needs to answer as the view does.
"""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from editlab.exports import load
from editlab.exports.card import Card
from editlab.exports.entry import refuse_beside
from editlab.exports.format import Export, Format
from editlab.exports.notes import quantised, started
from editlab.model import LanguageModel
from editlab.patches import View
from editlab.wording import noop

FORMAT = Format(
    "tensors",
    noop("edits, pathways (REP) and masks as tensors, with a short loader"),
    noop("Edits, REP's pathways and masks, with a loader of a few lines that needs only torch and transformers."),
    lambda export, folder, progress, cancel: _write(export, folder),
    Card("`load.py` beside this card applies edits, masks and pathways to the base model: `attach(model)`."),
    (quantised, started),
)


def _write(export: Export, folder: Path) -> None:
    refuse_beside(export.entries, noop("The folder of tensors"))
    write(export.model, export.view, folder)


def write(model: LanguageModel, view: View, folder: Path) -> None:
    """Write what a view lays at each layer, and the loader. A tensor is called `module/number/part`."""
    files: dict[str, dict[str, Tensor]] = {"edits": {}, "pathways": {}, "masks": {}}
    for layer, laid in view.laid.items():
        name = model.arch.name_of(layer)
        edits = {part: tensor for part in "ABD" if (tensor := getattr(laid, part)) is not None}
        files["edits"] |= {f"{name}/0/{part}": tensor for part, tensor in edits.items()}
        for number, pathway in enumerate(laid.pathways):
            parts = {own.name: getattr(pathway, own.name) for own in fields(pathway)}
            parts = {part: value for part, value in parts.items() if torch.is_tensor(value)}
            parts["threshold"] = torch.tensor(laid.threshold)
            files["pathways"] |= {f"{name}/{number}/{part}": tensor for part, tensor in parts.items()}
        if laid.kept is not None:
            files["masks"][f"{name}/0/kept"] = laid.kept
    for name, tensors in files.items():
        if tensors:
            save_file({key: tensor.cpu().contiguous() for key, tensor in tensors.items()}, folder / f"{name}.safetensors")
    shutil.copyfile(load.__file__, folder / "load.py")
