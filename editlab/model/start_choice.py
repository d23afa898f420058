"""Chooses what stands before a model's plain texts, by what it then knows.

A preset may name it. Else the tokenizer's own beginning counts where it has one, and otherwise the separators of documents,
each with and without a space before the first word, are tried on facts: once a checkpoint, and kept.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from transformers import PreTrainedTokenizerBase

from editlab import storage
from editlab.facts import FactBase
from editlab.model.start import NONE, Start

SEPARATORS = ("<|endoftext|>", "<|end_of_text|>", "<|begin_of_text|>", "<eos>", "</s>")
"""What is known to stand between the documents of a pretraining."""
ASKED = 96
"""Facts that each start is tried with, half of them in wordings that begin with the subject."""
SURE = 3.0
"""So many standard errors must facts be likelier behind a start than behind the best one before it, or it is not taken."""

LogP = Callable[[Start, Sequence[str], Sequence[str]], Sequence[float]]
"""The log p of each object behind its prompt, under a start."""


def candidates(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> tuple[list[Start], list[Start]]:
    """Return the starts to try: separators that the model has, with a space and without; and what is tried if none helps.

    A space comes first: behind it, the first word has the tokens that it has within a sentence.
    vocabulary: tokens that the model knows. A tokenizer may bring some beyond them.
    """
    own = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token)
    known = {text for text, number in tokenizer.get_vocab().items() if number < vocabulary}
    texts = [text for text in dict.fromkeys((*SEPARATORS, *own)) if text in known]
    others = [Start("\n", space=True), Start("\n"), Start("", space=True)]
    return [Start(text, space) for text in texts for space in (True, False)], others


def choose(tokenizer: PreTrainedTokenizerBase, vocabulary: int, facts: FactBase, log_p: LogP, seed: int = 0) -> Start:
    """Return the start behind which facts are likeliest; none where the tokenizer has its own or none is surely better.

    Facts are compared one by one: to take the place of the best start so far, a start must raise their mean log p by `SURE`
    standard errors. What no model learned as a separator, the end of a line or a space, is tried where no separator helps.
    """
    asked = _questions(facts, seed)
    if begins(tokenizer) or not asked:
        return NONE
    prompts, objects = [prompt for prompt, _ in asked], [name for _, name in asked]
    best, known = NONE, log_p(NONE, prompts, objects)
    for starts in candidates(tokenizer, vocabulary):
        if best != NONE:
            break
        for start in starts:
            found = log_p(start, prompts, objects)
            gains = [now - before for now, before in zip(found, known, strict=True)]
            if mean(gains) > SURE * stdev(gains) / math.sqrt(len(gains)):
                best, known = start, found
    return best


def begins(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the tokenizer puts a token before every text by itself."""
    ids = tokenizer("a")["input_ids"]
    return bool(ids) and ids[0] in tokenizer.all_special_ids


def named(preset: dict[str, Any]) -> Start | None:
    """Return the start that a preset names, or None."""
    if not {"start", "leading_space"} & preset.keys():
        return None
    return Start(preset.get("start", ""), preset.get("leading_space", False))


def kept(path: Path) -> Start | None:
    """Return the start that was once chosen, or None."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Start(found["start"], found["leading_space"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(path: Path, start: Start) -> None:
    """Keep a choice. A disk that refuses is no reason to stop: it is then made again the next time."""
    try:
        storage.make_folder(path.parent)
        storage.write(path, json.dumps({"start": start.text, "leading_space": start.space}).encode())
    except OSError:
        return


def _questions(facts: FactBase, seed: int) -> list[tuple[str, str]]:
    """Return prompts and objects, one relation after the other: as many that begin with the subject as that do not."""
    drawn = random.Random(seed).sample(facts.facts, len(facts.facts))
    found: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for fact in drawn:
        for first, own in found.items():
            template = next((t for t in facts.relations[fact.relation].templates if t.startswith("{}") == first), None)
            if template and len(own) < ASKED // 2:
                own.append((template.replace("{}", fact.subject), fact.object))
    return found[True] + found[False]
