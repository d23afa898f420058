"""Completions: texts continued together, each under its view and as its request wants it, with log-probabilities.

A text is told apart from the others of its batch in everything but the forwards: how its tokens are drawn, where it ends.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from editlab.errors import TooLong
from editlab.model.frozen import FrozenModel
from editlab.model.generation import readable
from editlab.model.reading import read
from editlab.model.sampling import Sampling
from editlab.model.scoring import LOGITS_AT_ONCE
from editlab.model.tokens import in_chunks
from editlab.patches import View

Ended = Literal["", "stop", "length"]
"""Why a completion ended: a stop text or the model's own end, or its length; empty while it is written."""


@dataclass(frozen=True)
class Prompt:
    """A text to be continued by at most `max_tokens`, until one of the texts of `stop` comes.

    `temperature`: 0 takes the likeliest token; above it, one is drawn with `seed` among those likeliest ones that together
    have the probability `top_p`. `top`: how many of the likeliest tokens are told beside each token, None for no
    log-probabilities. `echo`: whether the text's own tokens are told as well.
    """

    text: str
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    top: int | None = None
    echo: bool = False


class Said(NamedTuple):
    """A token: its bytes, its log-probability behind what came before (None for a document's first), the likeliest ones."""

    token: bytes
    log_p: float | None
    top: tuple[tuple[bytes, float], ...]


@dataclass(frozen=True)
class Completion:
    """A text's continuation so far. `told`: the tokens of the continuation, `echoed`: those of the text, as far as wanted.

    `asked` and `written` are numbers of tokens.
    """

    text: str = ""
    ended: Ended = ""
    asked: int = 0
    written: int = 0
    told: tuple[Said, ...] = ()
    echoed: tuple[Said, ...] = ()


def tokens_of(model: FrozenModel, prompt: Prompt, view: View) -> int:
    """Return how many tokens a text has with its continuation. Raises `TooLong` where the context does not hold them."""
    asked = len(model.tok.encode(view.asks(prompt.text)))
    if asked + prompt.max_tokens > model.tok.context:
        raise TooLong(
            f"The text has {asked} tokens and {prompt.max_tokens} more are asked for; the model's context holds "
            f"{model.tok.context}. Shorten the text or ask for fewer."
        )
    return asked + prompt.max_tokens


def together(model: FrozenModel, prompts: Sequence[Prompt], sizes: Sequence[int]) -> list[list[int]]:
    """Return the places of prompts that can be completed together, the first ones first; `sizes`: `tokens_of` each.

    A row that has ended goes on beside the others, so the longest text needs room for the most that is written to any.
    """
    most = [prompt.max_tokens for prompt in prompts]
    groups: list[list[int]] = []
    for chunk in in_chunks(sizes, model.tokens_per_forward, max((1, *most))):
        group = sorted(chunk)
        fits = max(sizes[n] - most[n] for n in group) + max(most[n] for n in group) <= model.tok.context
        groups += [group] if fits else [[n] for n in group]
    return sorted(groups)


def complete(model: FrozenModel, prompts: Sequence[Prompt], views: Sequence[View]) -> Iterator[list[Completion]]:
    """Yield the completions so far after every token, until all have ended."""
    found = [Completion(asked=len(model.tok.encode(view.asks(p.text)))) for p, view in zip(prompts, views, strict=True)]
    echoing = [row for row, prompt in enumerate(prompts) if prompt.echo and prompt.top is not None]
    if echoing:
        echoed = _echoed(model, [prompts[row] for row in echoing], [views[row] for row in echoing])
        for row, own in zip(echoing, echoed, strict=True):
            found[row] = replace(found[row], echoed=own)
    most = max(prompt.max_tokens for prompt in prompts)
    if most == 0:
        yield [replace(one, ended="length") for one in found]
        return
    drawing = _EachRow.of(model, prompts)
    for step, ids in enumerate(read(model, [p.text for p in prompts], views).write(most, drawing), 1):
        for row, (prompt, one) in enumerate(zip(prompts, found, strict=True)):
            if not one.ended:
                found[row] = _go_on(model, prompt, one, ids[row], step, drawing.told[row])
        yield list(found)
        if all(one.ended for one in found):
            return


def held_back(text: str, stop: Sequence[str]) -> int:
    """Return how many characters at the end of a text may be the beginning of a stop text."""
    sizes = (size for end in stop for size in range(min(len(end) - 1, len(text)), 0, -1) if text.endswith(end[:size]))
    return max(sizes, default=0)


def _go_on(
    model: FrozenModel, prompt: Prompt, one: Completion, ids: Sequence[int], step: int, told: Sequence[Said]
) -> Completion:
    """Return a completion after one more token: `ids` has one less than steps where the model ended it."""
    if prompt.max_tokens == 0:
        return replace(one, ended="length")
    if len(ids) < step:
        return replace(one, ended="stop", text=model.tok.decode(ids))
    ended: Ended = "length" if step == prompt.max_tokens else ""
    text = model.tok.decode(ids) if ended else readable(model, ids)
    places = [place for end in prompt.stop if (place := text.find(end)) >= 0]
    kept = tuple(told[:step])
    if places:
        text, ended = text[: min(places)], "stop"
        kept = kept[: sum(len(readable(model, ids[:before])) < len(text) for before in range(step))]
    return replace(one, text=text, ended=ended, written=step, told=kept)


def offsets(told: Sequence[Said]) -> list[int]:
    """Return the character of their text at which each token begins; a letter of several tokens is one for all of them."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    sizes = [len(decoder.decode(said.token)) for said in told]
    return list(accumulate(sizes[:-1], initial=0)) if sizes else []


def within(told: Sequence[Said], length: int) -> tuple[Said, ...]:
    """Return the tokens that begin within so many characters."""
    return tuple(said for said, at in zip(told, offsets(told), strict=True) if at < length)


@dataclass(frozen=True, eq=False)
class _EachRow(Sampling):
    """Each row of a batch drawn as its prompt wants it. `told`: the tokens of the rows that want log-probabilities."""

    model: FrozenModel = field(kw_only=True)
    rows: tuple[Prompt, ...] = field(kw_only=True)
    told: tuple[list[Said], ...] = field(kw_only=True)
    generators: tuple[torch.Generator, ...] = field(kw_only=True)

    @classmethod
    def of(cls, model: FrozenModel, rows: Sequence[Prompt]) -> _EachRow:
        """Return the drawing of these rows, each with a generator of its own."""
        generators = tuple(torch.Generator().manual_seed(row.seed) for row in rows)
        return cls(model=model, rows=tuple(rows), told=tuple([] for _ in rows), generators=generators)

    def draw(self, logits: Float[Tensor, "rows vocab"], generator: torch.Generator) -> Int[Tensor, "rows"]:
        """Return one token a row."""
        tokens = logits.argmax(-1)
        for row, (prompt, own) in enumerate(zip(self.rows, self.generators, strict=True)):
            if prompt.temperature > 0:
                tokens[row] = _drawn(logits[row], prompt, own)
        telling = [row for row, prompt in enumerate(self.rows) if prompt.top is not None]
        if telling:
            said = _told(self.model, logits[telling], tokens[telling], [self.rows[row].top or 0 for row in telling])
            for row, one in zip(telling, said, strict=True):
                self.told[row].append(one)
        return tokens


def _drawn(logits: Float[Tensor, "n"], prompt: Prompt, generator: torch.Generator) -> int:
    """Return a token that is drawn from the likeliest ones, which together have the probability `top_p`."""
    logits = logits.cpu().double()
    p, ids = ((logits - logits.max()) / prompt.temperature).softmax(-1).sort(descending=True)
    p[1:][p.cumsum(-1)[:-1] >= prompt.top_p] = 0
    return int(ids[torch.multinomial(p, 1, generator=generator)])


def _told(
    model: FrozenModel, logits: Float[Tensor, "rows vocab"], tokens: Int[Tensor, "rows"], tops: Sequence[int]
) -> list[Said]:
    """Return a token a row with its log-probability, and as many of the likeliest ones as each row wants."""
    log_p = logits.log_softmax(-1)
    own = log_p.gather(1, tokens[:, None])[:, 0].tolist()
    best, ids = (found.tolist() for found in log_p.topk(max(tops)))
    spelled = model.tok.spelled
    return [
        Said(spelled(token), at, tuple((spelled(i), q) for i, q in zip(ids[row][:top], best[row][:top], strict=True)))
        for row, (token, at, top) in enumerate(zip(tokens.tolist(), own, tops, strict=True))
    ]


@torch.no_grad()
def _echoed(model: FrozenModel, prompts: Sequence[Prompt], views: Sequence[View]) -> Iterator[tuple[Said, ...]]:
    """Yield each text's own tokens, without what begins every document or stands before it, with their log-probabilities."""
    encoded = [model.tok.spans(view.asks(prompt.text)) for prompt, view in zip(prompts, views, strict=True)]
    batch = model.tok.pad([ids for ids, _ in encoded], device=model.device)
    hidden = model.hidden(batch, list(views))
    known = len(model.tokenizer)
    size = max(1, LOGITS_AT_ONCE // known)
    for row, ((ids, spans), prompt, view) in enumerate(zip(encoded, prompts, views, strict=True)):
        own = max(0, len(view.asks(prompt.text)) - len(view.form.after) - len(prompt.text))
        said = [Said(model.tok.spelled(ids[0]), None, ())]
        for start in range(0, len(ids) - 1, size):
            part = ids[start + 1 : min(start + 1 + size, len(ids))]
            logits = model.head(hidden[row, start : start + len(part)])[:, :known]
            labels = torch.tensor(part, device=logits.device)
            said += _told(model, logits, labels, [prompt.top or 0] * len(part))
        yield tuple(one for one, (a, b) in zip(said, spans, strict=True) if max(a, own) < b)
