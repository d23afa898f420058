"""All that was checked of a model as one verdict: a word, a sentence, an exit status, and the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from editlab.forensics.difference import Change, Difference
from editlab.forensics.manifest import Manifest, Signature
from editlab.forensics.rounding import Spectrum
from editlab.wording import count

Word = Literal["clean", "explained", "unexplained", "untrusted", "suspicious", "unchecked"]
"""Nothing differs, or all is as signed; known edits explain all that differs; they do not; a signature, manifest or ledger
does not hold; without a base, the weights look edited; there was nothing to hold it against."""
CODES: Mapping[Word, int] = {
    "clean": 0,
    "explained": 0,
    "unexplained": 1,
    "untrusted": 1,
    "suspicious": 1,
    "unchecked": 2,
}
"""The exit status of `editlab verify`."""
NAMED, MOST_VALUES = 3, 64
"""How many edits or weights a sentence names, and how many singular values JSON holds."""


class Findings(Protocol):
    """What a check without a base found (`intruder.py`)."""

    @property
    def is_suspicious(self) -> bool:
        """Whether the weights look edited."""

    @property
    def sentence(self) -> str:
        """The finding in words."""

    def as_json(self) -> Mapping[str, Any]:
        """Return all of it for `--json`."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is known of a model after all checks. A part is None where it was not checked; `ledger`: its faults.

    `fingerprint`: of the weights as they are; `notes`: what to know beside the verdict, a sentence each.
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

    @property
    def word(self) -> Word:
        """The verdict in a word."""
        if self._distrust():
            return "untrusted"
        if self.difference is not None:
            if self.difference.is_none:
                return "clean"
            return "explained" if self.difference.is_explained else "unexplained"
        if self.signature is not None and self.signature.state == "valid":
            return "clean"
        if self.findings is not None:
            return "suspicious" if self.findings.is_suspicious else "clean"
        return "unchecked"

    @property
    def code(self) -> int:
        """The exit status."""
        return CODES[self.word]

    @property
    def sentence(self) -> str:
        """The verdict in a sentence or two."""
        distrust = self._distrust()
        if distrust:
            return " ".join(distrust)
        if self.difference is not None:
            return described(self.difference)
        if self.signature is not None and self.signature.state == "valid":
            return self.signature.sentence
        if self.findings is not None:
            return self.findings.sentence
        return f"{self.name} could not be checked: name its base (--base), or the key of its signature (--key)."

    def _distrust(self) -> list[str]:
        """Return why the papers that came with the model are not to be trusted, a sentence each."""
        found = []
        if self.signature is not None and (self.signature.is_bad or self._lacks_signature):
            found.append(self.signature.sentence)
        if self.manifest is not None and self.fingerprint and self.manifest.fingerprint != self.fingerprint:
            found.append(
                f"The manifest is of another model: it names {self.manifest.name} with the fingerprint "
                f"{self.manifest.fingerprint}, and these weights have {self.fingerprint}."
            )
        if self.ledger:
            found.append(f"The ledger is not as it was written: {self.ledger[0]}")
        return found

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
            "findings": None if self.findings is None else self.findings.as_json(),
            "notes": list(self.notes),
        }


def described(found: Difference) -> str:
    """Return in a sentence or two how a model differs from its base, and what explains it."""
    than = found.base or "its base"
    if found.is_none:
        stored = f", {found.rounded:,} of them in another precision" if found.rounded else ""
        return f"Nothing differs: {count(found.compared, 'weight is', 'weights are')} as in {than}{stored}."
    differ = (
        f"{len(found.changes):,} of {count(found.compared, 'weight')} {'differs' if len(found.changes) == 1 else 'differ'}"
    )
    parts = [f"{differ} from {than}." if found.base else f"It changes {count(len(found.changes), 'weight')}."]
    parts += [f"{_extra(found)} as well."] if _extra(found) else []
    edits = f"{count(len(found.edits), 'known edit')} ({_listed([own.name for own in found.edits])})"
    left = [change for change in found.changes if not change.is_explained]
    verb = "explains" if len(found.edits) == 1 else "explain"
    if not left and found.edits:
        exact = all(change.fit == "exact" for change in found.changes)
        parts.append(f"{edits} {verb} all of it{', to the last bit' if exact else ' but for rounding'}.")
    elif found.edits:
        parts.append(f"{edits} {verb} {found.explained:.1%} of the squared change. What is left: {_largest(left, True)}.")
    elif left:
        parts.append(f"No known edit explains it: {_largest(left, False)}.")
    return " ".join(parts)


def _extra(found: Difference) -> str:
    """Return what differs beside the weights that both have."""
    told = list(found.beside)
    told += [f"{len(found.added):,} more weights ({_listed(found.added)})"] if found.added else []
    told += [f"{len(found.missing):,} missing weights ({_listed(found.missing)})"] if found.missing else []
    text = _listed(told, len(told))
    return f"{text[:1].upper()}{text[1:]} differ" if told else ""


def _largest(changes: Sequence[Change], left: bool) -> str:
    """Return the largest of these changes in a few words, or of what is left of them."""
    size = (lambda change: change.left_norm) if left else (lambda change: change.norm)
    most = max(changes, key=size)
    others = f"; {count(len(changes) - 1, 'more weight')}" if len(changes) > 1 else ""
    if not math.isfinite(most.norm):
        return f"{most.name} holds numbers that are not finite{others}"
    spectrum = most.left if left else most.spectrum
    share = f", {size(most) / most.base_norm:.2%} of the weight's size" if most.base_norm else ""
    return f"{most.name}, {ranked(spectrum)}{share}{others}"


def ranked(spectrum: Spectrum) -> str:
    """Return the rank of a change in a few words."""
    if not spectrum.rank:
        return "no direction above rounding"
    return f"rank {spectrum.rank}" if spectrum.whole else f"rank {spectrum.rank} or more"


def _listed(names: Sequence[str], most: int = NAMED) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


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
