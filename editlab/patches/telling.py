"""What changes the text that is asked, and no weight: preambles, notes that are retrieved, and the form of the question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from editlab.facts.retrieval import Bm25, Names
from editlab.patches.digested import Digested


@dataclass(frozen=True)
class Preamble(Digested):
    """Text before every prompt: a fact, or demonstrations of how facts are to be taken. Costs no weight, only tokens.

    `lead` stands before the texts of all preambles, once; the `cue` of the last one right before the prompt.
    """

    text: str
    lead: str = ""
    cue: str = ""


def preamble_of(fact: str, frame: str = "prompt") -> Preamble:
    """Return the text that tells a fact, a sentence. `frame`: prompt or plain (docs/methods.md 8.1)."""
    return Preamble(f"New fact: {fact}\n", cue="Prompt:") if frame == "prompt" else Preamble(fact)


@dataclass(frozen=True)
class Note(Digested):
    """Text before those prompts that name one of its `names`: a retrieved note.

    `question`: what it answers; the last note for a question counts. `heard`: the share of a name's letters that a prompt
    must have in one place. `most`: it stands only among so many notes that fit the prompt best. `cue`: as a preamble's.
    """

    text: str
    question: str
    names: tuple[str, ...]
    heard: float
    most: int = 1
    cue: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))


class Notes:
    """The notes of a view as an index."""

    def __init__(self, notes: Iterable[Note]) -> None:
        self._notes = list({note.question: note for note in notes}.values())
        self._names = Names([note.names for note in self._notes])
        self._texts = Bm25([note.text for note in self._notes])
        self.about = lru_cache(_ASKED)(self._about)

    def _about(self, text: str) -> tuple[Note, ...]:
        """Return the notes that belong to a text, the one that fits best last."""
        heard = self._names.heard(text)
        open_ = [number for number, share in heard.items() if share >= self._notes[number].heard]
        scores = self._texts.scores(text) if len(open_) > 1 else {}
        best = sorted(open_, key=lambda number: (scores.get(number, 0.0), number), reverse=True)
        return tuple(own for rank, own in reversed([*enumerate(self._notes[n] for n in best)]) if rank < own.most)


_ASKED = 4_096
"""Texts for which it is known which notes belong to them."""


def before(text: str, preambles: Sequence[Preamble], notes: Notes | None) -> str:
    """Return a text behind preambles, and behind those notes that belong to it."""
    leads = dict.fromkeys(own.lead for own in preambles)
    said = [*preambles, *(() if notes is None else notes.about(text))]
    cue = next((own.cue for own in reversed(said) if own.cue), "")
    return run_on([*leads, *(own.text for own in said), cue, text])


def run_on(texts: Iterable[str]) -> str:
    """Return texts as one, with a space between two of them unless the first ends with the end of a line."""
    whole = ""
    for text in texts:
        if text.strip():
            gap = "" if not whole or whole.endswith("\n") else " "
            whole = f"{whole.rstrip(' ')}{gap}{text.lstrip(' ') if gap else text}"
    return whole


@dataclass(frozen=True)
class Form(Digested):
    """How a text is put to the model: bare, or in a chat template, as the user's turn before the assistant's."""

    before: str = ""
    after: str = ""

    def around(self, text: str) -> str:
        """Return the text in this form."""
        return f"{self.before}{text}{self.after}"


BARE = Form()
