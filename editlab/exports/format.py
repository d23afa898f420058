"""What an export is made from, and what each format states about itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from editlab.exports.card import Card, card
from editlab.exports.entry import Entry
from editlab.facts import EditRequest
from editlab.model import LanguageModel
from editlab.patches import View
from editlab.probes import Ground
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress

STOPPED = noop("Stopped. Nothing was written.")


@dataclass(frozen=True)
class Happening:
    """One event of a workspace as people read it.

    `text` follows the author's name; `edits`: how many requests were on after it; `edit`: the id of the edit that it made,
    if any; `hash`: the event's, which covers all events before it.
    """

    number: int
    at: str
    author: str
    text: str
    edits: int
    hash: str
    edit: str = ""


@dataclass(frozen=True)
class Past:
    """The past of a workspace: its name, its events, and what is not as it was written, a sentence each.

    `last`: the hash of the very last event, which covers all of them.
    """

    workspace: str
    events: tuple[Happening, ...] = ()
    faults: tuple[str, ...] = ()
    last: str = ""


@dataclass(frozen=True, eq=False)
class Export:
    """The edits to export, as they were when the export was asked for. `view`: their patches, pathways and masks.

    `views`: those that the workspace compares, by name; under them all of its edits that are on answer, not only those of
    `entries`. `past`: reads the workspace's past; None where there is none. `rank`: what an adapter's rank is cut to; None
    for what holds the edits without loss. `others`: the requests of all edits under the `views`.
    """

    ground: Ground
    entries: Sequence[Entry]
    view: View
    views: Mapping[str, View] = field(default_factory=dict)
    past: Callable[[], Past] | None = None
    rank: int | None = None
    others: Sequence[EditRequest] = ()

    @property
    def model(self) -> LanguageModel:
        """The model that was edited."""
        return self.ground.model

    @property
    def has_pathways(self) -> bool:
        """Whether an edit has pathways (REP)."""
        return any(entry.pathways for entry in self.entries)

    @property
    def masked(self) -> bool:
        """Whether the edits are seen through a reversal mask."""
        return bool(self.view.masks)


Write = Callable[[Export, Path, Progress, Cancel], Iterator[None] | None]
"""Writes the files of an export into a folder; at once, or, where the model is asked for long, part by part."""
Note = Callable[[Export], str | None]


@dataclass(frozen=True)
class Format:
    """One format of exports.

    `title`: what it is, in a few words; `holds`: what it holds and what it cannot hold, in sentences; `write`: writes its
    files into a folder that exists, None where the card is all there is; `card`: how its model card begins, None for a
    format without a card; `notes`: what it leaves out or changes of a given export; `in_demo`: whether a public demo
    writes it; `asks`: the most requests whose probes it asks; `size`: how many bytes it takes, about, None where that is
    little; it raises `BadRequest` for what cannot be written at all; `how`: how a given export is loaded, for its card;
    `cuts`: whether its rank can be cut.
    """

    name: str
    title: str
    holds: str
    write: Write | None = None
    card: Card | None = None
    notes: tuple[Note, ...] = ()
    in_demo: bool = True
    asks: int = 0
    size: Callable[[Export], int] | None = None
    how: Callable[[Export], str] | None = None
    cuts: bool = False

    def notes_for(self, export: Export) -> tuple[str, ...]:
        """Return what the format leaves out or changes of an export, a sentence each."""
        return tuple(text for note in self.notes if (text := note(export)) is not None)

    def write_all(
        self, export: Export, folder: Path, progress: Progress = no_progress, cancel: Cancel = never
    ) -> Iterator[None]:
        """Write all files of an export into a folder that exists, part by part.

        Raises `BadRequest` for edits that the format cannot hold, `OSError` and safetensors' error for what the disk
        refuses, and `Cancelled`.
        """
        if self.write is not None:
            yield from self.write(export, folder, progress, cancel) or ()
        if self.card is not None:
            head = self.card if self.how is None else replace(self.card, how=self.how(export))
            write_text(folder / "README.md", card(export.model, export.entries, head, self.notes_for(export)))


def write_text(path: Path, text: str) -> None:
    """Write a text as it stands: no line end is translated."""
    path.write_bytes(text.encode())
