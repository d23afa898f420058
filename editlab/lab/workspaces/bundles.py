"""A workspace as one file: packed here, unpacked in another EditLab with the same model, where it answers the same.

A bundle holds every event, so its past travels too. Brought in, it becomes a new private workspace with an id of its own:
the events stay as they were and are chained anew under that id, and one more event notes what the bundle's chain ended with.
"""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex

from editlab.errors import BadFile, EditLabError
from editlab.lab.context import Context
from editlab.lab.ledger import archive
from editlab.lab.ledger.archive import BundleLimits
from editlab.lab.ledger.directory import Directory, WorkspaceInfo, named
from editlab.lab.workspaces.open import Workspaces

LIMITS = BundleLimits(512 * 2**20, 5_000, 64 * 2**20, 200.0)
DEMO_LIMITS = BundleLimits(32 * 2**20, 1_000, 4 * 2**20, 200.0)
"""What a bundle that somebody sends may hold, and on a public demo."""
MOST_NAMES = 100


def pack(context: Context, room: WorkspaceInfo, path: Path) -> archive.Report:
    """Write a workspace's events over the present model, and their files, into a new file. Raises `BadFile`."""
    fingerprint = context.model.fingerprint
    rows = [row for row in context.ledger.rows([room.id])[0] if row["model"] == fingerprint]
    if not rows:
        raise BadFile("Nothing has happened in this workspace with this model. Apply an edit first.")
    report = archive.checked(rows, context.ledger.tensors.read)
    if report.faults:
        raise BadFile("Something of this workspace was damaged or taken out. Press “Verify” to see what.")
    about = {"workspace": room.name, "model": context.loaded.name, "fingerprint": fingerprint}
    return archive.write(path, archive.rechained(rows, room.handle), context.ledger.tensors.read, about=about)


def unpack(
    workspaces: Workspaces, visitor: str, path: Path, author: str = "", limits: BundleLimits | None = None
) -> WorkspaceInfo:
    """A new private workspace of a visitor with all that a bundle holds, which answers as it did where it was packed.

    Raises `BadFile` where the bundle is damaged, another model's, too large (`limits`; None: what is usual here) or holds
    more than one workspace; then nothing has changed.
    """
    context = workspaces.context
    limits = limits or (DEMO_LIMITS if context.limits.demo else LIMITS)
    bundle = archive.opened(path, limits)
    archive.refuse_other_model(bundle, context.model.fingerprint, context.loaded.name)
    if len({row["workspace"] for row in bundle.rows}) != 1:
        raise BadFile("A bundle holds one workspace. Files with several go by the terminal: editlab ledger import.")
    archive.check_fit(bundle, context.model, limits.bytes)
    rows = archive.rechained(bundle.rows, token_hex(8))
    called = _called(bundle)
    room = _made(context.directory, visitor, called, rows[0]["workspace"])
    try:
        archive.add(context.ledger, bundle.files, rows)
    except BaseException:
        context.directory.delete(visitor, room.id)
        raise
    workspaces.open(room.id, author).note("imported", of=called, last=bundle.rows[-1]["hash"])
    return room


def _called(bundle: archive.Archive) -> str:
    try:
        return named(bundle.about.get("workspace", ""))
    except EditLabError:
        return "From a bundle"


def _made(directory: Directory, visitor: str, name: str, id: str) -> WorkspaceInfo:
    """A workspace of this name, or where it is taken of the first free one behind it."""
    taken = {room.name for room in directory.rooms(visitor)}
    names = [name, *(f"{name[:50]} {number}" for number in range(2, MOST_NAMES))]
    return directory.make(visitor, next((free for free in names if free not in taken), name), id=id)
