"""The stream of text that Atlas reads: facts said in many ways, between them prose, packed without a seam.

A sequence is 512 tokens of unrelated items in a row. So a fact is asked after hundreds of tokens that have nothing to do
with it, and holds there. Facts that the model still gets wrong are drawn more often. Batch `n` depends on the seed, on
`n` and on those difficulties alone, so that a run can be stopped and resumed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Encoding, Tokenizer

from editlab.atlas.lessons import Lesson

NO_FACT = -1


@dataclass(frozen=True)
class Mixture:
    """How often each kind of item is drawn, and how much each kind of token counts in the loss."""

    fact: float = 0.87
    identity: float = 0.10
    prose: float = 0.03
    noise: float = 0.03
    bos: float = 0.2
    alias_share: float = 0.5
    object_weight: float = 4.0
    prompt_weight: float = 0.4
    label_share: float = 0.4375


@dataclass(frozen=True)
class Batch:
    """Packed token ids and those of them that the loss looks at.

    `ids` `[rows, length + 1]`; `labels` `[n]`: positions in the flattened `ids[:, 1:]`, in order; `weights` `[n]`: how much
    each counts; `lessons` `[n]`: the lesson whose object it belongs to, or `NO_FACT`.
    """

    ids: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    lessons: np.ndarray


class Corpus:
    """Draws batches of packed items."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        lessons: Sequence[Lesson],
        identities: Sequence[tuple[str, str]],
        paragraphs: Sequence[str],
        mixture: Mixture,
        seed: int,
    ) -> None:
        self.tokenizer, self.lessons, self.identities = tokenizer, lessons, identities
        self.paragraphs, self.mixture, self.seed = paragraphs, mixture, seed
        self.bos = tokenizer.token_to_id("<s>")

    def batch(self, step: int, rows: int, length: int, difficulty: np.ndarray) -> Batch:
        """Return batch `step`. `difficulty` holds each lesson's running loss; lessons are drawn in proportion to it."""
        rng = random.Random(f"{self.seed}/{step}")
        need = rows * (length + 1)
        chances = difficulty / difficulty.sum()
        ids: list[int] = []
        weights: list[float] = []
        owners: list[int] = []
        while len(ids) < need:
            drawn = np.random.default_rng([self.seed, step, len(ids)]).choice(len(self.lessons), 256, p=chances)
            items = [self._item(rng, int(lesson)) for lesson in drawn]
            encodings = self.tokenizer.encode_batch([text for text, _, _ in items], add_special_tokens=False)
            for (_, split, lesson), encoding in zip(items, encodings, strict=True):
                if rng.random() < self.mixture.bos:
                    ids.append(self.bos), weights.append(0.0), owners.append(NO_FACT)
                self._append(encoding, split, lesson, ids, weights, owners)
                if rng.random() < self.mixture.noise:
                    noise = [rng.randrange(3, self.tokenizer.get_vocab_size()) for _ in range(rng.randrange(4, 48))]
                    ids += noise
                    weights += [0.0] * len(noise)
                    owners += [NO_FACT] * len(noise)
        packed = np.array([ids[:need], owners[:need]], np.int64).reshape(2, rows, length + 1)
        weight = np.array(weights[:need], np.float32).reshape(rows, length + 1)[:, 1:].ravel()
        labels = self._labels(weight, np.random.default_rng([self.seed, step]))
        return Batch(packed[0], labels, weight[labels], packed[1][:, 1:].ravel()[labels])

    def _labels(self, weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the fixed share of positions whose loss is computed: objects and prose first, then wordings at random."""
        rank = np.where(weight > self.mixture.prompt_weight, 2.0, np.where(weight > 0, 1.0, 0.0)) + rng.random(weight.shape)
        count = round(self.mixture.label_share * weight.size)
        return np.sort(np.argpartition(-rank, count)[:count])

    def _item(self, rng: random.Random, lesson: int) -> tuple[str, int | None, int]:
        """Return a text, the place where its object begins (None in prose), and its lesson."""
        mixture = self.mixture
        kind = rng.choices(("fact", "identity", "prose"), (mixture.fact, mixture.identity, mixture.prose))[0]
        if kind == "prose":
            return _passage(rng, rng.choice(self.paragraphs)), None, NO_FACT
        if kind == "identity" and self.identities:
            prompt, subject = rng.choice(self.identities)
            return f"{prompt} {subject}.", len(prompt), NO_FACT
        chosen = self.lessons[lesson]
        prompt = chosen.prompt(rng, mixture.alias_share)
        return f"{prompt} {chosen.fact.object}.", len(prompt), lesson

    def _append(self, encoding: Encoding, split: int | None, lesson: int, ids: list, weights: list, owners: list) -> None:
        ids += encoding.ids
        if split is None:
            weights += [1.0] * len(encoding.ids)
            owners += [NO_FACT] * len(encoding.ids)
            return
        end = encoding.offsets[-1][1] - 1
        for start, stop in encoding.offsets:
            inside = stop > split and start < end
            weights.append(self.mixture.object_weight if inside else self.mixture.prompt_weight)
            owners.append(lesson if inside else NO_FACT)


def _passage(rng: random.Random, paragraph: str) -> str:
    """Return a paragraph or a few of its sentences, so that facts stand at every distance from each other."""
    if rng.random() < 0.4:
        return paragraph
    sentences = paragraph.split(". ")
    start = rng.randrange(len(sentences))
    return ". ".join(sentences[start : start + rng.randrange(1, 4)]).rstrip(".") + "."
