"""From text to token ids: where a subject stands, which ids a target has, rows padded on either side.

Positions come from the tokenizer's character offsets and targets from token ids, never from adding up the lengths of
pieces: so both are right with a BOS token, with SentencePiece's "▁" and with byte-level BPE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from editlab.errors import BadRequest, TooLong
from editlab.facts.script import joined, space_of, with_space
from editlab.model.chat import opening
from editlab.model.start import NONE, Start

UNREADABLE = "\ufffd"
"""What stands in a decoded text for bytes that are no whole letter."""
PADDING = 1 / 64
"""The share of a forward's budget that padding may take before two forwards are cheaper than one."""
ONE_BYTE = re.compile("<0x([0-9A-F]{2})>")
"""How a SentencePiece vocabulary spells a byte that is no letter by itself."""


@cache
def _byte_letters() -> dict[str, int]:
    """Return the byte that each letter of a byte-level vocabulary stands for."""
    return {letter: byte for byte, letter in bytes_to_unicode().items()}


@dataclass(frozen=True)
class TokenBatch:
    """Rows of token ids, padded. `ids`, `mask` and `positions` are `[rows, tokens]`; padding has position 0."""

    ids: Int[Tensor, "rows tokens"]
    mask: Bool[Tensor, "rows tokens"]

    @property
    def positions(self) -> Int[Tensor, "rows tokens"]:
        """Each token's place in its own row, counted from the row's first real token."""
        return (self.mask.long().cumsum(1) - 1).clamp(min=0)

    @property
    def starts(self) -> Int[Tensor, "rows"]:
        """Column of each row's first real token."""
        return self.mask.int().argmax(1)

    @property
    def last(self) -> Int[Tensor, "rows"]:
        """Column of each row's last real token."""
        return self.starts + self.mask.sum(1) - 1


def in_chunks(lengths: Sequence[int], budget: int, forwards: int = 1) -> Iterator[list[int]]:
    """Yield row numbers, shortest rows first, in chunks whose padded size stays within `budget` tokens.

    A row beyond the budget goes alone. A chunk ends where its padding would cost more than another one does, which takes so
    many `forwards`, as where texts are read and then written behind: beyond `PADDING` of the budget for each. The
    budget is small where a forward's own cost is.
    """
    most = PADDING * budget * forwards
    chunk: list[int] = []
    held = 0
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        padded = (len(chunk) + 1) * lengths[row]
        if chunk and (padded > budget or padded - held - lengths[row] > most):
            yield chunk
            chunk, held = [], 0
        chunk.append(row)
        held += lengths[row]
    if chunk:
        yield chunk


def pad(rows: Sequence[Sequence[int]], filler: int, side: str = "right", device: torch.device | str = "cpu") -> TokenBatch:
    """Return rows of ids as one batch. `side` says where the filler goes; no result depends on it.

    Raises `BadRequest` where a row has no id at all: a model can say nothing after nothing.
    """
    if not rows or not all(rows):
        raise BadRequest("There is a text without a single token. Write at least a word.")
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), filler, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.bool)
    for number, row in enumerate(rows):
        start = 0 if side == "right" else width - len(row)
        ids[number, start : start + len(row)] = torch.tensor(row)
        mask[number, start : start + len(row)] = True
    return TokenBatch(ids.to(device), mask.to(device))


@dataclass(frozen=True)
class Located:
    """A text's ids and the index of the last token of a span of it, counted in the row."""

    ids: tuple[int, ...]
    index: int


class Tokens:
    """A fast tokenizer with the questions that editing asks of it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, context: int, start: Start = NONE) -> None:
        self.tokenizer, self.context, self.start = tokenizer, context, start
        self.filler = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0
        self._ends = {tokenizer.eos_token_id} - {tokenizer.bos_token_id, None}

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text behind the document's start, without an EOS. Raises `TooLong` beyond the context."""
        return self.spans(text)[0]

    def spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of a text as it is asked, and the characters of the text that each stands for.

        The document's start stands for none of them, nor does a BOS. A text that begins with an added token of the
        tokenizer, as one in a chat template does, has a start of its own. Raises `TooLong` beyond the context.
        """
        opened = not text.startswith(self._openers)
        gap = self.start.before(text) if opened else ""
        encoding = self.tokenizer(gap + text, return_offsets_mapping=True, verbose=False)
        ids, spans = encoding["input_ids"], encoding["offset_mapping"]
        while ids and ids[-1] in self._ends and not text.endswith(self.tokenizer.decode(ids[-1:])):
            ids = ids[:-1]
        start = self._start if opened else []
        ids = [*start, *ids]
        if len(ids) > self.context:
            raise TooLong(f"The text has {len(ids)} tokens; the model's context holds {self.context}. Shorten it.")
        shifted = [(max(0, a - len(gap)), max(0, b - len(gap))) for a, b in spans]
        return ids, [*[(0, 0)] * len(start), *shifted][: len(ids)]

    @cached_property
    def _start(self) -> list[int]:
        return self.tokenizer(self.start.text, add_special_tokens=False)["input_ids"] if self.start.text else []

    @cached_property
    def _openers(self) -> tuple[str, ...]:
        return tuple(token.content for token in self.tokenizer.added_tokens_decoder.values() if token.content.strip())

    def chips(self, text: str) -> list[str]:
        """Return the tokens of a text as a person should see them, without special tokens, leading space as "␣"."""
        ids = self.tokenizer(self.start.before(text) + text, add_special_tokens=False)["input_ids"]
        return [self.decode([i]).replace(" ", "␣") for i in ids]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids that continue another text. A SentencePiece decoder alone would drop their first space."""
        return self.tokenizer.decode([*self._anchor, *ids])[len(self.tokenizer.decode(self._anchor)) :]

    def spelled(self, token: int) -> bytes:
        """Return the bytes that a token stands for in UTF-8: several tokens may have to come together for one letter."""
        text = self.decode([token])
        if UNREADABLE not in text:
            return text.encode()
        piece = self.tokenizer.convert_ids_to_tokens(token)
        if one := ONE_BYTE.fullmatch(piece):
            return bytes.fromhex(one[1])
        letters = _byte_letters()
        return bytes(letters[letter] for letter in piece) if set(piece) <= letters.keys() else text.encode()

    @cached_property
    def _anchor(self) -> list[int]:
        return self.tokenizer("a", add_special_tokens=False)["input_ids"]

    def locate(self, text: str, start: int, stop: int) -> Located:
        """Return the ids of `text` and the index of the last token of `text[start:stop]`.

        Raises `BadRequest` where no token covers the span's last character.
        """
        ids, spans = self.spans(text)
        covering = [i for i, (a, b) in enumerate(spans) if a < stop <= b and a < b]
        if not covering:
            raise BadRequest(
                f"The tokenizer cannot place {text[start:stop]!r} in {text!r}: no token covers its last character. "
                "Write the subject with letters that the model's tokenizer knows.",
                "subject",
            )
        return Located(tuple(ids), covering[-1])

    def joined(self, prompt: str, target: str) -> str:
        """Return prompt and target as one text, as writing joins them; in a chat as its template joins a turn's beginning.

        There a template decides whether a space stands before an object, unless a person has.
        """
        if self._opening and prompt.endswith(self._opening):
            target = with_space(target, "no" if space_of(target) == "script" else space_of(target))
        return joined(prompt, target)

    @cached_property
    def _opening(self) -> str:
        return opening(self.tokenizer)

    def with_target(self, prompt: str, target: str) -> tuple[list[int], int]:
        """Return the ids of prompt and target together, and how many of them belong to the prompt.

        The target's ids are those of `joined(prompt, target)` beyond the longest common beginning with the prompt's.
        """
        alone, both = self.encode(prompt), self.encode(self.joined(prompt, target))
        shared = next((i for i, (a, b) in enumerate(zip(alone, both, strict=False)) if a != b), min(len(alone), len(both)))
        if shared == len(both):
            raise BadRequest(
                f"The target {target!r} adds no token to the prompt. Write a word that the tokenizer knows.", "target_new"
            )
        if shared == 0:
            raise BadRequest(
                f"No token stands in front of the target {target!r}. Write a prompt of at least a word.", "prompt"
            )
        return both, shared

    def target_chips(self, prompt: str, target: str) -> list[str]:
        """Return the tokens of a target as it is asked behind a prompt, as a person should see them."""
        if not prompt.strip():
            return self.chips(self.joined(prompt, target))
        ids, shared = self.with_target(prompt, target)
        return [self.decode([i]).replace(" ", "␣") for i in ids[shared:]]

    def pad(self, rows: Sequence[Sequence[int]], side: str = "right", device: torch.device | str = "cpu") -> TokenBatch:
        """Return rows of ids as one batch with this tokenizer's filler."""
        return pad(rows, self.filler, side, device)
