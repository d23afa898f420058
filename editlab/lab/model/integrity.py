"""The integrity of a model on the disk: its signature and manifest, the ledger, its base, and what was known of its edits.

A checkpoint is read weight by weight and not loaded, so that this runs beside a model that answers; but for a look without
its base, where somebody asks for that (`blind`).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from editlab import __version__
from editlab.errors import BadFile, BadModel, BadRequest
from editlab.forensics import manifest as manifests
from editlab.forensics.checkpoint import Checkpoint, fingerprint_of
from editlab.forensics.difference import compare
from editlab.forensics.known import EDITS, PATCHES, Known, by_adapter, by_script, by_tensors
from editlab.forensics.manifest import Manifest
from editlab.forensics.pairs import adapter_in
from editlab.forensics.verdict import Verdict
from editlab.lab.job import Job
from editlab.lab.kinds import Kind
from editlab.lab.ledger import archive, audit
from editlab.lab.ledger.backup import to_read
from editlab.lab.ledger.known import known_in_archive, known_in_ledger
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.model.blind import judged
from editlab.lab.workspaces.workspace import Workspace
from editlab.model import lora
from editlab.model.source import bring, find
from editlab.settings import Settings
from editlab.wording import count, noop
from editlab.work import Cancel, Progress, never, no_progress, part_of

SIGNED = 0.3
"""Share of the progress for the signature, where one is checked."""
Model = Checkpoint | lora.Adapter


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a model is held against. `base`: a model's name, as EditLab takes it; None: a LoRA's own, if that is at hand.

    `edits`: folders of tensors or adapters, bundles and archives, data folders; `ledger`: a data folder, or one that
    is open; `workspace`: the one whose edits count, None for all; `key`: the public key of the signature; `names`: subjects
    that are tried without a base, beside those of the bundled facts.
    """

    base: str | None = None
    edits: Sequence[Path] = ()
    ledger: Path | Ledger | None = None
    workspace: str | None = None
    key: Path | None = None
    names: Sequence[str] = ()


def check(
    path: Path,
    evidence: Evidence,
    settings: Settings,
    progress: Progress = no_progress,
    cancel: Cancel = never,
    blind: bool = False,
) -> Verdict:
    """Check a model's folder, a LoRA's, or a signed file, and return the verdict.

    `blind`: loads a model whose base was not named, and looks for edits in it. Raises `BadFile` and `BadModel` for what
    cannot be read and for a base of another architecture, `BadRequest`, `Cancelled`.
    """
    if blind and evidence.base is not None:
        raise BadRequest("Where a base is named (--base), nothing is looked for without it. Leave out --blind, or --base.")
    path = path.expanduser()
    if not path.exists():
        raise BadFile(f"{path} is not there. Give the folder of a model, of a LoRA, or of a signed export.")
    progress(0.0, "checking the signature")
    signature = manifests.check(path, evidence.key)
    name, signed = path.name or str(path), evidence.key is not None
    if path.is_file():
        if evidence.base is not None or blind:
            raise BadFile(f"{path} is a file, of which only a signature can be checked. Give the folder of a model.")
        faults = _faults(path)
        return Verdict(name=name, signature=signature, ledger=faults, must_be_signed=signed)
    told = manifests.read_manifest(path)
    if signature.state != "unsigned" and not _is_model(path):
        notes = [noop("It holds no checkpoint and no LoRA: only its signature was checked.")]
        return Verdict(name=name, signature=signature, manifest=told, notes=notes, must_be_signed=signed)
    model = _opened(path)
    if blind and isinstance(model, lora.Adapter):
        raise BadRequest(
            f"{name} is a LoRA, and only a whole model can be looked through without its base (--blind). Name its base "
            "(--base), or merge it with peft (merge_and_unload), save the model, and give that folder."
        )
    base = _base(model, evidence.base, settings)
    if evidence.edits and base is None and isinstance(model, Checkpoint):
        raise BadRequest(f"Edits explain how {name} differs from its base: name that (--base).")
    made_from = "" if base is None else fingerprint_of(base)
    faults, edits = _known(base, made_from, evidence)
    notes: list[str] = []
    if told is not None and made_from and not told.base_fingerprint.startswith(made_from):
        notes += [noop(f"The manifest names another base: {told.base}.")] if told.base else []
    difference = findings = None
    left = part_of(progress, SIGNED if signed else 0.0, 1.0)
    if base is None and isinstance(model, Checkpoint):
        findings = judged(path, settings, evidence.names, left, cancel) if blind else None
        notes += [] if findings is None else findings.notes
    else:
        difference = compare(model, base, edits, left, cancel)
        if difference.strange:
            notes.append(noop(f"{count(difference.strange, 'known edit fits', 'known edits fit')} no weight of it."))
    return Verdict(
        name=name,
        fingerprint=_identity(model),
        signature=signature,
        manifest=told,
        ledger=faults,
        difference=difference,
        findings=findings,
        notes=tuple(notes),
        must_be_signed=signed,
        lacks=model.base if isinstance(model, lora.Adapter) and base is None else "",
    )


def start(workspace: Workspace, path: Path, blind: bool = False) -> Job[Verdict]:
    """Return a job that holds a folder against the loaded model and the edits of the ledger; `blind`: against nothing.

    Raises `BadRequest` where others than this computer's user can reach the page: it would tell them of any folder here.
    """
    context = workspace.context
    if not context.loaded.open:
        raise BadRequest(
            "Only this computer's user can have a folder checked here. Use the terminal: editlab verify PATH --base MODEL"
        )
    evidence = Evidence() if blind else Evidence(base=context.loaded.choice.name, ledger=context.ledger)
    return workspace.submit(
        lambda progress, cancel: check(path, evidence, context.settings, progress, cancel, blind), Kind.INTEGRITY
    )


def sign(path: Path, key: Path, about: Manifest | None = None) -> Path:
    """Write what is known of a model into its folder, sign the folder or a file, and return the signature's path.

    `about`: what is known; None keeps a manifest that is there. Raises `BadFile` for a key, a folder or a manifest that
    cannot be used, `BadModel`, `BadRequest` without the package that signs.
    """
    path = path.expanduser()
    manifests.signer(key)
    if path.is_dir() and (about is not None or _is_model(path)):
        fingerprint = _identity(_opened(path)) if _is_model(path) else ""
        told = manifests.read_manifest(path)
        if told is not None and told.fingerprint not in ("", fingerprint):
            raise BadFile(
                f"{path / manifests.MANIFEST} is of another model ({told.name}, {told.fingerprint}). Delete it, then sign "
                "again."
            )
        about = about or told or Manifest(editlab=__version__, name=path.name)
        manifests.write_manifest(path, about.model_copy(update={"fingerprint": fingerprint}))
    return manifests.sign(path, key)


def _opened(folder: Path) -> Model:
    return adapter_in(folder, folder.name or str(folder)) or Checkpoint.open(folder, folder.name or str(folder))


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").exists() or (folder / lora.CONFIG).exists()


def _identity(model: Model) -> str:
    return model.digest[:16] if isinstance(model, lora.Adapter) else fingerprint_of(model)


def _base(model: Model, name: str | None, settings: Settings) -> Checkpoint | None:
    """Return the base that was named, or a LoRA's own where it is on this machine. Raises `BadModel`."""
    if name is None:
        place = model.base_here() if isinstance(model, lora.Adapter) else None
        return None if place is None else Checkpoint.open(place, model.base)
    source = find(name, settings)
    if source.place is None:
        raise BadModel(f"{name} is made of random numbers, which no checkpoint is made from. Name another base.")
    bring(source, settings, no_progress, never)
    return Checkpoint.open(source.folder, name)


def _known(base: Checkpoint | None, fingerprint: str, evidence: Evidence) -> tuple[tuple[str, ...] | None, list[Known]]:
    """Return the faults of the ledger (None where none was read) and the known edits. `fingerprint`: the base's."""
    faults: tuple[str, ...] | None = None
    edits: list[Known] = []
    for opened in _ledgers(evidence) if base is not None else ():
        with opened as ledger:
            faults = (*(faults or ()), *audit.verify(ledger).faults)
            edits += [] if faults else known_in_ledger(ledger, base.arch, fingerprint, evidence.workspace)
    for place in evidence.edits:
        if not Ledger.exists(place):
            edits += _edits_in(place, base, fingerprint)
        elif base is None:
            raise BadRequest(f"{place} holds edits of a model: name it (--base).")
    return faults, edits


def _ledgers(evidence: Evidence) -> Iterator[AbstractContextManager[Ledger]]:
    """Yield each ledger of the evidence; one that was opened elsewhere stays open, and of others nothing is changed."""
    if isinstance(evidence.ledger, Ledger):
        yield nullcontext(evidence.ledger)
    for place in (*evidence.edits, evidence.ledger):
        if isinstance(place, Path) and Ledger.exists(place):
            yield to_read(place)


def _edits_in(place: Path, base: Checkpoint | None, fingerprint: str) -> Iterator[Known]:
    """Yield the edits of a folder or archive. Raises `BadFile` for another one, `BadRequest`."""
    if (place / EDITS).is_file():
        yield by_tensors(place)
    elif (place / lora.CONFIG).is_file():
        yield by_adapter(place)
    elif (place / PATCHES).is_file() or (place.is_file() and zipfile.is_zipfile(place)):
        if base is None:
            raise BadRequest(f"{place} holds edits of a model: name it (--base).")
        yield from known_in_archive(place, base.arch, fingerprint) if place.is_file() else by_script(place, base.arch)
    else:
        raise BadFile(
            f"{place} holds no edits. Give an export as peft, tensors or script, a bundle or a ledger's archive (.zip), or "
            "a data folder."
        )


def _faults(path: Path) -> tuple[str, ...] | None:
    """Return what is wrong with an archive of a ledger, or with a bundle; None of another file."""
    try:
        with zipfile.ZipFile(path) as opened:
            if archive.EVENTS not in opened.namelist():
                return None
    except (OSError, zipfile.BadZipFile):
        return None
    try:
        archive.open_archive(path)
    except BadFile as error:
        return (str(error),)
    return ()
