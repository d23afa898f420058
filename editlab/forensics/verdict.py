"""All that was checked of a model as one verdict: a word, a sentence, an exit status, and the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from editlab.forensics.difference import Change, Difference
from editlab.forensics.manifest import Manifest, Signature
from editlab.forensics.rounding import Spectrum
from editlab.wording import count, noop

Word = Literal["clean", "explained", "unexplained", "untrusted", "suspicious", "unremarkable", "unchecked"]
"""Nothing differs, or all is as signed; known edits explain all that differs; they do not; a signature, manifest or ledger
does not hold; without a base, the weights look edited, whoever signed them, or nothing stands out, which proves nothing;
there was nothing to hold it against."""
CODES: Mapping[Word, int] = {
    "clean": 0,
    "explained": 0,
    "unexplained": 1,
    "untrusted": 1,
    "suspicious": 1,
    "unremarkable": 0,
    "unchecked": 2,
}
"""The exit status of `editlab verify`."""
NAMED, MOST_VALUES = 3, 64
"""How many edits or weights a sentence names, and how many singular values JSON holds."""
MOST_EXPLAINED = 0.9999
"""The share that a sentence gives at most where something is left, so that none rounds to all."""


class Findings(Protocol):
    """What a check without a base found."""

    @property
    def edited(self) -> bool:
        """Whether the weights look edited."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The finding in words."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know beside it, a sentence each."""

    def as_dict(self) -> Mapping[str, Any]:
        """Return all of it for `--json`."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is known of a model after all checks. A part is None where it was not checked; `ledger`: its faults.

    `fingerprint`: of the weights as they are; `notes`: what to know beside the verdict, a sentence each; `lacks`: the base
    that a LoRA names, where it is not here.
    """

    name: str
    fingerprint: str = ""
    signature: Signature | None = None
    manifest: Manifest | None = None
    ledger: Sequence[str] | None = None
    difference: Difference | None = None
    findings: Findings | None = None
    notes: Sequence[str] = ()
    must_be_signed: bool = False
    lacks: str = ""

    @property
    def word(self) -> Word:
        """The verdict in a word."""
        if self._distrust():
            return "untrusted"
        if self._held is not None:
            if self._held.is_none:
                return "clean"
            return "explained" if self._held.is_explained else "unexplained"
        if self.findings is not None and self.findings.edited:
            return "suspicious"
        if self._is_signed:
            return "clean"
        return "unchecked" if self.findings is None else "unremarkable"

    @property
    def code(self) -> int:
        """The exit status."""
        return CODES[self.word]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict in a sentence or a few."""
        distrust = self._distrust()
        if distrust:
            return distrust
        if self._held is not None:
            return described(self._held)
        found = () if self.findings is None else tuple(self.findings.sentences)
        if self.signature is not None and self._is_signed:
            found = (*found, self.signature.sentence)
        return found or (self._unchecked,)

    @property
    def _unchecked(self) -> str:
        if self.lacks:
            return noop(
                f"{self.name} could not be checked: its base {self.lacks} is not here. Name it (--base), or the key of its "
                "signature (--key)."
            )
        return noop(f"{self.name} could not be checked: name its base (--base), or the key of its signature (--key).")

    @property
    def _held(self) -> Difference | None:
        """The difference, where it was held against anything: what a LoRA adds is not known to be wrong by itself."""
        found = self.difference
        return found if found is None or found.base is not None or found.known or found.is_none else None

    @property
    def sentence(self) -> str:
        """The verdict as one text."""
        return " ".join(self.sentences)

    def _distrust(self) -> tuple[str, ...]:
        """Return why the papers that came with the model are not to be trusted, a sentence each."""
        found = []
        if self.signature is not None and (self.signature.is_bad or self._lacks_signature):
            found.append(self.signature.sentence)
        if self.manifest is not None and self.fingerprint and self.manifest.fingerprint != self.fingerprint:
            found.append(
                noop(
                    f"The manifest is of another model: it names {self.manifest.name} with the fingerprint "
                    f"{self.manifest.fingerprint}, and these weights have {self.fingerprint}."
                )
            )
        if self.ledger:
            found.append(noop(f"The ledger is not as it was written: {self.ledger[0]}"))
        return tuple(found)

    @property
    def _is_signed(self) -> bool:
        return self.signature is not None and self.signature.state == "valid"

    @property
    def _lacks_signature(self) -> bool:
        return self.must_be_signed and self.signature is not None and self.signature.state == "unsigned"

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        signed = None if self.signature is None else {"state": self.signature.state, "files": list(self.signature.files)}
        return {
            "verdict": self.word,
            "sentence": self.sentence,
            "code": self.code,
            "model": self.name,
            "fingerprint": self.fingerprint,
            "signature": signed,
            "manifest": None if self.manifest is None else self.manifest.model_dump(mode="json"),
            "ledger": None if self.ledger is None else {"ok": not self.ledger, "faults": list(self.ledger)},
            "difference": None if self.difference is None else _difference(self.difference),
            "findings": None if self.findings is None else self.findings.as_dict(),
            "notes": list(self.notes),
        }


def described(found: Difference) -> tuple[str, ...]:
    """Return in a sentence or a few how a model differs from its base, and what explains it."""
    than, n = found.base or noop("its base"), len(found.changes)
    if found.is_none:
        parts = [noop(f"Nothing differs: {count(found.compared, 'weight is', 'weights are')} as in {than}.")]
        return (*parts, noop(f"Stored in another precision: {found.rounded:,}.")) if found.rounded else tuple(parts)
    weights = count(found.compared, "weight")
    parts = [noop(f"{n:,} of {weights} differs from {than}." if n == 1 else f"{n:,} of {weights} differ from {than}.")]
    others = [*found.beside, *found.added, *found.missing]
    parts += [noop(f"Beside the weights that both have, these differ: {_listed(others)}.")] if others else []
    return (*parts, *_explained(found))


def _explained(found: Difference) -> tuple[str, ...]:
    """Return in sentences what known edits explain of the changes, and what they leave."""
    left = [change for change in found.changes if not change.is_explained]
    names = _listed([own.name for own in found.edits])
    if not found.edits:
        return (noop(f"No known edit explains it: {_largest(left, left=False)}."),) if left else ()
    if left:
        explained = min(found.explained, MOST_EXPLAINED)
        told = noop(f"Known edits explain {explained:.2%} of the squared change: {names}.")
        return told, noop(f"What is left: {_largest(left, left=True)}.")
    exact = all(change.fit == "exact" for change in found.changes)
    if found.is_explained:
        if exact:
            return (noop(f"Known edits explain all of it, to the last bit: {names}."),)
        return (noop(f"Known edits explain all of it but for rounding: {names}."),)
    rest = noop("No edit of weights explains the rest.")
    if exact:
        return noop(f"Known edits explain the weights that differ, to the last bit: {names}."), rest
    return noop(f"Known edits explain the weights that differ but for rounding: {names}."), rest


def _largest(changes: Sequence[Change], left: bool) -> str:
    """Return the largest of these changes in a few words, or of what is `left` of them."""
    most = max(changes, key=lambda change: change.left_norm if left else change.norm)
    if not math.isfinite(most.norm):
        return noop(f"{most.name} holds numbers that are not finite")
    rank = ranked(most.left if left else most.spectrum)
    if not most.base_norm:
        return f"{most.name}, {rank}"
    share = (most.left_norm if left else most.norm) / most.base_norm
    others = len(changes) - 1
    if others:
        return noop(f"{most.name}, {rank}, {share:.2%} of its size; and {count(others, 'more weight')}")
    return noop(f"{most.name}, {rank}, {share:.2%} of its size")


def ranked(spectrum: Spectrum) -> str:
    """Return the rank of a change in a few words."""
    if not spectrum.rank:
        return noop("no direction above rounding")
    return noop(f"rank {spectrum.rank}" if spectrum.whole else f"rank {spectrum.rank} or more")


def _listed(names: Sequence[str], most: int = NAMED) -> str:
    shown = ", ".join(names[:most])
    return noop(f"{shown} and {len(names) - most:,} more") if len(names) > most else shown


def _difference(found: Difference) -> dict[str, Any]:
    return {
        "base": found.base,
        "compared": found.compared,
        "other_precision": found.rounded,
        "explained": found.explained,
        "added": list(found.added),
        "missing": list(found.missing),
        "beside": list(found.beside),
        "edits_known": found.known,
        "edits_of_other_shape": found.strange,
        "edits": [
            {"name": own.name, "source": own.source, "weights": own.of, "coefficients": dict(own.coefficients)}
            for own in found.edits
        ],
        "changes": [_change(change) for change in found.changes],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "name": change.name,
        "layer": change.layer,
        "shape": list(change.shape),
        "norm": change.norm,
        "relative": change.relative,
        "noise": change.noise,
        "fit": change.fit,
        "explained": change.explained,
        "spectrum": _spectrum(change.spectrum),
        "left": {"norm": change.left_norm, **_spectrum(change.left)},
    }


def _spectrum(spectrum: Spectrum) -> dict[str, Any]:
    return {
        "rank": spectrum.rank,
        "whole": spectrum.whole,
        "effective_rank": spectrum.effective,
        "floor": spectrum.floor,
        "values": list(spectrum.values[:MOST_VALUES]),
    }
