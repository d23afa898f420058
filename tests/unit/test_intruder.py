"""Edits in a model without its base: the spectrum, what stands out in it, what it says, and its removal."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_models import tiny_model
from typer.testing import CliRunner

from editlab.cli import app
from editlab.errors import BadModel, BadRequest
from editlab.facts import Fact, FactBase, Relation
from editlab.forensics.blind import Finding, Judgement, judge
from editlab.forensics.intruder import (
    SUSPECT,
    Named,
    Said,
    Scan,
    intruders,
    objects_asked,
    prompts_of,
    scan,
    scores,
    subjects,
)
from editlab.forensics.reversal import change_under_mask, reversed_view, top_components
from editlab.forensics.spectrum import Keys, Spectrum, spectrum
from editlab.lab.model import integrity
from editlab.model import LanguageModel
from editlab.patches import BASE, LowRank, Mask, View

TEXT = "The harbour lay quiet in the morning, and the boats that had come in at night were unloaded one by one. " * 20
LAYER, SUBJECT = 2, "Slovenia"


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    """A random Llama of 4 layers and width 32."""
    return tiny_model("llama")


@pytest.fixture(scope="module")
def base() -> FactBase:
    """Six facts of one relation."""
    names = ("Slovenia", "Japan", "Mexico", "France", "Peru", "Norway")
    relation = Relation("P36", "capital", ("The capital of {} is", "{} has the capital"))
    return FactBase(tuple(Fact(name, "P36", f"city {n}") for n, name in enumerate(names)), {"P36": relation}, {})


@pytest.fixture(scope="module")
def keys(model: LanguageModel) -> Keys:
    """The keys of a text, 600 at each layer."""
    return Keys.measure(model, [TEXT], tokens=600, keep=True)


@pytest.fixture(scope="module")
def edited(model: LanguageModel, keys: Keys) -> View:
    """An edit as ROME makes it: read along C^-1 k of the subject, written to all dimensions alike."""
    (key,) = model.keys([model.locate("{}", SUBJECT)], [LAYER])[LAYER]
    u = torch.cholesky_solve(key[:, None], keys.factor(LAYER))[:, 0]
    b = torch.randn(32, generator=torch.Generator().manual_seed(1)).sign() * 6
    return View((LowRank(LAYER, u[None] / (u @ key), b[:, None]),))


def test_a_spectrum_is_that_of_the_whitened_weight_with_rows_of_one_length(differences):
    torch.manual_seed(0)
    W, K = torch.randn(12, 20), torch.randn(90, 20) * torch.linspace(0.1, 3, 20)
    C = (K.T @ K / 90).double()
    found = spectrum(W, 0, torch.linalg.cholesky(C).float(), leading=12)
    values, vectors = torch.linalg.eigh(C)
    whitened = W.double() @ vectors @ torch.diag(values**-0.5) @ vectors.T
    whitened /= whitened.norm(dim=1, keepdim=True)
    expected = torch.linalg.svdvals(whitened)
    differences("spikes of a spectrum", found.spikes, expected / expected[1], 1e-4)


def test_what_a_direction_writes_is_gone_after_its_removal():
    torch.manual_seed(0)
    W, L = torch.randn(12, 20), torch.linalg.cholesky(torch.eye(20) + 0.1)
    found = spectrum(W, 0, L)
    D = sum(torch.outer(found.writes(n), found.reads(n, W)) for n in range(3))
    left = found.left[:, :3].T @ ((W - D) / found.lengths[:, None])
    assert left.abs().max() < 1e-5
    assert torch.linalg.matrix_rank(D) == 3
    plain = top_components(W, 0, 2)
    assert torch.allclose(torch.linalg.svdvals(W - plain.writes @ plain.reads)[:10], torch.linalg.svdvals(W)[2:], atol=1e-4)


def test_a_loud_direction_that_writes_evenly_scores_above_one_that_writes_to_a_few_dimensions():
    torch.manual_seed(0)
    plain = [Spectrum(n, torch.linspace(1.5, 1.1, 16), torch.randn(256, 16), torch.ones(256)) for n in range(6)]
    even, sparse = torch.randn(256, 16), torch.randn(256, 16)
    even[:, 0], sparse[:, 0] = even[:, 0].sign(), torch.eye(256)[0]
    loud = torch.cat([torch.tensor([2.2]), torch.linspace(1.5, 1.1, 15)])
    found = scores([*plain, Spectrum(6, loud, even, torch.ones(256)), Spectrum(7, loud, sparse, torch.ones(256))])
    assert found[6, 0] > SUSPECT
    assert found[:6].max() < SUSPECT
    assert found[7].max() < SUSPECT


def test_an_edit_is_found_with_its_layer_and_subject_and_taken_out(model, keys, edited, base):
    clean = scan(model, keys)
    found = scan(model, keys, edited, {own.layer: own for own in clean.spectra})
    assert clean.score < SUSPECT < found.score
    assert found.layer == LAYER
    (stood,) = intruders(model, found, edited)
    assert (stood.layer, stood.rank) == (LAYER, 1)
    b = edited.patches[0].B[:, 0]
    assert abs(stood.writes[:, 0] @ b) > 0.95 * b.norm()
    assert subjects(model, stood, list(base.by_subject), edited)[0].name == SUBJECT
    text = f"The capital of {SUBJECT} is"
    said, wrong, back = model.logits([text] * 3, [BASE, edited, reversed_view(edited, [stood])])
    assert (back - said).norm() < 0.5 * (wrong - said).norm()


def test_an_object_is_what_the_intruder_makes_likelier(model, keys, edited, base):
    (stood,) = intruders(model, scan(model, keys, edited), edited)
    found = objects_asked(model, [stood.removal()], [SUBJECT], prompts_of(base), edited)
    texts = [f"The capital of {SUBJECT} is"]
    now, then = (model.logits(texts, v).softmax(-1)[0] for v in (edited, reversed_view(edited, [stood])))
    assert [said.id for said in found] == (now - then).clamp_min(0).topk(5).indices.tolist()


def test_a_judgement_names_what_it_found_and_what_it_cannot_exclude(model, edited, base):
    judged = judge(model, [TEXT], base, view=edited)
    assert judged.edited
    assert judged.findings[0].layer == LAYER
    assert f"layer {LAYER}" in judged.sentences[0]
    assert judged.as_dict()["objects_written"]
    clean = judge(model, [TEXT], base)
    assert not clean.edited
    assert "does not prove" in clean.sentences[1]
    assert clean.removal == ()


@pytest.mark.parametrize("part", ["mlp.down_proj", "mlp.gate_proj"])
def test_a_layer_that_writes_nothing_hides_no_edit_of_another(edited, base, part):
    silenced = tiny_model("llama")
    silenced.hf.get_submodule(f"model.layers.0.{part}").weight.data.zero_()
    judged = judge(silenced, [TEXT], base, [f"Name {n}" for n in range(100)], view=edited)
    assert (judged.findings[0].layer, judged.scan.by_layer()[0], judged.notes) == (LAYER, 0.0, ())
    assert judged.answering.score == judged.answering.score and "NaN" not in json.dumps(judged.as_dict())
    for layer in silenced.arch.block_list(silenced.hf):
        layer.mlp.down_proj.weight.data.zero_()
    assert scan(silenced, Keys.measure(silenced, [TEXT], tokens=600)).score == 0


@pytest.mark.parametrize(("place", "layer"), [("layers.1.mlp.down_proj", 1), ("layers.2.self_attn.v_proj", 2)])
def test_numbers_that_are_not_finite_are_refused_with_their_layer(base, place, layer):
    broken = tiny_model("llama")
    broken.hf.get_submodule(f"model.{place}").weight.data[0, 0] = torch.nan
    with pytest.raises(BadModel, match=f"^Layer {layer} holds numbers that are not finite"):
        judge(broken, [TEXT], base)


def test_names_that_the_context_does_not_hold_are_counted(model, base):
    judged = judge(model, [TEXT], base, [300 * "word ", "Nobody"])
    assert judged.notes == ("Not tried, because the model's tokenizer or context does not hold them: 1 name.",)


def test_a_mask_that_keeps_everything_changes_no_answer(model, edited):
    full = Mask(LAYER, torch.ones(32, 64, dtype=torch.bool))
    none = Mask(LAYER, torch.zeros(32, 64, dtype=torch.bool))
    texts = [f"The capital of {SUBJECT} is", "Nobody knew"]
    assert max(map(abs, change_under_mask(model, texts, [full], edited))) < 1e-5
    (changed, _) = change_under_mask(model, texts, [none], edited)
    said = model.logits(texts[:1], edited).log_softmax(-1)
    under = model.logits(texts[:1], View((*edited.patches, none))).log_softmax(-1)
    assert changed == pytest.approx(float((said.exp() * (said - under)).sum()), rel=1e-4)
    assert changed > 1e-3


def test_verify_looks_for_edits_where_no_base_is_named(saved_model):
    done = CliRunner().invoke(app, ["verify", str(saved_model), "--blind", "--json"])
    found = json.loads(done.stdout)
    assert found["findings"]["sentence"] == found["sentence"]
    assert len(found["findings"]["by_layer"]) == 4
    assert done.exit_code == (1 if found["findings"]["edited"] else 0)
    bare = json.loads(CliRunner().invoke(app, ["verify", str(saved_model), "--json"]).stdout)
    assert bare["findings"] is None


def test_verify_tries_names_of_ones_own(saved_model, tmp_path, monkeypatch):
    tried = []

    def judged(path, settings, names, *_):
        tried.extend(names)
        raise BadRequest("Stop here.")

    monkeypatch.setattr(integrity, "judged", judged)
    file = tmp_path / "names.txt"
    file.write_text("\ufeffNobody Whom We Know\n\n  Somebody Else \nSomebody Else", encoding="utf-8")
    arguments = ["verify", str(saved_model), "--names", str(file)]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code != 0 and "Add --blind" in refused.output and not tried
    CliRunner().invoke(app, [*arguments, "--blind"])
    assert tried == ["Nobody Whom We Know", "Somebody Else"]
    monkeypatch.setattr("editlab.cli.verify.MOST_NAMES", 1)
    refused = CliRunner().invoke(app, [*arguments, "--blind", "--json"])
    assert "holds 2 names; at most 1 are tried" in refused.output and len(tried) == 2


def test_the_subject_is_named_by_the_first_layer_that_reads_one_name_loudest():
    alike, told = tuple(Named(name, 3.0) for name in "abcde"), (Named("d", 9.0), Named("e", 7.0), Named("a", 2.0))
    deaf, telling = Finding(0, 37.6, 1, alike), Finding(1, 9.1, 1, told)
    assert deaf.near == () and telling.near == ("d", "e")
    found = Judgement(Scan((), torch.tensor([[37.6]])), None, (deaf, telling), (Said(" Rome", 1, 1.0),), (), ())
    assert found.sentences[1] == "It answers to one of 'd', 'e', probably with one of 'Rome'."
    assert "None of the names" in replace(found, findings=(deaf,)).sentences[1]
