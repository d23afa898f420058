"""The reversal mask's table counts what it says it counts; and a mask is trained, kept and measured from the terminal."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from tiny_models import tiny_model
from typer.testing import CliRunner, Result

from editlab.bench import mask as bench
from editlab.bench import plain_mask
from editlab.cli import app
from editlab.cli.mask import mask_config
from editlab.facts import EditCase, EditRequest, Fact, FactBase, Relation
from editlab.methods.mask import Example, MaskConfig, batches
from editlab.patches import LowRank, Mask, View

NAMES = ("Slovenia", "France", "Rome", "Ana", "Brazil", "Japan", "Kenya", "Paris", "Milan", "Oslo", "Lima", "Cairo")
OBJECTS = ("people", "house", "river", "Europe", "Asia", "old", "country", "garden", "winter", "letter")
ROWS = 36
FACTS = FactBase((Fact("Slovenia", "P30", "Europe"),), {"P30": Relation("P30", "continent", ("{} is in",))}, {})


def edit(model, name, size=4.0):
    request = EditRequest("The capital of {} is", name, "people", "house")
    key = model.keys([model.locate(request.prompt, name)], [1])[1][0]
    value = size * torch.randn(model.d_model, 1, generator=torch.Generator().manual_seed(len(name)))
    return Example(request, (LowRank(1, (key / key.norm() ** 2)[None], value),), (f"I know that {name} is",))


def no_mask(model):
    return Mask(1, torch.ones(model.d_model, model.d_ff, dtype=torch.bool))


def everything_pruned(model):
    return Mask(1, torch.zeros(model.d_model, model.d_ff, dtype=torch.bool))


def test_a_row_says_what_the_views_say():
    model = tiny_model("llama")
    examples = [edit(model, name) for name in NAMES[:3]]
    table = list(bench.rows(model, examples, {"mask": [everything_pruned(model)], "none": [no_mask(model)]}))
    for row, example in zip(table, examples, strict=True):
        request, views = example.request, {"edited": View(example.patches), "mask": View((everything_pruned(model),))}
        for name, view in views.items():
            new, true = model.score([request.text] * 2, [request.target_new, request.target_true], view)
            if name == "edited":
                assert (row["held"], row["p_new"]) == (new.hit, pytest.approx(new.p, rel=1e-4))
            else:
                assert row["mask.reversed"] == (true.log_p > new.log_p) and row["mask.said"] == new.hit
        base, masked = (model.logits([request.text], view).log_softmax(-1)[0] for view in (View.base(), views["mask"]))
        assert row["mask.kl"] == pytest.approx(float((base.exp() * (base - masked)).sum()), rel=1e-3)
        assert row["mask.top1"] == bool(base.argmax() == masked.argmax())
        assert row["none.said"] == row["held"]
        assert f"{bench.OWN}.reversed" in row


def test_rates_count_edits_that_held():
    table = [
        {"held": True, "mask.reversed": True, "mask.top1": True, "mask.kl": 0.5, "mask.said": False},
        {"held": True, "mask.reversed": False, "mask.top1": False, "mask.kl": 1.5, "mask.said": True},
        {"held": False, "mask.reversed": True, "mask.top1": True, "mask.kl": 9.0, "mask.said": False},
    ]
    found = bench.rates(table)
    assert (found["n"], found["held"], found["reversed"], found["top1"], found["kl"]) == (3, 2, 0.5, 0.5, 1.0)
    assert found["success_without"] == pytest.approx(2 / 3) and found["success_under_mask"] == pytest.approx(1 / 3)
    nothing = bench.rates(table[2:])
    assert math.isnan(nothing["reversed"]) and "reversed_ci" not in nothing


def test_cases_without_a_true_object_are_named_and_left_out():
    known = EditCase(EditRequest("{} is in", "Rome", "Asia", "Europe"), "1", paraphrases=("a", "b", "c"))
    unknown = EditCase(EditRequest("{} is in", "Rome", "Asia"), "2")
    lessons, missing = bench.lessons_of([known, unknown])
    assert [lesson.paraphrases for lesson in lessons] == [("a", "b")]
    assert len(missing) == 1 and "case 2" in missing[0]


def test_the_price_is_what_the_mask_costs_where_nothing_was_edited(tmp_path, monkeypatch):
    model, prose = tiny_model("llama"), tmp_path / "prose.txt"
    prose.write_text("The garden was old and nobody went there, and the river runs to the house.", encoding="utf-8")
    monkeypatch.setattr(bench, "EDITS", 1)
    examples = [edit(model, "France")]
    free = bench.price(model, examples, [no_mask(model)], FACTS, [prose])
    dear = bench.price(model, examples, [everything_pruned(model)], FACTS, [prose])
    assert free["loss_prose_masked"] == pytest.approx(free["loss_prose_edited"], rel=1e-5)
    assert dear["loss_prose_masked"] != pytest.approx(dear["loss_prose_edited"], rel=1e-3)


def test_a_curve_has_a_row_for_each_number_of_edits(monkeypatch):
    model = tiny_model("llama")
    examples = [edit(model, name) for name in NAMES]
    found = list(
        bench.curve(model, examples, examples, [10, 11, 500], MaskConfig(epochs=1, batch=8, steps=10), lambda *_: None)
    )
    assert [row["edits"] for row in found] == [10, 11, 12]
    assert all(row["epochs"] >= 2 and 0 <= row["reversed_test"] <= 1 for row in found)
    assert found[-1]["reversed_train"] == found[-1]["reversed_test"]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_one_forward_per_edit_has_the_gradient_of_the_batched_form(kind):
    model = tiny_model(kind)
    examples = [edit(model, name) for name in NAMES[:5]]
    rows = list(batches(model, examples, [1], 4))
    theta = {1: torch.randn(model.d_model, model.d_ff, generator=torch.Generator().manual_seed(0))}
    found, expected = plain_mask.batched(rows, theta)[1], plain_mask.gradient(model, examples, rows, theta)[1]
    assert (found - expected).norm() / expected.norm() < 1e-5
    assert expected.norm() > 0 and model.logits(["Rome is"]).isfinite().all()


# The terminal


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Edits of made-up facts, each with its true object."""
    lines = [
        f"{name} of {place},The capital of {{}} is,{OBJECTS[n % 10]},{OBJECTS[(n + 3) % 10]}"
        for n, (name, place) in enumerate([(a, b) for a in NAMES for b in NAMES if a != b][:ROWS])
    ]
    path = tmp_path / "cases.csv"
    path.write_text("\n".join(["subject,prompt,target_new,target_true", *lines]), encoding="utf-8")
    return path


@pytest.fixture
def run(saved_model, tmp_path, monkeypatch):
    monkeypatch.setenv("EDITLAB_MODEL", str(saved_model))
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("editlab.methods.mask.edits.QUICK", {"contexts": 1, "steps": 2, "layers": (1,)})
    monkeypatch.setattr("editlab.methods.mask.from_facts.QUICK", {"contexts": 1, "steps": 2, "layers": (1,)})

    def call(*args: str) -> Result:
        return CliRunner().invoke(app, args)

    return call


def test_the_epochs_of_the_command_line_are_made_and_no_more():
    assert (mask_config("default", "rome", 0, 1).epochs, mask_config("default", "rome", 0, 1).steps) == (1, 0)
    assert mask_config("default", "rome", 0, 1, ["steps=7"]).steps == 7
    assert mask_config("default", "rome", 0).steps == MaskConfig().steps > 0


def test_layers_that_the_edits_do_not_touch_are_refused_before_all_edits_are_made(run, cases):
    refused = run("mask", "train", "--cases", str(cases), "--edits", str(ROWS), "--layers", "0", "--json")
    assert refused.exit_code == 2 and "touch layers [1]" in json.loads(refused.stdout)["message"]
    assert "minutes" not in refused.stderr, "what all of them will cost is said after a few"


@pytest.mark.slow
def test_a_mask_is_trained_found_and_measured(run, cases, tmp_path):
    train = ["mask", "train", "--cases", str(cases), "--edits", str(ROWS), "--epochs", "2", "--json"]
    made = run(*train)
    assert made.exit_code == 0, made.output
    report = json.loads(made.stdout)
    assert Path(report["path"]).is_file() and report["n_train"] >= 10 and report["n_unseen"] >= 1
    assert report["pruned"] == pytest.approx(0.1, abs=0.01) and "minutes" in made.stderr
    assert json.loads(run("info", "--json").stdout)["masks"] == ["rome"]
    test = tmp_path / "test.csv"
    pd.read_csv(cases).head(3).to_csv(test, index=False)
    out = tmp_path / "out"
    found = run("bench", "mask", "--use", "bundled", "--test", str(test), "--guard", "--out", str(out), "--json")
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    keys = "n_train n_test skipped pruned reversed_train reversed_test top1_restored_test kl success_without"
    assert set(keys.split()) | {"success_under_mask", "success_editing_under_mask", "baselines"} <= set(answer)
    assert answer["n_train"] == report["n_train"] and answer["n_test"] == 3
    assert {"random", "magnitude", "delta_magnitude", "activation"} <= set(answer["baselines"])
    assert "editlab" in (out / "mask.md").read_text() and len((out / "mask.jsonl").read_text().splitlines()) == 3
    loud = run("bench", "loud", "--data", str(test), "--out", str(out), "--json")
    assert loud.exit_code == 0, loud.output
    told = json.loads(loud.stdout)
    assert told["n"] == 3 and {row["what"] for row in told["loud"]} == {"edited", "masked", "returned", "control"}
    assert {row["view"] for row in told["contributions"]} == {"base", "edited", "masked", "base_masked"}
    again = json.loads(run("bench", "loud", "--data", str(test), "--out", str(out), "--json").stdout)
    assert again == told and len((out / "loud.jsonl").read_text().splitlines()) == 3


@pytest.mark.slow
def test_a_mask_is_learnt_for_the_table_alone_and_from_fewer_edits(run, cases, tmp_path):
    test = tmp_path / "test.csv"
    pd.read_csv(cases).head(2).to_csv(test, index=False)
    args = ["--train", str(cases), "--test", str(test), "--epochs", "1", "--curve", "10,1000", "--json"]
    args += ["--keep", str(tmp_path / "kept")]
    found = run("bench", "mask", *args, "--out", str(tmp_path / "out"))
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    assert [row["edits"] for row in answer["curve"]] == [10, answer["n_train"]]
    assert "| edits |" in (tmp_path / "out" / "mask.md").read_text()
    assert json.loads(run("info", "--json").stdout)["masks"] == []
    assert len(list((tmp_path / "kept").iterdir())) == 1


@pytest.mark.parametrize(
    ("args", "kind", "says"),
    [
        (["mask", "train"], "BadRequest", "knows none of the"),
        (["mask", "train", "--recipe", "secret"], "BadRequest", "recipe is 'secret'"),
        (["mask", "train", "--method", "secret"], "BadRequest", "no method 'secret'"),
        (["mask", "train", "--layers", "7"], "BadRequest", "has the layers 0 to"),
        (["mask", "train", "--set", "colour=red"], "BadRequest", "no setting colour"),
        (["mask", "train", "--relations", "P0"], "BadRequest", "No fact has a relation"),
        (["bench", "mask", "--test", "CASES"], "BadRequest", "--train FILE"),
        (["bench", "mask", "--test", "CASES", "--use", "mine"], "BadRequest", "--use bundled"),
        (["bench", "mask", "--test", "CASES", "--use", "bundled"], "MissingMask", "editlab mask train"),
        (["bench", "mask", "--test", "CASES", "--use", "bundled", "--curve", "10"], "BadRequest", "--train FILE beside it"),
        (["bench", "mask", "--test", "CASES", "--train", "CASES", "--curve", ""], "BadRequest", "numbers of edits"),
        (["bench", "mask", "--test", "CASES", "--train", "CASES", "--known"], "BadRequest", "knows none of the"),
        (["bench", "mask", "--test", "UNTRUE", "--use", "bundled"], "BadFile", "no edit with a true object"),
        (["bench", "loud", "--data", "UNTRUE"], "BadFile", "no edit with a true object"),
        (["mask", "train", "--cases", "FEW", "--edits", "20"], "BadRequest", "knows none of the"),
    ],
)
def test_bad_input_is_status_2_and_a_sentence(run, cases, tmp_path, args, kind, says):
    files = {"CASES": cases, "UNTRUE": tmp_path / "untrue.csv", "FEW": tmp_path / "few.csv"}
    files["UNTRUE"].write_text("subject,prompt,target_new\nRome,{} is in,Asia\n", encoding="utf-8")
    files["FEW"].write_text("subject,prompt,target_new,target_true\nRome,{} is in,Asia,Europe\n", encoding="utf-8")
    result = run(*[str(files.get(arg, arg)) for arg in args], "--json")
    assert result.exit_code == 2, result.output
    answer = json.loads(result.stdout)
    assert answer["error"] == kind and says in answer["message"]
