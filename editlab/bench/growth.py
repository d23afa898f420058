"""How an edit's time grows with the model and with what is asked: one thing at a time is made larger, the others stay.

Models are Llamas of random weights, since time does not depend on their values. The slope is that of log seconds over log
size between one size and the next: 1 means in proportion, 0 not at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerBase

from editlab import methods
from editlab.bench.timing import Work, in_turn
from editlab.facts import EditRequest
from editlab.methods.rome import RomeConfig
from editlab.model import LanguageModel
from editlab.work import Progress, no_progress

STEPS = 10
HEADS = 4
SUBJECTS = ("Slovenia", "Einstein", "Japan", "Hamlet", "Paris", "Mozart", "Rome", "Peru")


@dataclass(frozen=True)
class Size:
    """One edit to be timed: a model of so many layers and so wide, so many words behind the subject, so many requests."""

    layers: int = 8
    width: int = 256
    words: int = 4
    requests: int = 1


SIZES: dict[str, tuple[int, ...]] = {
    "layers": (4, 8, 16, 32),
    "width": (128, 256, 512, 1024),
    "words": (4, 16, 64, 128),
    "requests": (1, 4, 16, 64),
}
"""What is made larger, and through which sizes."""


def measure(
    tokenizer: PreTrainedTokenizerBase,
    device: torch.device,
    rounds: int = 3,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Iterator[dict[str, Any]]:
    """Yield a row a size: `what` grows, `size`, `seconds`, `ratio` to the smallest, and `slope` from the one before.

    All sizes of one thing are timed in turn, so that a busy machine slows them alike.
    """
    for number, (what, sizes) in enumerate(SIZES.items()):
        progress(number / len(SIZES), f"growth: {what}")
        works: dict[int, Work] = {}
        for size in sizes:
            chosen = replace(Size(), **{what: size})
            model = _model(chosen, tokenizer, device, seed)
            asked, config = _requests(chosen), _config(model, seed)
            methods.get("rome").edit(model, asked[:1], config=config)  # writes the contexts
            works[size] = lambda model=model, asked=asked, config=config: methods.get("rome").edit(
                model, asked, config=config
            )
        yield from compare(what, works, rounds, device)


def compare(what: str, works: Mapping[int, Work], rounds: int, device: torch.device) -> Iterator[dict[str, Any]]:
    """Time works by their sizes, smallest first, and yield a row a size: see `measure`."""
    times = in_turn({str(size): work for size, work in works.items()}, rounds, device)
    sizes, seconds = list(works), [times[str(size)].seconds for size in works]
    for place, size in enumerate(sizes):
        yield {
            "what": what,
            "size": size,
            "seconds": seconds[place],
            "ratio": times[str(size)].ratio_to(times[str(sizes[0])]),
            "slope": _slope(sizes[place - 1], size, seconds[place - 1], seconds[place]) if place else None,
        }


def _model(size: Size, tokenizer: PreTrainedTokenizerBase, device: torch.device, seed: int) -> LanguageModel:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=4 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=1024,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LanguageModel(AutoModelForCausalLM.from_config(config).to(device), tokenizer, name=str(size))


def _requests(size: Size) -> list[EditRequest]:
    behind = " ".join(["and then it is said of it that"] * 32).split()[: size.words]
    return [
        EditRequest(f"{{}} {' '.join(behind)} number {number} is", SUBJECTS[number % len(SUBJECTS)], "Europe")
        for number in range(size.requests)
    ]


def _config(model: LanguageModel, seed: int) -> RomeConfig:
    return methods.config_for("rome", model, layers=(1,), steps=STEPS, stop_below=0.0, seed=seed)


def _slope(before: float, after: float, seconds_before: float, seconds_after: float) -> float:
    return math.log(seconds_after / seconds_before) / math.log(after / before)
