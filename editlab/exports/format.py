"""What an export is made from, and what each format states about itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from editlab.exports.card import Card, card
from editlab.exports.entry import Entry
from editlab.model import LanguageModel
from editlab.patches import View
from editlab.probes import Ground
from editlab.work import Cancel, Progress, never, no_progress

STOPPED = "Stopped. Nothing was written."


@dataclass(frozen=True, eq=False)
class Export:
    """The edits to export, as they were when the export was asked for. `view`: their patches, pathways and masks."""

    ground: Ground
    entries: Sequence[Entry]
    view: View

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


Write = Callable[[Export, Path, Progress, Cancel], None]
Note = Callable[[Export], str | None]


@dataclass(frozen=True)
class Format:
    """One format of exports.

    `title`: what it is, in a few words; `holds`: what it holds and what it cannot hold, in sentences; `write`: writes its
    files into a folder that exists, None where the card is all there is; `card`: how its model card begins, None for a
    format without a card; `notes`: what it leaves out or changes of a given export; `in_demo`: whether a public demo
    writes it.
    """

    name: str
    title: str
    holds: str
    write: Write | None = None
    card: Card | None = None
    notes: tuple[Note, ...] = ()
    in_demo: bool = True

    def notes_for(self, export: Export) -> tuple[str, ...]:
        """Return what the format leaves out or changes of an export, a sentence each."""
        return tuple(text for note in self.notes if (text := note(export)) is not None)

    def write_all(self, export: Export, folder: Path, progress: Progress = no_progress, cancel: Cancel = never) -> None:
        """Write all files of an export into a folder that exists.

        Raises `BadRequest` for edits that the format cannot hold, `OSError` and safetensors' error for what the disk
        refuses, and `Cancelled`.
        """
        if self.write is not None:
            self.write(export, folder, progress, cancel)
        if self.card is not None:
            write_text(folder / "README.md", card(export.model, export.entries, self.card, self.notes_for(export)))


def write_text(path: Path, text: str) -> None:
    """Write a text as it stands: no line end is translated."""
    path.write_bytes(text.encode())
