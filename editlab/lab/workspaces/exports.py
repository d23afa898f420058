"""A workspace's edits in forms that others take, whole or not at all.

An export is written into a folder beside its target, brought to the disk and renamed: stopped or killed, nothing half-made
stands under the name that was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from editlab import exports, storage
from editlab.errors import BadFile, BadRequest, Cancelled
from editlab.exports import Entry
from editlab.facts import WRITERS, EditCase
from editlab.lab.workspaces import method_settings
from editlab.lab.workspaces.workspace import Workspace
from editlab.patches import View
from editlab.probes import Ground
from editlab.work import Cancel, Progress, never, no_progress

FORMATS = {
    "peft": "LoRA adapter for PEFT: the low-rank patches as they are",
    "checkpoint": "the model with the edits in its weights, for transformers",
    "counterfact": "the requests as CounterFact's JSON",
    "easyedit": "the requests as EasyEdit's JSON",
    "csv": "the requests as a table",
    "script": "a Python file and terminal lines that make the edits again",
    "notebook": "the same as a Jupyter notebook",
    "tensors": "edits, pathways (REP) and masks as tensors, with a short loader",
    "card": "a model card that lists the edits",
}

STOPPED = "Stopped. Nothing was written."


def entries(workspace: Workspace) -> tuple[Entry, ...]:
    """The edits that are on, in order, free of the workspace."""
    model, seed = workspace.context.model, workspace.context.seed
    return tuple(
        Entry(
            requests=record.requests,
            method=record.method,
            config=vars(method_settings.config_for(model, record.method, record.config, seed)),
            layers=record.layers,
            patches=record.patches,
            pathways=record.pathways if record.rep_on else (),
            rep=record.rep if record.rep_on else None,
            names=record.names,
            author=record.author,
            at=record.at,
            reason=record.reason,
            health=record.health,
        )
        for record in workspace.records
        if record.on
    )


def notes(workspace: Workspace, format: str) -> tuple[str, ...]:
    """What an export in this format would leave out or change, a sentence each. Raises `BadRequest` as `export`."""
    return _Export.of(workspace, format).notes


def export(
    workspace: Workspace, format: str, folder: Path, progress: Progress = no_progress, cancel: Cancel = never
) -> list[Path]:
    """Write the edits that are on into a new folder; the files that stand there then.

    Raises `BadRequest` for an unknown format, without an edit, or for one that the format cannot hold; `BadFile` where the
    folder holds something or cannot be written; `Cancelled`, which leaves nothing.
    """
    made = _Export.of(workspace, format)
    folder = Path(folder).expanduser().absolute()
    try:
        with storage.new_folder(folder) as part:
            progress(0.0, f"writing {format}")
            made.write(part, progress, cancel)
            storage.sync(*part.rglob("*"), part)
            if cancel():
                raise Cancelled(STOPPED)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadFile(
            f"{folder} cannot be written: {why}. Give a new folder where there is room and you may write."
        ) from error
    return sorted(path for path in folder.rglob("*") if path.is_file())


@dataclass(frozen=True, eq=False)
class _Export:
    """What is exported, as it was when it was asked for. `view`: edits, pathways and masks."""

    format: str
    ground: Ground
    entries: Sequence[Entry]
    view: View

    @classmethod
    def of(cls, workspace: Workspace, format: str) -> _Export:
        """What there is. Raises `BadRequest`, and as `Workspace.views_under` where a mask is looked through."""
        if format not in FORMATS:
            raise BadRequest(f"There is no export {format!r}. Choose one of: {', '.join(FORMATS)}.")
        chosen = entries(workspace)
        if not chosen:
            raise BadRequest("There is no edit to export. Apply one or switch one on first.")
        views = workspace.views_under(workspace.masked, workspace.guarded)
        masks = [mask for view in views.values() for mask in view.masks]
        view = workspace.robust or workspace.view
        return cls(format, workspace.context.ground, chosen, view.with_patches(masks))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the format leaves out or changes."""
        return exports.notes(self.format, self.ground.model, self.entries, bool(self.view.masks))

    def write(self, folder: Path, progress: Progress, cancel: Cancel) -> None:
        """Write all files into a folder that is there."""
        if self.format == "peft":
            exports.adapter.write(self.ground.model, self.entries, folder)
        elif self.format == "checkpoint":
            exports.checkpoint.write(self.ground.model, self.entries, folder, progress, cancel)
        elif self.format == "tensors":
            exports.tensors.write(self.ground.model, self.view, folder)
        elif self.format in WRITERS:
            name, form = WRITERS[self.format]
            _text(folder / name, form(self._cases(progress, cancel)))
        elif self.format in ("script", "notebook"):
            self._write_run(folder)
        if self.format in ("peft", "checkpoint", "tensors", "card"):
            _text(folder / "README.md", exports.card(self.ground.model, self.entries, self.format, self.notes))

    def _cases(self, progress: Progress, cancel: Cancel) -> list[EditCase]:
        """The requests with what the facts know around them."""
        requests, found = exports.requests_of(self.entries), []
        for number, request in enumerate(requests):
            if cancel():
                raise Cancelled(STOPPED)
            progress(number / len(requests), f"request {number + 1:,} of {len(requests):,}")
            found.append(self.ground.case(request))
        return found

    def _write_run(self, folder: Path) -> None:
        run = self.ground.model, self.entries, self.ground.seed, self.view.threshold
        if self.format == "script":
            _text(folder / "repeat.py", exports.script(*run))
            exports.commands.write(self.ground.model, self.entries, self.ground.seed, folder)
        else:
            _text(folder / "repeat.ipynb", exports.notebook(*run))
        exports.write_patches(self.entries, folder)


def _text(path: Path, text: str) -> None:
    path.write_bytes(text.encode())  # as it is: no line end is translated
