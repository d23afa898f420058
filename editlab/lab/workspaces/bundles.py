"""Bundles: one workspace as a file, which gives the same answers in another EditLab with the same model.

A bundle holds all events, so that the history is kept too. An imported bundle becomes a new private workspace with an id of
its own: the events stay as they were, their hash chain is computed for that id, and one more event notes the bundle's last
hash.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from secrets import token_hex

from editlab.errors import BadFile, EditLabError
from editlab.lab.context import Context
from editlab.lab.ledger import archive, audit
from editlab.lab.ledger.archive import BundleLimits
from editlab.lab.ledger.directory import Directory, WorkspaceInfo
from editlab.lab.ledger.names import normalize_name
from editlab.lab.workspaces.open import Workspaces
from editlab.wording import noop

LIMITS = BundleLimits(512 * 2**20, 5_000, 64 * 2**20, 200.0)
DEMO_LIMITS = BundleLimits(32 * 2**20, 1_000, 4 * 2**20, 200.0)
"""What an imported bundle may hold, here and on a public demo."""
MOST_NAMES = 100


def pack(context: Context, info: WorkspaceInfo, path: Path) -> audit.Report:
    """Write a workspace's events of the loaded model, and their files, into a new file. Raises `BadFile`."""
    fingerprint = context.model.fingerprint
    rows = [row for row in context.ledger.rows([info.id])[0] if row["model"] == fingerprint]
    if not rows:
        raise BadFile("This workspace has no events of this model. Apply an edit first.")
    report = audit.check(rows, context.ledger.tensors.read)
    if report.faults:
        raise BadFile("Events or files of this workspace are damaged or missing. Press “Verify” to see which.")
    about = {"workspace": info.name, "model": context.loaded.name, "fingerprint": fingerprint}
    return archive.write(path, archive.rechain(rows, info.handle), context.ledger.tensors.read, about=about)


def unpack(
    workspaces: Workspaces, visitor: str, path: Path, author: str = "", limits: BundleLimits | None = None
) -> WorkspaceInfo:
    """Make a private workspace of a visitor's from a bundle.

    Raises `BadFile` where the bundle is damaged, belongs to another model, is too large (`limits`; None: the usual ones) or
    holds more than one workspace. Then nothing has changed.
    """
    context = workspaces.context
    limits = limits or (DEMO_LIMITS if context.limits.demo else LIMITS)
    bundle = archive.open_archive(path, limits)
    archive.refuse_other_model(bundle, context.model.fingerprint, context.loaded.name)
    if len({row["workspace"] for row in bundle.rows}) != 1:
        raise BadFile("A bundle holds one workspace. Import an archive of several on the terminal: editlab ledger import.")
    archive.check_fit(bundle, context.model, limits.bytes)
    rows = archive.rechain(bundle.rows, token_hex(8))
    name = _name_of(bundle)
    info = _make(context.directory, visitor, name, rows[0]["workspace"])
    try:
        archive.add(context.ledger, bundle.files, rows)
    except BaseException:
        context.directory.delete(visitor, info.id)
        raise
    workspaces.open(info.id, author).note("imported", of=name, last=bundle.rows[-1]["hash"])
    return info


def _name_of(bundle: archive.Archive) -> str:
    try:
        return normalize_name(bundle.about.get("workspace", ""))
    except EditLabError:
        return noop("From a bundle")


def _make(directory: Directory, visitor: str, name: str, id: str) -> WorkspaceInfo:
    """Make a workspace of this name; where it is taken, of the first free one with a number."""
    taken = {info.name for info in directory.workspaces(visitor)}
    names = chain([name], (f"{name[:50]} {number}" for number in range(2, MOST_NAMES)))
    return directory.make(visitor, next((free for free in names if free not in taken), name), id=id)
