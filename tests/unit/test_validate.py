"""A validation edits what the model knows, chooses the layer by other facts than it measures on, and writes down both."""

import json
import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from paths import PRESETS
from tiny_models import save
from typer.testing import CliRunner, Result

from editlab.bench import editing, preset, robustness
from editlab.bench import validate as validation
from editlab.bench.validate import known_facts, sentence, split, validate, window
from editlab.cli import app
from editlab.errors import BadFile, BadRequest
from editlab.facts import EditRequest, Fact, FactBase, Relation
from editlab.methods.memit import MemitConfig
from editlab.methods.rome import RomeConfig
from editlab.model import LanguageModel
from editlab.probes import Ground, Passages

TODAY = date(2026, 11, 21)
LONG = Passages(("The garden was old and nobody went there",), ("A letter came late in the winter of that year",))
RELATIONS = {
    "P1": Relation("P1", "kind", ("{} is", "{} was called")),
    "P2": Relation("P2", "place", ("{} lies in", "The place of {} is")),
}
PRESET = """# Written by hand.
name = "small"
validated = false

[match]
model_type = "llama"
hidden_size = 32

# Fast, for tests.
[rome]
steps = 2 # few
contexts = 2
layers = [2]

[memit]
steps = 2
contexts = 2
layers = [2]
"""
QUICK = {name: {"steps": 2, "contexts": 2} for name in ("rome", "memit")}


@pytest.fixture(scope="module")
def facts(tiny_llama: LanguageModel) -> FactBase:
    """What a random model happens to say after made-up names, and one fact a relation that it does not."""
    names = [f"{first} {last}" for first in ("Anna", "Old", "Green", "Tom", "North", "The") for last in LASTS]
    found = []
    for key, relation in RELATIONS.items():
        texts = [relation.templates[0].replace("{}", name) for name in names]
        said = [tops[0][0].strip() for tops in tiny_llama.tops(texts, k=1)]
        objects = [word if word.isalpha() else "nobody" for word in said]
        hits = tiny_llama.score(texts, objects)
        found += [Fact(name, key, word) for name, word, own in zip(names, objects, hits, strict=True) if own.hit]
        found.append(Fact("Nobody", key, "unsayable"))
    return FactBase(tuple(found), RELATIONS, {})


LASTS = ("House", "River", "Hill", "Stone", "Garden", "Winter", "Letter", "Bridge", "Road", "Night")


@pytest.fixture
def model(tiny_llama: LanguageModel, tmp_path: Path) -> LanguageModel:
    """The same model with quick settings, a folder for key statistics, and nothing remembered."""
    return replace(tiny_llama, preset=dict(QUICK), statistics=(tmp_path / "statistics",), memo={})


def validated(model: LanguageModel, facts: FactBase, names=("rome", "memit"), **options):
    return validate(Ground(model, facts, LONG), names, model.statistics[0], **{"edits": 10, "layers": (0, 1)} | options)


# Which facts


def test_only_facts_that_the_model_says_are_edited_each_subject_once(tiny_llama, facts):
    found = known_facts(Ground(tiny_llama, facts, LONG), 20).requests
    assert len(found) == 20 == len({request.subject for request in found})
    assert all(score.hit for score in tiny_llama.score([r.text for r in found], [r.target_true for r in found]))
    for request in found:
        objects = {fact.object for fact in facts.by_relation[facts.relation_of(request.prompt)]}
        assert request.target_new in objects - {request.target_true}


def test_facts_come_from_all_relations_and_with_the_seed(tiny_llama, facts):
    found = known_facts(Ground(tiny_llama, facts, LONG, 1), 12)
    relations = [facts.relation_of(request.prompt) for request in found.requests]
    assert min(relations.count("P1"), relations.count("P2")) >= 4
    assert (
        found == known_facts(Ground(tiny_llama, facts, LONG, 1), 12) != known_facts(Ground(tiny_llama, facts, LONG, 2), 12)
    )


def test_no_more_facts_are_asked_than_needed(tiny_llama, facts, monkeypatch):
    monkeypatch.setattr(validation, "ASKED_AT_ONCE", 2)
    few = known_facts(Ground(tiny_llama, facts, LONG), 10)
    assert len(few.requests) == 10 <= few.said <= few.asked
    assert few.asked < known_facts(Ground(tiny_llama, facts, LONG), 20).asked < len(facts.facts)


def test_too_few_known_facts_are_said_with_their_number_and_what_to_give(tiny_llama, facts):
    few = FactBase((*facts.by_relation["P1"][:4], Fact("Nobody", "P1", "unsayable")), RELATIONS, {})
    with pytest.raises(BadRequest, match=r"knows 4 of the 5 facts.*--facts"):
        known_facts(Ground(tiny_llama, few, LONG), 20)


def test_no_subject_chooses_and_measures():
    requests = [EditRequest("{} is", f"name {number}", "red") for number in range(65)]
    choosing, measuring = split(requests)
    assert (len(choosing), len(measuring)) == (15, 50) and not set(choosing) & set(measuring)
    assert [len(part) for part in split(requests[:12])] == [3, 9]


# Which layers


@pytest.mark.parametrize(
    ("depth", "tried"), [(8, (0, 1, 2, 3, 4)), (18, tuple(range(12))), (32, (2, 5, 8, 11, 14, 17, 20)), (1, (0,))]
)
def test_layers_below_two_thirds_are_tried_or_some_of_them_around_the_default(depth, tried):
    assert validation.candidates(SimpleNamespace(n_layers=depth, preset={}, name="a model")) == tried


def test_a_method_that_spreads_an_edit_ends_at_the_best_layer():
    assert window(MemitConfig, 7) == (3, 4, 5, 6, 7) and window(MemitConfig, 1) == (0, 1)
    assert window(RomeConfig, 7) == (7,)


def test_the_layer_with_the_best_mean_is_chosen_and_of_equals_the_lower(model, facts, monkeypatch):
    rates = {0: (0.2, 1.0), 1: (0.9, 0.7), 2: (0.7, 0.9)}

    def line(self, requests, setup, progress):
        own = setup.config(model).layers
        success, locality = rates[own[0]]
        return {"layers": list(own), "n": 3, "success": success, "paraphrase": None, "locality": locality}

    monkeypatch.setattr(validation._Run, "line", line)
    found = validated(model, facts, ("rome",), layers=(2, 1, 0))
    assert [line["score"] for line in found.sweep] == pytest.approx([0.8, 0.8, 0.6])
    assert found.layer == 1 and found.measured["rome"]["layers"] == [1]


def test_layers_that_were_measured_on_these_weights_stay_unless_others_are_given(model, facts):
    model.preset = {"rome": {**QUICK["rome"], "layers": [2]}, "validated": True, "checkpoint": model.checkpoint}
    own = validated(model, facts, ("rome",), layers=None)
    assert own.measured["rome"]["layers"] == [2] and len(own.sweep) == 2 and not own.chosen
    assert validated(model, facts, ("rome",), layers=(1,)).measured["rome"]["layers"] == [1]


def test_a_method_that_changes_no_layer_is_measured_as_it_is(model, facts):
    found = validated(model, facts, ("note",), layers=(1,))
    assert found.measured["note"]["layers"] == [] and not found.chosen
    assert sentence("note", found.measured["note"]).startswith("NOTE: ")


# What is measured


def test_the_same_seed_measures_the_same_and_kept_rows_are_not_measured_again(model, facts, monkeypatch):
    rows: dict[str, robustness.CaseRow] = {}
    first = validated(model, facts, rows=rows)
    assert {line["n"] for line in first.measured.values()} == {10}
    kept, made = dict(list(rows.items())[:-3]), []
    again = validated(model, facts, rows=kept, keep=made.append)
    assert [row.key for row in made] == list(rows)[-3:]
    rates = [[line[name] for name in robustness.COLUMNS] for found in (first, again) for line in found.measured.values()]
    assert rates[:2] == rates[2:]
    assert again.sweep == first.sweep


def test_a_sentence_says_how_many_hold_and_where_that_is_few():
    line = {"success": 0.96, "success_ci": [0.9, 1.0], "n": 50, "layers": [5], "locality": 0.984}
    line["generated"] = {"success": 0.9}
    assert sentence("rome", line) == (
        "ROME at layer 5: 48 of 50 edits hold (0.90 to 1.00), 45 in the answer that the model writes; 98% of what the model "
        "says about other subjects stays."
    )
    weak = sentence("memit", line | {"success": 0.5, "layers": [4, 5], "locality": None})
    assert weak.startswith("MEMIT at layers 4, 5: 25 of 50 edits hold") and "fail often" in weak


# What is written


@pytest.fixture(scope="module")
def found(tiny_llama, facts, tmp_path_factory) -> validation.Validation:
    model = replace(tiny_llama, preset=dict(QUICK), statistics=(tmp_path_factory.mktemp("statistics"),), memo={})
    return validated(model, facts)


def test_a_new_preset_has_values_and_figures_of_these_weights(model, found, tmp_path):
    path = preset.path_for(model, tmp_path)
    preset.write(path, model, found, TODAY)
    read = tomllib.loads(path.read_text())
    assert path.name == "tiny-llama.toml" and read["checkpoint"] == model.checkpoint and read["validated"]
    assert read["match"] == {
        "model_type": "llama",
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "intermediate_size": 64,
        "vocab_size": len(model.tokenizer),
    }
    for method, line in found.measured.items():
        assert read[method]["steps"] == 2 and read[method]["layers"] == line["layers"]
        own = read["measured"][method]
        assert own["success"] == line["success"] and own["edits"] == 10
        assert set(own) >= {name for name in robustness.COLUMNS if line[name] is not None}
        assert own["facts_known"] == found.facts.said
        assert 0 <= line["generated"]["success"] <= 1 and f"written {line['generated']['success']:.3f}" in path.read_text()
    assert model.validated and model.preset == read


def test_what_a_person_wrote_stays_and_a_second_writing_replaces_the_figures_of_its_method_alone(model, found, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(PRESET)
    preset.write(preset.path_for(model, tmp_path, "small"), model, found, TODAY)
    text = path.read_text()
    assert text.startswith(f'# Written by hand.\nname = "small"\nvalidated = true\ncheckpoint = "{model.checkpoint}"')
    assert "# Fast, for tests.\n[rome]\nsteps = 2 # few\n" in text
    assert tomllib.loads(text)["rome"] == {"steps": 2, "contexts": 2, "layers": found.measured["rome"]["layers"]}
    again = replace(found, chosen=frozenset(), measured={"memit": found.measured["memit"]})
    preset.write(path, model, again, date(2027, 1, 1))
    figures = text.split("[measured.memit]")
    assert path.read_text() == "[measured.memit]".join((figures[0], figures[1].replace("2026-11-21", "2027-01-01")))


@pytest.mark.parametrize("other", ['checkpoint = "other"\n[match]\n', '[match]\nmodel_type = "gpt2"\n'])
def test_a_preset_of_another_model_is_not_touched(model, tmp_path, other):
    (tmp_path / "small.toml").write_text(other)
    with pytest.raises(BadRequest, match="--name"):
        preset.path_for(model, tmp_path, "small")


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [("../up", None, BadRequest), ("", None, BadRequest), ("small", "not = = toml", BadFile), ("a", "folder", BadFile)],
)
def test_where_nothing_can_be_written_it_is_said_before_anything_is_measured(model, tmp_path, name, content, error):
    folder = tmp_path / "models"
    folder.touch() if content == "folder" else folder.mkdir()
    if name == "small":
        (folder / "small.toml").write_text(content)
    with pytest.raises(error):
        preset.path_for(model, folder, name)


# From the terminal


@pytest.fixture
def run(tiny_llama, facts, tmp_path, monkeypatch):
    """Calls the terminal on the tiny model and its own presets."""
    presets = tmp_path / "presets"
    for name in ("models", "facts"):
        (presets / name).mkdir(parents=True)
    (presets / "texts").symlink_to(PRESETS / "texts")
    (presets / "models" / "small.toml").write_text(PRESET)
    lines = ["subject\trelation\tobject\taliases", *(f"{f.subject}\t{f.relation}\t{f.object}\t" for f in facts.facts)]
    (presets / "facts" / "all.tsv").write_text("\n".join(lines))
    tables = [f'[{r.id}]\nname = "{r.name}"\ntemplates = {list(r.templates)}\nheld_out = []\n' for r in RELATIONS.values()]
    (presets / "facts" / "relations.toml").write_text("\n".join(tables))
    save(tiny_llama, tmp_path / "model")
    monkeypatch.setenv("EDITLAB_MODEL", str(tmp_path / "model"))
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("EDITLAB_PRESETS", str(presets))

    def call(*args: str) -> Result:
        return CliRunner().invoke(app, ("validate", "--edits", "10", *args))

    return call


def test_validated_from_the_terminal_the_model_has_its_figures_wherever_it_is_loaded(run, tmp_path, monkeypatch):
    result = run("--method", "rome", "--layers", "0,1", "--name", "small", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["path"] == str(tmp_path / "data" / "presets" / "small.toml") and len(report["sweep"]) == 2
    assert Path(report["path"]).read_text().startswith("# Written by hand.")  # the bundled one goes on, and stays as it was
    assert (tmp_path / "presets" / "models" / "small.toml").read_text() == PRESET
    loaded = LanguageModel.load(str(tmp_path / "model"))
    assert loaded.validated and loaded.preset["measured"]["rome"]["success"] == report["measured"]["rome"]["success"]
    monkeypatch.setattr(editing, "_alone", None)  # whatever would be edited now fails
    again = run("--method", "rome", "--layers", "0,1")
    assert again.exit_code == 0, again.output
    assert "ROME at layer" in again.stdout and "small.toml" in again.stdout.replace("\n", "")


def test_an_empty_method_is_no_method_and_does_not_stand_for_all(run):
    result = run("--method", "")
    assert result.exit_code == 2 and "There is no method ''" in result.stderr


def test_a_preset_of_other_weights_is_refused_at_the_terminal(run, tmp_path):
    (tmp_path / "presets" / "models" / "model.toml").write_text('checkpoint = "other"\n[match]\nhidden_size = 32\n')
    result = run("--method", "rome")
    assert result.exit_code == 2 and "--name" in result.stderr
    assert not list((tmp_path / "data").rglob("*.jsonl"))
