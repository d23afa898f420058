"""Where in a text the edit is heard by mistake: a key that receives much of it, though nobody speaks of the subject.

Figure 4 of arXiv 2410.09338 and its table, in shares of the edit: they are what acts, and those of an edit that is written
for more than one key are not its similarities. A million tokens go by in one pass: the forward stops at the edit's layer, a
token costs a product or two, and only the places that receive most are kept.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from editlab.errors import BadFile
from editlab.facts.script import unspaced
from editlab.insight.site import Site
from editlab.work import Cancel, never, stop_if

MOST = 12
WINDOW = 256
BLOCK = 60_000
"""Characters that are tokenised at once."""
WORDS = 12
"""Words of a place that are shown, and within which the subject counts as mentioned."""
SHORTEST_WORD = 4
"""Shorter words of a name ("of", "the", "New") do not make a place mention it, unless the name has no longer one."""
COLUMNS = ("prefix", "token", "similarity", "share", "mentions")


@dataclass(frozen=True, eq=False)
class Scan:
    """What was found so far: a row a place, largest share first, unrelated ones before those that mention the subject.

    Columns: `prefix` (its last words), `token`, `similarity`, `share` (of the edit that is heard there) and `mentions`
    (the subject). `fraction` 0 to 1 of the text is read, `tokens` in `seconds`.
    """

    frame: pd.DataFrame
    tokens: int
    seconds: float
    fraction: float

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class _Place:
    prefix: str
    token: str
    similarity: float
    share: float
    mentions: bool


def prefixes(site: Site, text: str, most: int = MOST, window: int = WINDOW, cancel: Cancel = never) -> Iterator[Scan]:
    """Scan a text in windows of `window` tokens and yield after each forward where the shares are largest so far.

    The `most` places of each sort, no two with the same last three words. Raises `BadFile` for a text without a word,
    `Cancelled` after the forward in which it is stopped.
    """
    if not text.strip():
        raise BadFile("The text is empty. Choose one with words in it.")
    began, tokens, read = time.perf_counter(), 0, 0
    found: dict[bool, list[_Place]] = {False: [], True: []}
    names = _names(site.request.subject)
    for start, block in _blocks(text):
        rows, spans = _windows(site, block, window)
        near = _near(block, names)
        done = 0
        for chunk, keys in site.model.keys_everywhere(rows, site.layer, site.edited):
            stop_if(cancel, "Stopped before the whole text was read.")
            own = [span for n in chunk for span in spans[n]]
            shares = site.share(keys.float()).cpu()
            shares[[n for n, span in enumerate(own) if span is None]] = -torch.inf
            mentions = torch.tensor([span is not None and near[span[1] - 1] for span in own])
            for kind in found:
                best = _best(shares, mentions == kind, 4 * most)
                alike = site.similarity(keys[best]).tolist()
                places = [
                    _place(block, own[at], similarity, float(shares[at]), kind)
                    for at, similarity in zip(best.tolist(), alike, strict=True)
                ]
                found[kind] = _distinct([*found[kind], *places])[:most]
            tokens += sum(span is not None for span in own)
            done += len(chunk)
            read = start + len(block) * done // max(1, len(rows))
            yield Scan(_frame(found), tokens, time.perf_counter() - began, read / len(text))


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield stretches of about `BLOCK` characters, cut at white space, with where they start."""
    start = 0
    while start < len(text):
        stop = start + BLOCK
        if stop < len(text):
            cut = max(text.rfind(" ", start, stop), text.rfind("\n", start, stop))
            stop = cut if cut > start else stop
        if text[start:stop].strip():
            yield start, text[start:stop]
        start = stop


def _windows(site: Site, block: str, window: int) -> tuple[list[list[int]], list[list[tuple[int, int] | None]]]:
    """Return rows of ids that begin as a text does, and each token's characters in the block (None where it has none)."""
    encoding = site.model.tokenizer(block, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids, spans = encoding["input_ids"], encoding["offset_mapping"]
    opening = site.model.tok.encode("")
    size = max(1, min(window, site.model.tok.context) - len(opening))
    starts = range(0, len(ids), size)
    return (
        [[*opening, *ids[start : start + size]] for start in starts],
        [[*[None] * len(opening), *((a, b) if b > a else None for a, b in spans[start : start + size])] for start in starts],
    )


def _names(subject: str) -> re.Pattern[str]:
    """Return a pattern for any word of the subject that can identify it."""
    words = re.findall(r"\w+", subject)
    telling = [word for word in words if len(word) >= SHORTEST_WORD] or words or [subject]
    return re.compile("|".join(f"{_word_start(word)}{re.escape(word)}" for word in telling), re.IGNORECASE)


def _word_start(word: str) -> str:
    """Return what marks a word's beginning in a pattern: nothing in a script that writes no spaces."""
    return "" if unspaced(word[0]) else r"\b"


def _near(block: str, names: re.Pattern[str]) -> list[bool]:
    """Return for each character whether the last `WORDS` words that end there name the subject."""
    near = [False] * len(block)
    for match in names.finditer(block):
        following = re.compile(rf"\S*(?:\s+\S+){{0,{WORDS - 1}}}").match(block, match.end())
        stop = following.end() if following else match.end()
        near[match.start() : stop] = [True] * (stop - match.start())
    return near


def _best(shares: Tensor, allowed: Tensor, most: int) -> Tensor:
    """Return the places of the largest shares among those that are allowed."""
    masked = shares.masked_fill(~allowed, -torch.inf)
    values, places = masked.topk(min(most, len(masked)))
    return places[values > -torch.inf]


def _place(block: str, span: tuple[int, int], similarity: float, share: float, mentions: bool) -> _Place:
    """Return a place in words; a token inside a word is shown with the beginning of its word."""
    before = block[max(0, span[1] - 400) : span[1]]
    return _Place(" ".join(before.split()[-WORDS:]), block[span[0] : span[1]].strip(), similarity, share, mentions)


def _distinct(places: list[_Place]) -> list[_Place]:
    """Return the largest share first, one for each last three words."""
    kept: dict[str, _Place] = {}
    for place in sorted(places, key=lambda place: -place.share):
        kept.setdefault(" ".join(place.prefix.casefold().split()[-3:]), place)
    return list(kept.values())


def _frame(found: dict[bool, list[_Place]]) -> pd.DataFrame:
    return pd.DataFrame([vars(place) for own in found.values() for place in own], columns=list(COLUMNS))
