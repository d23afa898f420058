"""Drafts: patches of edits that are tried and not applied. No event names their files, so the ledger does not hold them."""

from __future__ import annotations

import time
from contextlib import suppress

import torch

from editlab.errors import BadFile
from editlab.lab.access.transfers import KEPT_SECONDS, Transfers
from editlab.lab.ledger.chain import Solves
from editlab.lab.ledger.events import Edit
from editlab.lab.ledger.files import TensorFiles
from editlab.lab.ledger.ledger import Ledger
from editlab.patches import Patch


class Drafts(Transfers):
    """The drafts of one process, each for an hour after its last use. Somebody may apply one without computing it again."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger, "drafts")
        self._files, self._kept = TensorFiles(self._folder), ledger.tensors

    def keep(self, solves: Solves, fingerprint: str) -> tuple[str, ...]:
        """Write the patches of these solves, for the model of this fingerprint, and return their addresses."""
        self._sweep()
        return tuple(self._files.save(solve, fingerprint) for solve in solves)

    def holds(self, edit: Edit) -> bool:
        """Return whether the files of an edit are here or with the ledger's."""
        return all([self._files.freshen(address) or self._kept.freshen(address) for address in edit.files])

    def load(self, edit: Edit, device: torch.device) -> tuple[Patch, ...]:
        """Return the patches of such an edit, on a device. Raises `BadFile`."""
        files = ((self._files if self._files.freshen(address) else self._kept, address) for address in edit.solves)
        return tuple(patch for own, address in files for patch in own.load(address, device))

    def hand_over(self, edit: Edit) -> None:
        """Copy what is here of an edit's files to the ledger's, so that an event may name it, as far as that is possible."""
        for address in edit.files:
            if not self._kept.freshen(address) and self._files.freshen(address):
                with suppress(BadFile):
                    self._kept.keep(self._files.read(address))

    def _sweep(self) -> None:
        """Delete what was not used for an hour."""
        for path in self._folder.glob("*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                    path.unlink()
