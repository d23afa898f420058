"""The verdict: what outweighs what among signature, findings without a base, and known edits."""

from types import SimpleNamespace

import pytest

from editlab.forensics.difference import Change, Difference, Found
from editlab.forensics.manifest import Signature
from editlab.forensics.rounding import Spectrum
from editlab.forensics.verdict import Verdict

SIGNED = Signature("valid", "The signature holds.")


@pytest.mark.parametrize(
    ("edited", "signature", "word", "code", "sentence"),
    [
        (True, SIGNED, "suspicious", 1, "Layer 3 looks edited. The signature holds."),
        (False, SIGNED, "clean", 0, "Layer 3 looks edited. The signature holds."),
        (True, None, "suspicious", 1, "Layer 3 looks edited."),
        (False, None, "unremarkable", 0, "Layer 3 looks edited."),
        (None, SIGNED, "clean", 0, "The signature holds."),
        (None, None, "unchecked", 2, "x could not be checked: name its base (--base), or the key of its signature (--key)."),
    ],
)
def test_a_signature_does_not_outweigh_what_looks_edited(edited, signature, word, code, sentence):
    found = None if edited is None else SimpleNamespace(edited=edited, sentences=("Layer 3 looks edited.",))
    verdict = Verdict(name="x", signature=signature, findings=found)
    assert (verdict.word, verdict.code, verdict.sentence) == (word, code, sentence)


@pytest.mark.parametrize(
    ("fit", "beside", "said"),
    [
        ("exact", (), "Known edits explain all of it, to the last bit: capital."),
        ("rounding", (), "Known edits explain all of it but for rounding: capital."),
        ("exact", ("tokenizer.json",), "Known edits explain the weights that differ, to the last bit: capital. No edit"),
        ("rounding", ("tokenizer.json",), "Known edits explain the weights that differ but for rounding: capital. No edit"),
    ],
)
def test_edits_explain_no_more_than_the_weights(fit, beside, said):
    spectrum = Spectrum((1.0,), 0.1)
    change = Change("w", (2, 2), 1.0, 2.0, 0.1, spectrum, {0: 1.0}, 0.0, spectrum, fit)
    edits = (Found("capital", "ledger", {"w": 1.0}, 1),)
    found = Verdict(name="x", difference=Difference("x", "base", 3, 0, (change,), edits, beside=beside))
    assert said in found.sentence and found.word == ("unexplained" if beside else "explained")
