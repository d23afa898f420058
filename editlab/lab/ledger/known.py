"""The edits that a ledger or an archive knows, with their matrices: what a checkpoint may hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from editlab.errors import BadFile
from editlab.forensics.known import Known, by_patches, distinct
from editlab.lab.ledger import archive
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.events import edits_of
from editlab.lab.ledger.files import patches_in
from editlab.lab.ledger.ledger import Ledger, event_of
from editlab.model.architectures import Architecture
from editlab.wording import noop


def known_in_ledger(ledger: Ledger, arch: Architecture, fingerprint: str, workspace: str | None = None) -> tuple[Known, ...]:
    """Return every edit that was ever made over a model, in all workspaces or in one, also those that are off or removed.

    `fingerprint`: of the model as it is held in full precision. Raises `BadFile` where a file is damaged.
    """
    ids = None if workspace is None else [Directory(ledger).id_of(workspace)]
    rows, _ = ledger.rows(ids)
    return distinct(_edits(rows, ledger.tensors.read, arch, fingerprint, noop("ledger")))


def known_in_archive(path: Path, arch: Architecture, fingerprint: str) -> tuple[Known, ...]:
    """Return every edit in a bundle, or in an archive of a ledger. Raises `BadFile` where it is damaged."""
    found = archive.open_archive(path)
    return distinct(_edits(found.rows, found.files.__getitem__, arch, fingerprint, path.name))


def _edits(
    rows: Iterable[Mapping[str, Any]], read: archive.Read, arch: Architecture, fingerprint: str, source: str
) -> Iterator[Known]:
    for row in rows:
        if not row["model"].startswith(fingerprint):
            continue
        event = event_of(row)
        for edit in edits_of(event):
            patches = [patch for address in edit.solves for patch in _patches(read(address), address)]
            known = by_patches(edit.name, noop(f"{source}, event {event.number}"), patches, arch)
            if known is not None:
                yield known


def _patches(content: bytes, address: str) -> tuple[Any, ...]:
    try:
        return patches_in(content, torch.device("cpu"))
    except BadFile as error:
        raise BadFile(f"The file {address[:12]} of an edit cannot be used: {error}") from error
