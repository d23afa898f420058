"""`bench forensics`: the ROC, copies without an edit, and rows that are measured once."""

import copy
import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from typer.testing import CliRunner

from editlab import methods
from editlab.bench import forensics, harmless
from editlab.bench.forensic_rows import ForensicRow, false_alarms, summary
from editlab.bench.forensics import Examiner
from editlab.bench.roc import auc, auc_interval, curve
from editlab.cli import app
from editlab.cli.bench.forensics import CHAIN
from editlab.facts import EditCase, EditRequest
from editlab.forensics.intruder import Named
from editlab.methods import mask as masking
from editlab.methods.mask import ReversalMask
from editlab.model import measuring
from editlab.patches import BASE, Mask

CASES = [
    EditCase(EditRequest("{} belongs to the continent of", name, "Antarctica", "Europe"), name)
    for name in ("Slovenia", "France", "Norway")
]
TEXT = "The harbour lay quiet in the morning, and the boats that had come in at night were unloaded one by one. " * 20


@pytest.fixture(scope="module")
def examiner(tiny_llama, facts) -> Examiner:
    """The tiny model, asked about three relations."""
    relations = dict(list(facts.relations.items())[:3])
    few = replace(facts, relations=relations, facts=tuple(f for f in facts.facts if f.relation in relations)[:40])
    return Examiner(tiny_llama, few, (TEXT,), ("Slovenia", "France", "Norway", "Peru"))


def test_an_area_counts_pairs_in_order_and_ties_by_half():
    assert auc([2, 3], [0, 1]) == 1
    assert auc([1], [1]) == 0.5
    assert auc([0.2, 0.9, 0.5], [0.5, 0.1]) == pytest.approx((1 + 2 + 1.5) / 6)
    with pytest.raises(ValueError, match="both kinds"):
        auc([], [1.0])
    low, high = auc_interval([0.2, 0.9, 0.5, 0.7], [0.5, 0.1, 0.3], resamples=200)
    assert 0 <= low < auc([0.2, 0.9, 0.5, 0.7], [0.5, 0.1, 0.3]) <= high <= 1


def test_the_area_below_the_curve_is_the_area():
    positive, negative = [0.2, 0.9, 0.5, 0.5], [0.5, 0.1, 0.3]
    points = curve(positive, negative)
    assert (points[0], points[-1]) == ((0.0, 0.0), (1.0, 1.0))
    below = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))
    assert below == pytest.approx(auc(positive, negative))


def test_a_tuned_copy_is_another_model_and_leaves_the_model_as_it_was(tiny_llama):
    before = tiny_llama.weights_hash()
    view = harmless.tune(tiny_llama, [TEXT], rank=4, seed=0, steps=3)
    assert tiny_llama.weights_hash() == before
    assert not any(p.requires_grad for p in tiny_llama.hf.parameters())
    assert [patch.A.shape[0] for patch in view.patches] == [4] * 4
    said, tuned = tiny_llama.logits([TEXT[:40]] * 2, [BASE, view])
    assert (said - tuned).abs().max() > 1e-3


def test_copies_without_an_edit_are_of_every_kind_and_differ(tiny_llama):
    made = list(harmless.copies(tiny_llama, [TEXT], 9))
    assert [copy.kind for copy in made] == ["as it is", *["rounded"] * 2, *["LoRA"] * 3, *["noise"] * 3]
    first, second = (copy.view().patches[0].D for copy in made[-2:])
    assert not torch.equal(first, second)
    share = made[-1].view().patches[0].D.std() / tiny_llama.weight(0).std()
    assert share == pytest.approx(harmless.NOISES[0], rel=0.1)


def test_rows_are_measured_once_and_say_what_was_found(examiner, monkeypatch, tmp_path):
    monkeypatch.setitem(examiner.model.preset, "rome", {"layers": [2], "steps": 2, "contexts": 2})
    rows = {row.key: row for row in forensics.measure(CASES, "rome", examiner, tmp_path)}
    assert len(rows) == 3
    assert all(0 <= row.found["layer"] < 4 and row.found["layers"] for row in rows.values())
    assert list(forensics.measure(CASES, "rome", examiner, tmp_path, rows)) == []
    clean = list(forensics.unedited(examiner, iter(list(harmless.copies(examiner.model, [TEXT], 3))[:2])))
    assert [row.kind for row in clean] == ["as it is", "rounded"]
    line = summary([ForensicRow.from_json(row.as_json()) for row in rows.values()], clean)
    assert (line["n"], line["skipped"]) == (3, 0)
    assert line["layer_found"] == sum(row.found["layer"] == 2 for row in rows.values()) / 3
    assert line["auc_ci"][0] <= line["auc"] <= line["auc_ci"][1]
    assert false_alarms(clean)[0]["n"] == 1


def test_a_chain_counts_the_subjects_that_its_directions_answer_to(examiner, monkeypatch):
    monkeypatch.setitem(examiner.model.preset, "rome", {"layers": [2], "steps": 2, "contexts": 2})
    monkeypatch.setattr(forensics, "AT_ONCE", 3)
    heard = [Named("France", 9.0), Named("Peru", 5.0), Named("Slovenia", 4.0)]
    monkeypatch.setattr(forensics.finding, "subjects", lambda *given: heard)
    (row,) = forensics.chains(CASES, "rome", examiner)
    assert (row.found["edits"], row.found["subjects"]) == (3, 2)
    assert row.found["reversed"] <= row.found["held"]


def test_the_command_writes_rows_and_a_table_and_refuses_what_holds_no_case(saved_model, tmp_path):
    data = tmp_path / "cases.csv"
    data.write_text("subject,prompt,target_new,target_true\nSlovenia,{} lies in,Asia,Europe\n", encoding="utf-8")
    call = ["bench", "forensics", "--data", str(data), "--methods", "rome", "--clean", "0", "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(app, [*call, "--model", str(saved_model), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"][0]["n"] == 1
    assert (tmp_path / "o" / "forensics.md").read_text().startswith("# Edits found without the base")
    data.write_text("subject,prompt,target_new\n", encoding="utf-8")
    assert CliRunner().invoke(app, [*call, "--model", str(saved_model), "--json"]).exit_code == 2


@pytest.mark.parametrize(("name", "said"), [("ft_l", "ft_l writes none there"), ("romme", "There is no method 'romme'")])
def test_a_method_that_cannot_be_judged_is_refused_before_anything_is_measured(tmp_path, name, said):
    data = tmp_path / "cases.csv"
    data.write_text("subject,prompt,target_new,target_true\nSlovenia,{} lies in,Asia,Europe\n", encoding="utf-8")
    call = ["bench", "forensics", "--data", str(data), "--methods", f"rome,{name}", "--model", "nowhere", "--json"]
    refused = json.loads(CliRunner().invoke(app, call).stdout)
    assert refused["error"] == "BadRequest" and said in refused["message"]


def test_a_table_has_the_rows_that_were_asked_for_and_no_others_of_its_folder(saved_model, tmp_path, monkeypatch):
    data = tmp_path / "cases.csv"
    lines = ("Slovenia,{} lies in,Asia,Europe", "France,{} lies in,Asia,Europe", "Norway,{} lies in,Asia,Europe")
    data.write_text("\n".join(("subject,prompt,target_new,target_true", *lines)), encoding="utf-8")
    monkeypatch.setattr(forensics, "AT_ONCE", 2)
    monkeypatch.setattr(forensics, "make_edits", lambda model, lessons, *given: ["skipped"] * len(lessons))
    monkeypatch.setattr(forensics, "chained", lambda *given: dict.fromkeys(CHAIN, 0))
    whole = ["bench", "forensics", "--data", str(data), "--model", str(saved_model), "--out", str(tmp_path / "o"), "--json"]

    def told(*given):
        done = CliRunner().invoke(app, [*whole, "--methods", "rome", *given])
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        return [line["skipped"] for line in found["rows"]], [line["kind"] for line in found["clean"]], len(found["chains"])

    assert told("--clean", "1", "--limit", "2", "--chains", "1") == ([2], ["as it is", "rounded"], 1)
    assert told("--clean", "0", "--limit", "1") == ([1], [], 0)
    monkeypatch.setenv("EDITLAB_START", "\u21b5")
    assert told("--clean", "0", "--limit", "1") == ([1], [], 0)


@pytest.mark.parametrize(
    "other", ["statistics", "dtype", "matmul", "names", "texts", "facts", "mask", "case behind", "nothing"]
)
def test_a_row_has_a_key_of_all_that_shapes_it(examiner, tmp_path, monkeypatch, other):
    model, cases = replace(examiner.model, masks=(tmp_path,), statistics=(tmp_path,)), CASES[:2]
    own = replace(examiner, model=model)
    before = forensics.keys(own, cases, "rome")
    match other:
        case "statistics":
            layers = methods.config_for("rome", model).layers
            measuring.collect(model, layers, TEXT, 200, tmp_path)
        case "dtype":
            own = replace(own, model=replace(model, hf=copy.deepcopy(model.hf).bfloat16()))
        case "matmul":
            monkeypatch.setattr("torch.get_float32_matmul_precision", lambda: "medium")
        case "names":
            own = replace(own, names=(*own.names, "Chad"))
        case "texts":
            own = replace(own, texts=(TEXT, TEXT))
        case "facts":
            own = replace(own, facts=replace(own.facts, facts=own.facts.facts[1:]))
        case "mask":
            kept = torch.ones(model.d_model, model.d_ff, dtype=torch.bool)
            masking.write(ReversalMask("rome", (Mask(1, kept),), {}), model, tmp_path)
    asked = [*cases, CASES[2]] if other == "case behind" else cases
    same = {*before} & {*forensics.keys(own, asked, "rome")}
    assert len(same) == {"case behind": 1, "nothing": 2}.get(other, 0)
