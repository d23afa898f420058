"""A workspace as one file: packed here, unpacked in another EditLab with the same model, where it answers the same.

A bundle holds every event, so its past travels too. Brought in, it becomes a new private workspace with an id of its own:
the events stay as they were and are chained anew under that id, and one more event notes what the bundle's chain ended with.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from editlab.errors import BadFile, EditLabError
from editlab.lab import archive
from editlab.lab.directory import Room, named
from editlab.lab.history import fold
from editlab.lab.ledger import event_of
from editlab.lab.tensors import TensorFiles
from editlab.lab.travel import moments_of
from editlab.patches import Dense, LowRank, Patch, Pathway

if TYPE_CHECKING:
    from editlab.lab.lab import Lab
    from editlab.model import LanguageModel

MOST_BYTES = 512 * 2**20
"""Of what a bundle that somebody sends may unpack to."""
MOST_NAMES = 100


def pack(lab: Lab, room: Room, path: Path) -> archive.Report:
    """Write a workspace's events over the present model, and their files, into a new file. Raises `BadFile`."""
    fingerprint = lab.model.fingerprint
    rows = [row for row in lab.ledger.rows()[0] if (row["model"], row["workspace"]) == (fingerprint, room.id)]
    if not rows:
        raise BadFile("Nothing has happened in this workspace with this model. Apply an edit first.")
    report = archive.checked(rows, lab.ledger.tensors.read)
    if report.faults:
        raise BadFile("Something of this workspace was damaged or taken out. Press “Verify” to see what.")
    about = {"workspace": room.name, "model": lab.about()["model"], "fingerprint": fingerprint}
    return archive.write(path, archive.rechained(rows, room.handle), lab.ledger.tensors.read, about)


def unpack(lab: Lab, visitor: str, path: Path, author: str = "", most: int = MOST_BYTES) -> Room:
    """A new private workspace of a visitor with all that a bundle holds, which answers as it did where it was packed.

    Raises `BadFile` where the bundle is damaged, another model's, too large or holds more than one workspace; then nothing
    has changed.
    """
    bundle = archive.opened(path, most)
    archive.refuse_other_model(bundle, lab.model.fingerprint, lab.about()["model"])
    if len({row["workspace"] for row in bundle.rows}) != 1:
        raise BadFile("A bundle holds one workspace. Files with several go by the terminal: editlab ledger import.")
    rows = archive.rechained(bundle.rows, token_hex(8))
    _check(lab.model, [dict(row) for row in rows], bundle.files)
    called = _called(bundle)
    room = _made(lab, visitor, called, rows[0]["workspace"])
    try:
        archive.add(lab.ledger, bundle.files, rows)
    except BaseException:
        lab.directory.delete(visitor, room.id)
        raise
    lab.workspace(room.id, author).note("imported", of=called, last=bundle.rows[-1]["hash"])
    return room


def _called(bundle: archive.Archive) -> str:
    try:
        return named(bundle.about.get("workspace", ""))
    except EditLabError:
        return "From a bundle"


def _made(lab: Lab, visitor: str, name: str, id: str) -> Room:
    """A workspace of this name, or where it is taken of the first free one behind it."""
    taken = {room.name for room in lab.directory.rooms(visitor)}
    names = [name, *(f"{name[:50]} {number}" for number in range(2, MOST_NAMES))]
    return lab.directory.make(visitor, next((free for free in names if free not in taken), name), id=id)


def _check(model: LanguageModel, rows: list[dict], files: Mapping[str, bytes]) -> None:
    """Raise `BadFile` where events do not fit together or patches do not fit the model: either would harm who opens it."""
    events = [event_of(row) for row in rows]
    try:
        moments_of(events)
        needed = {address for chain in fold(events).chains for edit in chain for address in edit.files}
        with TemporaryDirectory(prefix="editlab-") as folder:
            unpacked = TensorFiles(Path(folder))
            for address in sorted(needed):
                unpacked.keep(files[address])
                if not all(_fits(model, patch) for patch in unpacked.load(address, torch.device("cpu"))):
                    raise ValueError("an edit has another shape than this model")
    except (BadFile, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise BadFile(f"The bundle does not fit together: {error}. Export it again where it comes from.") from error


def _fits(model: LanguageModel, patch: Patch) -> bool:
    """Whether a patch can be laid over the model."""
    if not isinstance(patch, LowRank | Dense | Pathway) or patch.layer not in range(model.n_layers):
        return False
    tensors = {name: value for name, value in vars(patch).items() if torch.is_tensor(value)}
    if not all(value.is_floating_point() and value.isfinite().all() for value in tensors.values()):
        return False
    shapes, d_model, d_ff = {name: tuple(value.shape) for name, value in tensors.items()}, model.d_model, model.d_ff
    if isinstance(patch, Dense):
        return shapes == {"D": (d_model, d_ff)}
    if isinstance(patch, LowRank):
        return shapes == {"A": (rank := len(patch.A), d_ff), "B": (d_model, rank)}
    hidden, rank = len(patch.H), len(patch.V)
    gate = {"H": (hidden, d_ff), "h": (hidden,), "w": (hidden,), "c": ()}
    return shapes == {"U": (d_ff, rank), "V": (rank, d_ff), "b": (d_ff,), **gate}
