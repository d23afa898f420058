"""The model with its edits written into the weights, as transformers saves and loads any model.

Only the matrices that are edited are copied; all others are written as they lie in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from editlab.errors import BadRequest
from editlab.exports import notes
from editlab.exports.card import Card
from editlab.exports.entry import Entry, edited
from editlab.exports.format import STOPPED, Format
from editlab.model import LanguageModel
from editlab.wording import noop
from editlab.work import Cancel, Progress, stop_if

SHARD = "4GB"
FORMAT = Format(
    "checkpoint",
    noop("the model with the edits in its weights, for transformers"),
    noop("The model with the edits in its weights, for transformers. A checkpoint cannot hold REP or a mask."),
    lambda export, folder, progress, cancel: write(export.model, export.entries, folder, progress, cancel),
    Card(
        "`AutoModelForCausalLM.from_pretrained(folder)` loads the model with the edits in its weights.",
        "transformers",
        "finetune",
    ),
    (notes.no_pathways("A checkpoint"), notes.no_mask("A checkpoint"), notes.rounded, notes.started),
    in_demo=False,
)


@torch.no_grad()
def write(model: LanguageModel, entries: Sequence[Entry], folder: Path, progress: Progress, cancel: Cancel) -> None:
    """Write weights, configuration and tokenizer into a folder. Raises `BadRequest` for a quantised model, `Cancelled`."""
    if model.quantization != "none":
        raise BadRequest(
            f"The model is held in {model.quantization}, into which no edit can be written. Make the edits over the model "
            "without quantisation (--quantization none) and export there, or export a PEFT adapter."
        )
    weights = model.hf.state_dict()
    for layer, laid in edited(entries).laid.items():
        name = f"{model.arch.name_of(layer)}.weight"
        W = model.weight(layer)
        W = W + laid.dense().to(W.device)
        weights[name] = (W.T if model.arch.transposed else W).to(weights[name].dtype).contiguous()
    with _by_shard(progress, cancel):
        model.hf.save_pretrained(folder, state_dict=weights, max_shard_size=SHARD)
    model.tokenizer.save_pretrained(folder)


@contextmanager
def _by_shard(progress: Progress, cancel: Cancel) -> Iterator[None]:
    """Report every file that transformers writes, and stop there if asked; nothing is drawn on the terminal."""

    def counted(_factory: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Any]:
        items = list(args[0])
        for number, item in enumerate(items):
            stop_if(cancel, STOPPED)
            progress(number / len(items), f"writing weights: file {number + 1} of {len(items)}")
            yield item

    before = logging.set_tqdm_hook(counted)
    try:
        yield
    finally:
        logging.set_tqdm_hook(before)
