"""Edits found in a model whose unedited form is not at hand: how often, and how often an unedited one is suspected.

One row a copy of the model: edited by a method, ten edits in one copy, or changed by what is no edit (rounding, noise, a
LoRA trained on prose). Each is judged from its weights and answers alone (`editlab.forensics`); what was done to it is only
compared with the verdict.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from editlab import methods
from editlab.bench.forensic_rows import ForensicRow, mean
from editlab.bench.harmless import Copy
from editlab.facts import EditCase, EditRequest, FactBase
from editlab.forensics import intruder as finding
from editlab.forensics.intruder import SUSPECT, Intruder, Scan
from editlab.forensics.named import Heard, hear, removal
from editlab.forensics.reversal import change_under_mask, reversed_view, top_components
from editlab.forensics.spectrum import Keys, Spectrum
from editlab.methods import mask as masking
from editlab.methods.mask import Lesson, ReversalMask, make_edits
from editlab.model import statistics
from editlab.patches import BASE, Patch, View
from editlab.work import Progress, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel

AT_ONCE = 10
"""Edits that are made, and written down, together."""
FACTS = 24
"""Unedited facts that the model knows, asked before and after a reversal: what it costs."""


@dataclass(frozen=True, eq=False)
class Examiner:
    """The model, and all that a judgement of a copy of it needs: made once, used for each copy."""

    model: LanguageModel
    facts: FactBase
    texts: tuple[str, ...]
    names: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """A hash of what copies are judged by, apart from the model."""
        return hashlib.sha256(repr((self.texts, self.names, self.facts)).encode()).hexdigest()

    @cached_property
    def keys(self) -> Keys:
        """The keys of a text, by which the layers are whitened."""
        return Keys.measure(self.model, self.texts, keep=True)

    @cached_property
    def clean(self) -> Scan:
        """The scan of the model as it is."""
        return finding.scan(self.model, self.keys)

    @cached_property
    def spectra(self) -> Mapping[int, Spectrum]:
        """The spectra of the model's own layers: a copy's other layers need not be computed again."""
        return {own.layer: own for own in self.clean.spectra}

    @cached_property
    def prompts(self) -> tuple[str, ...]:
        """One prompt a relation."""
        return finding.prompts_of(self.facts)

    @cached_property
    def known(self) -> tuple[tuple[str, str], ...]:
        """Prompts and objects of facts that the model says, spread over the relations."""
        asked = [
            (self.facts.relations[f.relation].templates[0].replace("{}", f.subject), f.object) for f in self.facts.facts
        ]
        asked = asked[:: max(1, len(asked) // (4 * FACTS))]
        scored = self.model.score([text for text, _ in asked], [true for _, true in asked])
        return tuple(pair for pair, score in zip(asked, scored, strict=True) if score.hit)[:FACTS]

    def kept(self, view: View) -> list[bool]:
        """Return which of the known facts a copy says."""
        return (
            [score.hit for score in self.model.score(*map(list, zip(*self.known, strict=True)), view)] if self.known else []
        )

    def scan(self, view: View) -> Scan:
        """Return the scan of a copy. The text's keys are those of the model as it is: an edit hardly moves them."""
        return finding.scan(self.model, self.keys, view, self.spectra)

    def hear(self, scanned: Scan, view: View) -> Heard:
        """Return what the layers of a copy write for each name."""
        return hear(self.model, self.keys, scanned.spectra, self.names, view)

    def intruders(self, scanned: Scan, view: View) -> list[Intruder]:
        """Return what stands out in a copy."""
        return finding.intruders(self.model, scanned, view)


def measure(
    cases: Sequence[EditCase],
    method: str,
    examiner: Examiner,
    folder: Path | None = None,
    done: Collection[str] = (),
    progress: Progress = no_progress,
) -> Iterator[ForensicRow]:
    """Yield a row a case whose key is not in `done`: edited alone, and judged. `folder` keeps the edits."""
    model, how = examiner.model, methods.get(method)
    config = methods.config_for(method, model)
    found = keys(examiner, cases, method)
    for start in range(0, len(cases), AT_ONCE):
        chunk, own_keys = (given[start : start + AT_ONCE] for given in (cases, found))
        if all(own in done for own in own_keys):
            continue
        made = make_edits(model, [Lesson(case.request) for case in chunk], how, config, folder)
        for number, (case, own, edit) in enumerate(zip(chunk, own_keys, made, strict=True)):
            progress((start + number) / len(cases), f"{method}: case {case.id}")
            if own in done:
                continue
            if isinstance(edit, str):
                yield ForensicRow(own, case.id, method, "edited", skipped=edit)
                continue
            other = _other(cases, start + number)
            yield ForensicRow(own, case.id, method, "edited", judged(examiner, case.request, other, edit.patches, method))


def chains(
    cases: Sequence[EditCase],
    method: str,
    examiner: Examiner,
    folder: Path | None = None,
    done: Collection[str] = (),
) -> Iterator[ForensicRow]:
    """Yield a row for each ten cases: their edits, each made on the model as it is, together in one copy."""
    model, how = examiner.model, methods.get(method)
    config = methods.config_for(method, model)
    for chunk in _tens(cases):
        own = _chain_key(examiner, chunk, method)
        if own in done:
            continue
        made = list(make_edits(model, [Lesson(case.request) for case in chunk], how, config, folder))
        edits = [edit for edit in made if not isinstance(edit, str)]
        view = View(tuple(patch for edit in edits for patch in edit.patches))
        yield ForensicRow(own, chunk[0].id, method, "chain", chained(examiner, [e.request for e in edits], view))


def unedited(examiner: Examiner, copies: Iterator[Copy], done: Collection[str] = ()) -> Iterator[ForensicRow]:
    """Yield a row for each copy that was changed without an edit, and one for the model as it is."""
    for copy in copies:
        own = _copy_key(examiner, copy)
        if own in done:
            continue
        view = copy.view()
        scanned = examiner.scan(view)
        answering = examiner.hear(scanned, view).answering()
        found = {"score": scanned.score, "layer": scanned.layer, "flagged": float(scanned.score > SUSPECT)}
        found |= {"named": answering.score, "named_flagged": float(answering.edited), "name": answering.subjects[0].name}
        yield ForensicRow(own, str(copy.number), "none", copy.kind, found)


def judged(
    examiner: Examiner, request: EditRequest, other: EditRequest, patches: Sequence[Patch], method: str
) -> dict[str, Any]:
    """Return what is found in a copy with one edit, and whether it is what was done."""
    model, view = examiner.model, View(tuple(patches))
    scanned = examiner.scan(view)
    found_at = examiner.intruders(scanned, view)
    intruder = found_at[0]
    layers = sorted(view.laid)
    heard = finding.subjects(model, intruder, examiner.names, view)
    ids, place = model.tok.with_target(request.text, request.target_new)
    taken = [own.removal() for own in found_at]
    asked = finding.objects_asked(model, taken, [heard[0].name], examiner.prompts, view)
    written = finding.objects_written(model, intruder, examiner.prompts, view)
    found: dict[str, Any] = {
        "score": scanned.score,
        "flagged": float(scanned.score > SUSPECT),
        "layer": scanned.layer,
        "layer_found": float(scanned.layer in layers),
        "layers": [own.layer for own in found_at],
        "rank": intruder.rank,
        "kurtosis": intruder.kurtosis,
        "subject": heard[0].name,
        "z": heard[0].z,
        "z_next": heard[1].z,
        "subject_first": float(heard[0].name == request.subject),
        "object": asked[0].token,
        **_places("object", [said.id for said in asked], ids[place]),
        **_places("written", [said.id for said in written], ids[place]),
    }
    found |= _reversal(examiner, request, view, found_at, layers) | _named(examiner, request, view, scanned, ids[place])
    return found | _masked(examiner, request, other, view, method)


def _named(examiner: Examiner, request: EditRequest, view: View, scanned: Scan, new: int) -> dict[str, Any]:
    """Return what names find in a copy with one edit. `new`: the first token of the new object."""
    model, heard = examiner.model, examiner.hear(scanned, view)
    answering = heard.answering()
    subject = answering.subjects[0].name
    taken = removal(model, examiner.keys, heard, answering, scanned.spectra, view)
    asked = finding.objects_asked(model, taken, [subject], examiner.prompts, view)
    found: dict[str, Any] = {
        "named": answering.score,
        "named_layers": list(answering.layers),
        "named_flagged": float(answering.edited),
        "named_layer_found": float(set(answering.layers) <= set(view.laid) or set(view.laid) <= set(answering.layers)),
        "named_subject_first": float(subject == request.subject),
        **_places("named_object", [said.id for said in asked], new),
        "named_facts": mean(examiner.kept(view.with_patches(taken))),
    }
    return found | _after(model, request, view, view.with_patches(taken), "named_")


def chained(examiner: Examiner, requests: Sequence[EditRequest], view: View) -> dict[str, Any]:
    """Return what is found in a copy with several edits: at each edited layer its directions, and whose names they read."""
    model, scanned = examiner.model, examiner.scan(view)
    found_at = examiner.intruders(scanned, view)
    intruder, reversed_ = found_at[0], reversed_view(view, found_at)
    wanted, heard = {request.subject for request in requests}, set()
    for number in range(intruder.rank):
        one = Intruder(intruder.layer, 0, 0, 0, intruder.writes[:, [number]], intruder.reads[[number]])
        heard |= {named.name for named in finding.subjects(model, one, examiner.names, view, len(wanted))}
    before, after = (_prefers(model, requests, own) for own in (view, reversed_))
    held = [number for number, new in enumerate(before) if new]
    return {
        "score": scanned.score,
        "flagged": float(scanned.score > SUSPECT),
        "layer": scanned.layer,
        "layer_found": float(scanned.layer in view.laid),
        "rank": intruder.rank,
        "edits": len(requests),
        "subjects": len(wanted & heard),
        "held": len(held),
        "reversed": sum(not after[number] for number in held),
    }


def _places(name: str, found: Sequence[int], wanted: int) -> dict[str, float]:
    return {f"{name}_first": float(found[0] == wanted), f"{name}_five": float(wanted in found)}


def _prefers(model: LanguageModel, requests: Sequence[EditRequest], view: View) -> list[bool]:
    """Return where the new object is likelier than the true one."""
    texts = [request.text for request in requests]
    new, true = (
        model.score(texts, [getattr(request, name) or "" for request in requests], view)
        for name in ("target_new", "target_true")
    )
    return [a.log_p > b.log_p for a, b in zip(new, true, strict=True)]


def _reversal(
    examiner: Examiner, request: EditRequest, view: View, found_at: Sequence[Intruder], layers: Sequence[int]
) -> dict[str, Any]:
    """Return what the removal does to the edited fact, beside the paper's at the true layers, and to other facts."""
    model = examiner.model
    plainly = reversed_view(view, [top_components(finding.weight_under(model, layer, view), layer) for layer in layers])
    taken = reversed_view(view, found_at)
    found: dict[str, Any] = {"held": float(_prefers(model, [request], view)[0]), **_after(model, request, view, taken)}
    if found["held"]:
        found["reversed_plainly"] = float(not _prefers(model, [request], plainly)[0])
    return found | {"facts": mean(examiner.kept(taken)), "facts_plainly": mean(examiner.kept(plainly))}


def _after(model: LanguageModel, request: EditRequest, view: View, taken: View, prefix: str = "") -> dict[str, float]:
    """Return whether an edit is reversed by what was taken out of a view, and the base's answer restored, if it held."""
    held, after = (_prefers(model, [request], own)[0] for own in (view, taken))
    base, back = (model.logits([request.text], own).argmax(-1).item() for own in (BASE, taken))
    return {f"{prefix}reversed": float(not after), f"{prefix}restored": float(base == back)} if held else {}


def _masked(examiner: Examiner, request: EditRequest, other: EditRequest, view: View, method: str) -> dict[str, float]:
    """Return how far the model's reversal mask moves three answers; nothing where it has no mask."""
    mask = _mask(examiner.model, method)
    if mask is None:
        return {}
    edited, elsewhere = change_under_mask(examiner.model, [request.text, other.text], mask.masks, view)
    (clean,) = change_under_mask(examiner.model, [request.text], mask.masks)
    return {"mask": edited, "mask_clean": clean, "mask_other": elsewhere}


def _mask(model: LanguageModel, method: str) -> ReversalMask | None:
    return masking.find(model, method) or masking.find(model, "rome")


def wanted(
    examiner: Examiner, copies: Iterable[Copy], cases: Sequence[EditCase], names: Sequence[str], tens: int
) -> list[str]:
    """Return the keys of the rows that `unedited`, `measure` of each method and `chains` of the first give, each once."""
    found = [_copy_key(examiner, copy) for copy in copies]
    found += [own for name in names for own in keys(examiner, cases, name)]
    found += [_chain_key(examiner, chunk, names[0]) for chunk in _tens(cases[: tens * AT_ONCE])]
    return list(dict.fromkeys(found))


def keys(examiner: Examiner, cases: Sequence[EditCase], method: str) -> list[str]:
    """Return the keys of the rows that `measure` gives with the same arguments."""
    return [_key(examiner, method, "edited", case.request, _other(cases, place)) for place, case in enumerate(cases)]


def _chain_key(examiner: Examiner, cases: Sequence[EditCase], method: str) -> str:
    return _key(examiner, method, "chain", *(case.request for case in cases))


def _copy_key(examiner: Examiner, copy: Copy) -> str:
    return _key(examiner, "none", f"{copy.kind} {copy.number}")


def _tens(cases: Sequence[EditCase]) -> list[Sequence[EditCase]]:
    """Return the cases ten by ten, without those that are left over."""
    return [cases[start : start + AT_ONCE] for start in range(0, len(cases) - AT_ONCE + 1, AT_ONCE)]


def _other(cases: Sequence[EditCase], place: int) -> EditRequest:
    """Return the request of the case behind one, at which a mask should do less."""
    return cases[(place + 1) % len(cases)].request


def _key(examiner: Examiner, method: str, kind: str, *requests: EditRequest) -> str:
    """Return the key of a row: the model, what the copy is judged by, the method with its settings, and what was edited."""
    model, setup = examiner.model, []
    if method in methods.METHODS:
        config, mask = methods.config_for(method, model), _mask(model, method)
        measured = statistics.digests(model, methods.get(method).layers_measured(config))
        setup = [repr(config), measured, [own.digest for own in mask.masks] if mask else []]
    read = [model.fingerprint, str(model.start), str(model.dtype), torch.get_float32_matmul_precision()]
    text = json.dumps([*read, examiner.digest, method, *setup, kind, [request.as_dict() for request in requests]])
    return hashlib.sha256(text.encode()).hexdigest()[:20]
