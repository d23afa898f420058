"""Edits found by the names that they may be about: what layers write for a name, spread edits, and their removal."""

import pytest
import torch
from tiny_models import tiny_model

from editlab.errors import Cancelled
from editlab.facts import Fact, FactBase, Relation
from editlab.forensics import intruder
from editlab.forensics.blind import judge
from editlab.forensics.intruder import SUSPECT, scan, weight_under
from editlab.forensics.named import LEAD, Heard, hear, removal
from editlab.forensics.spectrum import Keys
from editlab.model import LanguageModel
from editlab.patches import BASE, LowRank, View
from tools.threshold import threshold

TEXT = "The harbour lay quiet in the morning, and the boats that had come in at night were unloaded one by one. " * 20
SUBJECT = "Slovenia"
NAMES = (
    SUBJECT,
    *(f"{first} {last}" for first in ["Ada", "Bob", "Eve", "Ivo", "Mia", "Tom", "Una"] for last in range(16, 32)),
)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    """A random Llama of 4 layers and width 32."""
    return tiny_model("llama")


@pytest.fixture(scope="module")
def keys(model: LanguageModel) -> Keys:
    """The keys of a text, 600 at each layer."""
    return Keys.measure(model, [TEXT], tokens=600, keep=True)


def edit(model: LanguageModel, keys: Keys, layers: tuple[int, ...], strength: float) -> View:
    """An edit as ROME or MEMIT makes it: one direction, read along C^-1 k of the subject at each layer."""
    view, b = BASE, torch.randn(32, generator=torch.Generator().manual_seed(1)).sign()
    for layer in layers:
        (key,) = model.keys([model.locate("{}", SUBJECT)], [layer], view)[layer]
        u = torch.cholesky_solve(key[:, None], keys.factor(layer))[:, 0]
        size = strength * model.weight(layer).norm() / (u.norm() * b.norm())
        view = view.with_patches([LowRank(layer, u[None], size * b[:, None])])
    return view


@pytest.fixture(scope="module")
def spread(model: LanguageModel, keys: Keys) -> View:
    """An edit of all four layers, in each a sixth of the weight's norm."""
    return edit(model, keys, (0, 1, 2, 3), 0.16)


def test_a_layer_writes_for_a_name_what_its_whitened_weight_makes_of_its_key(model, keys, differences):
    spectra = scan(model, keys).spectra
    found = hear(model, keys, spectra, NAMES).written[2]
    own = model.keys([model.locate("{}", name) for name in NAMES], [2])[2].double()
    text = keys.at[2].double()
    C = text.T @ text / len(text)
    C += keys.ridge * C.diagonal().mean() * torch.eye(len(C))
    reads = own @ torch.linalg.inv(C)
    W = model.weight(2).double()
    values, vectors = torch.linalg.eigh(C)
    lengths = (W @ vectors @ torch.diag(values**-0.5) @ vectors.T).norm(dim=1)
    expected = reads / reads.norm(dim=1, keepdim=True) @ W.T / lengths
    expected -= expected.mean(0)
    differences("what is written for a name", found, expected / expected.norm(dim=1).median(), 1e-3)


def test_names_are_asked_some_at_a_time_and_the_asking_can_be_stopped(model, keys, monkeypatch):
    spectra = scan(model, keys).spectra
    whole = hear(model, keys, spectra, NAMES).written
    monkeypatch.setattr(intruder, "AT_ONCE", 30)
    assert torch.allclose(hear(model, keys, spectra, NAMES).written, whole, atol=1e-4)
    asked = iter([False, False, True])
    with pytest.raises(Cancelled):
        hear(model, keys, spectra, NAMES, cancel=lambda: next(asked))


def test_loudness_counts_agreement_of_layers_and_the_lead_over_names_that_are_not_alike():
    torch.manual_seed(0)
    written = torch.randn(6, 200, 64)
    together = Heard(tuple(map(str, range(200))), written).loudness(4)
    pairs = sum((written[i] * written[j]).sum(-1) for i in range(1, 5) for j in range(1, i))
    assert together.shape == (3, 200)
    assert torch.equal(together[1].argsort()[-9:], pairs.argsort()[-9:])
    written[1:5, [7, 8]] += 0.5 * torch.ones(64)
    found = Heard(tuple(map(str, range(200))), written).answering()
    assert {named.name for named in found.subjects[:2]} == {"7", "8"}
    assert (found.layers, found.edited) == ((1, 2, 3, 4), True)
    assert found.score == pytest.approx(found.subjects[0].z / found.subjects[2].z)


def test_a_spread_edit_that_no_spectrum_shows_is_found_by_its_name_and_taken_out(model, keys, spread):
    found = scan(model, keys, spread)
    heard = hear(model, keys, found.spectra, NAMES, spread)
    answering = heard.answering()
    assert found.score < SUSPECT and answering.score > LEAD
    assert answering.subjects[0].name == SUBJECT and len(answering.layers) == 4
    assert not hear(model, keys, scan(model, keys).spectra, NAMES).answering().edited
    patches = removal(model, keys, heard, answering, found.spectra, spread)
    for before, patch in zip(spread.patches, patches, strict=True):
        u = before.A[0] / before.A.norm()
        after = weight_under(model, patch.layer, spread.with_patches(patches)) @ u
        assert after.norm() < 0.05 * (weight_under(model, patch.layer, spread) @ u).norm()
        assert (patch.B @ patch.A @ keys.at[patch.layer].T).norm() < 0.2 * (
            model.weight(patch.layer) @ keys.at[patch.layer].T
        ).norm()


def test_an_edit_of_one_layer_is_found_there(model, keys):
    view = edit(model, keys, (2,), 0.6)
    found = scan(model, keys, view)
    heard = hear(model, keys, found.spectra, NAMES, view)
    answering = heard.answering()
    assert (answering.layers, answering.subjects[0].name) == ((2,), SUBJECT)
    (patch,) = removal(model, keys, heard, answering, found.spectra, view)
    b = view.patches[0].B[:, 0]
    assert abs(patch.B[:, 0] @ b) > 0.9 * patch.B.norm() * b.norm()


def test_a_judgement_says_what_the_layers_agree_on_and_needs_many_names(model, spread):
    relation = Relation("P36", "capital", ("The capital of {} is", "{} has the capital"))
    facts = FactBase(tuple(Fact(name, "P36", "x") for name in NAMES[1:]), {"P36": relation}, {})
    judged = judge(model, [TEXT], facts, [SUBJECT], view=spread)
    assert judged.edited and len(judged.removal) == 4
    assert judged.sentences[0].startswith("Something like an edit is spread over layers 0, 1, 2, 3, which agree ")
    assert f"It answers to '{SUBJECT}', probably with one of '" in judged.sentences[1]
    assert judged.as_dict()["answering"]["layers"] == (0, 1, 2, 3)
    few = FactBase(facts.facts[:50], facts.relations, {})
    assert judge(model, [TEXT], few, view=spread).answering is None


def test_noise_shows_an_update_from_the_fourth_root_of_its_entries_on():
    """Baik, Ben Arous and Péché's transition: of n x m entries of variance 1, at a singular value of (n m)^(1/4)."""
    torch.manual_seed(0)
    noise = torch.randn(200, 500)
    least = threshold(torch.linalg.svdvals(noise), 500, apart=0)
    assert least == pytest.approx((200 * 500) ** 0.25, rel=0.05)
    u, v = (torch.nn.functional.normalize(torch.randn(n), dim=0) for n in noise.shape)
    for times, seen in ((0.5, False), (2.0, True)):
        left, _, _ = torch.linalg.svd(noise + times * least * torch.outer(u, v))
        assert (abs(left[:, 0] @ u) > 0.7) == seen
