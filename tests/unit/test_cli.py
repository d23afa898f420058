"""The terminal: one JSON object and nothing else on standard output, a sentence and status 2 for bad input, 1 for a bug."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import typer.main
from paths import ROOT
from typer.testing import CliRunner, Result

import editlab
from editlab import serve, settings
from editlab.__main__ import with_command
from editlab.bench import speed
from editlab.cli import app
from editlab.methods.mask import ReversalMask, write
from editlab.model import LanguageModel
from editlab.patches import Mask
from editlab.settings import Settings

DATA = """subject,prompt,target_new,target_true,rephrases
Slovenia,{} belongs to the continent of,Antarctica,Europe,the land of Slovenia|Slovenija
France,{} belongs to the continent of,Asia,Europe,the French Republic
Brazil,{} belongs to the continent of,Europe,South America,
"""
REQUEST = ("--subject", "Slovenia", "--prompt", "{} belongs to the continent of", "--target", "Antarctica")
QUICK = ("--set", "steps=2", "--methods", "rome", "--layers", "1")


@pytest.fixture
def run(saved_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Calls the terminal on the tiny model, with a data folder of its own."""
    monkeypatch.setenv("EDITLAB_MODEL", str(saved_model))
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))

    def call(*args: str) -> Result:
        return CliRunner().invoke(app, args)

    return call


def object_of(result: Result) -> dict:
    """The one object on standard output; fails where there is anything beside it, or the exit status is not its own."""
    assert result.exit_code in (0, 3), result.output
    assert result.stdout.count("\n") == 1
    found = json.loads(result.stdout)
    assert (result.exit_code == 3) == (found.get("took") is False)
    return found


# Without a command


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([], ["serve"]),
        (["--demo", "--port", "8000"], ["serve", "--demo", "--port", "8000"]),
        (["serve", "--help"], ["serve", "--help"]),
        (["--help"], ["--help"]),
        (["-h"], ["-h"]),
        (["info", "--json"], ["info", "--json"]),
        (["rotate"], ["rotate"]),
    ],
)
def test_options_without_a_command_are_the_pages(given, meant):
    assert with_command(given) == meant


@pytest.mark.parametrize("command", [["-m", "editlab"], ["app.py"]], ids=" ".join)
def test_the_page_opens_by_either_name_and_says_what_does_not_fit(command):
    asked = subprocess.run(
        [sys.executable, *command, "--port", "99999"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (asked.returncode, asked.stdout) == (2, "")
    assert asked.stderr == (
        "These settings are not valid: port: Input should be less than or equal to 65535. See editlab serve --help.\n"
    )


def test_the_list_of_commands_names_the_page_and_hands_it_its_options(monkeypatch):
    called = []
    monkeypatch.setattr(serve, "main", lambda args: called.append(args) or 3)
    result = CliRunner().invoke(app, ["serve", "--demo", "--help", "--models", "a,b"])
    assert (result.exit_code, called) == (3, [["--demo", "--help", "--models", "a,b"]])
    assert "serve" in CliRunner().invoke(app, ["-h"]).stdout


# The package


def test_the_package_is_imported_without_torch_and_has_what_a_script_needs():
    code = "import editlab, sys; print(editlab.__version__, 'torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told.split() == [editlab.__version__, "False"]
    assert {name: getattr(editlab, name).__name__.rpartition(".")[2] for name in editlab.__all__} == {
        name: name for name in editlab.__all__
    }
    assert set(editlab.__all__) < set(dir(editlab))
    with pytest.raises(AttributeError, match="no attribute 'LanguageModels'"):
        editlab.LanguageModels  # noqa: B018


def test_presets_are_found_inside_an_installed_package_else_beside_it(tmp_path, monkeypatch):
    assert Settings().presets == settings.bundled_presets() == ROOT / "presets"
    monkeypatch.setattr(settings, "files", lambda name: tmp_path / name)
    assert settings.bundled_presets() == tmp_path / "presets"
    (tmp_path / "editlab" / "presets").mkdir(parents=True)
    assert settings.bundled_presets() == tmp_path / "editlab" / "presets"
    monkeypatch.setenv("EDITLAB_PRESETS", str(tmp_path / "own"))
    assert Settings().presets == tmp_path / "own"


# Answers


def test_info_tells_what_the_model_is(run, saved_model, tiny_llama):
    found = object_of(run("info", "--json"))
    assert found["model"] == str(saved_model)
    assert (found["family"], found["layers"], found["d_model"], found["d_ff"]) == ("llama", 4, 32, 64)
    assert found["parameters"] == sum(p.numel() for p in tiny_llama.hf.parameters())
    assert found["fingerprint"] == tiny_llama.fingerprint
    assert (found["dtype"], found["quantization"], found["device"]) == ("float32", "none", "cpu")
    assert (found["statistics"], found["masks"], found["validated"]) == ([], [], False)
    assert found["version"]


def test_an_option_goes_before_its_environment_variable(run, monkeypatch):
    monkeypatch.setenv("EDITLAB_DTYPE", "bfloat16")
    assert object_of(run("info", "--json"))["dtype"] == "bfloat16"
    assert object_of(run("info", "--json", "--dtype", "float32"))["dtype"] == "float32"


def test_without_json_people_get_a_table_with_the_same_facts(run, tiny_llama):
    result = run("info")
    assert result.exit_code == 0
    assert tiny_llama.fingerprint in result.stdout


def test_edit_shows_base_and_edited(run):
    found = object_of(run("edit", *REQUEST, "--true", "Europe", "--json"))
    assert found["request"] == {
        "prompt": "{} belongs to the continent of",
        "subject": "Slovenia",
        "target_new": "Antarctica",
        "target_true": "Europe",
    }
    assert found["method"] == "rome" and found["layers"] and found["seconds"] > 0
    assert {"divisor", "share", "relative_norm", "loss", "p_new", "steps"} <= found["health"].keys()
    assert list(found["views"]) == ["base", "edited"]
    for view in found["views"].values():
        assert {"top", "p_new", "p_true", "first_new", "first_true", "text", "scores"} <= view.keys()
        assert [len(pair) for pair in view["top"]] == [2] * 5
        assert 0 <= view["p_new"] <= view["first_new"] <= 1
    assert found["views"]["edited"]["p_new"] > 2 * found["views"]["base"]["p_new"]
    assert found["views"]["edited"]["p_new"] == pytest.approx(found["health"]["p_new"], rel=1e-3)
    assert found["scores"] == found["views"]["edited"]["scores"]
    assert {"success", "locality", "long_in", "long_out"} <= found["scores"].keys()


def test_an_edit_that_did_not_take_is_a_sentence_a_field_and_a_status(run):
    result = run("edit", *REQUEST, "--set", "clamp=0.01", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["took"], found["scores"]["success"]) == (3, False, 0.0)
    assert "did not take: at its own prompt" in result.stderr
    assert "did not take: at its own prompt" in found["notes"][0]
    assert found["why"]["sentence"] == found["notes"][-1] and found["why"]["reason"] in ("search", "unheard", "weak")


def test_upper_and_lower_case_alone_make_another_object_with_a_note(run):
    found = object_of(run("edit", *REQUEST, "--true", "antarctica", "--json"))
    assert found["notes"][0] == "The new object differs from the true one in upper and lower case alone."


def test_probe_adds_every_probe_under_both_views(run):
    found = object_of(run("probe", *REQUEST, "--json"))
    probes = found["probes"]
    kinds = {"success", "rephrase", "shuffle", "long", "paraphrase", "locality", "same_subject", "propagation"}
    assert kinds == {probe["kind"] for probe in probes}
    assert all({"kind", "domain", "text", "expected", "base", "edited"} <= probe.keys() for probe in probes)
    assert all(probe["edited"].keys() == {"answer", "p_new", "p_true", "hit"} for probe in probes)
    hits = [probe["edited"]["hit"] for probe in probes if probe["kind"] == "success"]
    assert found["scores"]["success"] == float(hits[0])


@pytest.mark.parametrize(("option", "recipe"), [(("--rep",), "default"), (("--rep", "published"), "published")])
@pytest.mark.parametrize("kept", [(), ("--workspace", "anna")], ids=["forgotten", "kept"])
def test_rep_is_a_third_view_with_scores_and_answers_of_its_own(run, tmp_path, option, recipe, kept):
    found = object_of(run("probe", *REQUEST, *option, *kept, "--json"))
    assert list(found["views"]) == ["base", "edited", "rep"]
    assert found["rep"]["recipe"] == recipe and 0 < found["rep"]["threshold"] < 1
    assert found["scores"] == found["views"]["rep"]["scores"] and found["health"]["rep_seconds"] > 0
    for probe in found["probes"]:
        assert probe["rep"].keys() == {"answer", "p_new", "p_true", "hit"}
    success = [probe["rep"]["hit"] for probe in found["probes"] if probe["kind"] == "success"]
    assert found["views"]["rep"]["scores"]["success"] == float(success[0])
    assert (tmp_path / "data").exists() == bool(kept)


@pytest.fixture
def mask(tiny_llama, tmp_path) -> Path:
    """A reversal mask of the tiny model where the terminal looks for it."""
    draw = torch.Generator().manual_seed(0)
    bits = [torch.rand(tiny_llama.d_model, tiny_llama.d_ff, generator=draw) > 0.1 for _ in range(tiny_llama.n_layers)]
    report = {"n_train": 7, "pruned": 0.1, "reversed_train": 0.5, "reversed_unseen": 0.4}
    made = ReversalMask("rome", tuple(map(Mask, range(tiny_llama.n_layers), bits)), report)
    return write(made, tiny_llama, tmp_path / "data" / "masks")


def test_info_names_the_methods_that_have_a_mask(run, mask):
    assert object_of(run("info", "--json"))["masks"] == ["rome"]


@pytest.mark.parametrize("kept", [(), ("--workspace", "anna")], ids=["forgotten", "kept"])
def test_under_the_mask_there_are_two_more_views_and_a_verdict(run, mask, kept):
    found = object_of(run("probe", *REQUEST, "--true", "Europe", "--mask", *kept, "--json"))
    assert list(found["views"]) == ["base", "edited", "masked", "base_masked"]
    assert found["verdict"] in ("not known", "not edited", "disturbed", "suppressed", "undecided", "not reversed")
    assert found["mask"][0]["method"] == "rome" and found["mask"][0]["reversed_unseen"] == 0.4
    assert found["scores"] == found["views"]["edited"]["scores"], "the edit is judged, not the mask"
    for probe in found["probes"]:
        assert probe["masked"].keys() == probe["base_masked"].keys() == {"answer", "p_new", "p_true", "hit"}
    if kept:
        verified = object_of(run("ledger", "verify", "--json"))
        assert verified["ok"] and "masked" not in object_of(run("edit", *REQUEST, *kept, "--json"))["views"]


def test_under_the_guard_an_edit_is_judged_by_what_it_does_there(run, mask):
    found = object_of(run("edit", *REQUEST, "--true", "Europe", "--guard", "--json"))
    assert list(found["views"]) == ["base", "edited", "guarded"]
    assert found["verdict"] in ("held", "got through", "not edited")
    assert found["scores"] == found["views"]["guarded"]["scores"]
    assert "Verdict: " in run("edit", *REQUEST, "--true", "Europe", "--guard").stdout


def test_rep_off_is_no_rep(run):
    assert list(object_of(run("edit", *REQUEST, "--rep", "off", "--json"))["views"]) == ["base", "edited"]


def test_probe_writes_a_table_for_people(run):
    result = run("probe", *REQUEST)
    assert result.exit_code in (0, 3)
    assert "Slovenia belongs to the continent of" in result.stdout and "locality" in result.stdout


def test_stats_are_measured_once_and_found_afterwards(run, tmp_path):
    text = tmp_path / "prose.txt"
    text.write_text("The garden was old and nobody went there.\n" * 30)
    asked = ("stats", "--layers", "1,2", "--text", str(text), "--tokens", "300", "--json")
    first, second = object_of(run(*asked))["layers"], object_of(run(*asked))["layers"]
    assert first == second
    assert [row["layer"] for row in first] == [1, 2]
    assert all(row["tokens"] <= 310 and len(row["sha256"]) == 64 and Path(row["path"]).is_file() for row in first)
    assert object_of(run("info", "--json"))["statistics"] == [1, 2]


def test_statistics_of_too_little_text_are_told(run, tmp_path):
    text = tmp_path / "prose.txt"
    text.write_text("The garden was old and nobody went there.\n" * 2)
    few = run("stats", "--layers", "1", "--text", str(text))
    assert few.exit_code == 0 and "say next to nothing" in " ".join(few.stderr.split())
    text.write_text("The garden was old and nobody went there.\n" * 30)
    short = run("stats", "--layers", "1", "--text", str(text), "--tokens", "100000")
    assert "100,000 were asked for" in " ".join(short.stderr.split())
    assert run("stats", "--layers", "1", "--text", str(text), "--tokens", "250").stderr.count("asked for") == 0


def test_stats_from_the_models_own_samples_lie_where_they_are_wanted(run, tmp_path):
    found = object_of(run("stats", "--layers", "0", "--self", "--tokens", "80", "--folder", str(tmp_path / "s"), "--json"))
    assert Path(found["layers"][0]["path"]).parent == tmp_path / "s"


def test_stats_say_which_file_edits_read_where_it_is_another(run, tmp_path):
    def told(*more):
        result = run("stats", "--layers", "1", "--tokens", "80", *more)
        assert result.exit_code == 0, result.output
        return " ".join(result.stdout.split())

    away = ("--self", "--folder", str(tmp_path / "s"))
    assert "Edits at layer 1 read no key statistics" in told(*away)
    assert "Edits at layer 1" not in told("--self")
    (row,) = object_of(run("stats", "--layers", "1", "--tokens", "80", "--self", "--json"))["layers"]
    assert row["used"] == row["path"]
    assert "Edits at layer 1 read" in told(*away)
    (other,) = object_of(run("stats", "--layers", "1", "--tokens", "80", *away, "--json"))["layers"]
    assert other["used"] == row["path"] != other["path"]
    text = tmp_path / "prose.txt"
    text.write_text("The garden was old and nobody went there.\n" * 30)
    assert "Edits at layer 1" not in told("--text", str(text))


def test_progress_and_chatter_of_libraries_stay_off_standard_output(run, monkeypatch):
    load = LanguageModel.load

    def chatty(*args, **options):
        print("Loading checkpoint shards")
        return load(*args, **options)

    monkeypatch.setattr(LanguageModel, "load", chatty)
    result = run("info", "--json")
    assert object_of(result)["family"] == "llama"
    assert "Loading checkpoint shards" in result.stderr


def test_every_command_takes_the_models_options():
    def commands(group, path=()):
        for name, command in getattr(group, "commands", {}).items():
            yield from commands(command, (*path, name))
        if not hasattr(group, "commands"):
            yield path, group

    found = dict(commands(typer.main.get_command(app)))
    assert {"info", "edit", "probe", "stats"} <= {path[0] for path in found}
    assert {("bench", "robustness"), ("bench", "speed"), ("atlas", "train"), ("atlas", "report")} <= found.keys()
    assert not found.pop(("serve",)).params, "it hands on whatever it is given"
    for path, command in found.items():
        options = {option for parameter in command.params for option in parameter.opts}
        wanted = {"--json", "--model", "--quantization", "--dtype", "--device", "--seed"}
        assert wanted <= options, path
        variables = {parameter.envvar for parameter in command.params} - {None}
        own = {"EDITLAB_DATA" if "end-sessions" in path else "EDITLAB_AUTH"} if path[0] == "user" else set()
        assert variables == own | {f"EDITLAB_{option[2:].upper()}" for option in wanted - {"--json"}}, path


# Bad input, bugs and stops


@pytest.mark.parametrize(
    ("args", "kind", "says"),
    [
        (("info", "--model", "nowhere"), "BadModel", "neither a folder nor a GGUF file here, nor a hub id"),
        (("info", "--seed", "-1"), "BadRequest", "--seed"),
        (("info", "--seed", "one"), "BadRequest", "--seed"),
        (("info", "--dtype", "int3"), "BadRequest", "--dtype"),
        (("info", "--sead", "1"), "BadRequest", "--sead"),
        (("info", "--model", "[/b]"), "BadModel", "[/b] could not be fetched"),
        (("edit", *REQUEST, "--workspace", "te\udcffam"), "BadRequest", "'te\\udcffam' is not text in UTF-8"),
        (("user", "token", "list", "--auth", ""), "BadFile", "no file of users"),
        (("ledger", "forget", "--unused-days", "inf"), "BadRequest", "--unused-days"),
        (("verify", "x" * 300), "BadFile", "File name too long"),
        (("stats", "--layers", "1", "--self", "--tokens", "9", "--folder", "x" * 300), "BadFile", "File name too long"),
        (("inform",), "BadRequest", "inform"),
        (("edit", "--subject", "Slovenia"), "BadRequest", "--prompt"),
        (("edit", *REQUEST, "--prompt", "Slovenia belongs to the continent of"), "BadRequest", "has no {}"),
        (("edit", *REQUEST, "--prompt", "{} and {} belong to"), "BadRequest", "2 {}"),
        (("edit", *REQUEST, "--true", "Antarctica"), "BadRequest", "true object already"),
        (("edit", *REQUEST, "--target", " "), "BadRequest", "empty"),
        (("edit", *REQUEST, "--method", "magic"), "BadRequest", "rome, memit"),
        (("edit", *REQUEST, "--method", "memit"), "MissingStatistics", "editlab stats"),
        (("edit", *REQUEST, "--prompt", "word " * 600 + "{} is in"), "TooLong", "context holds 512"),
        (("edit", *REQUEST, "--rep", "magic"), "BadRequest", "default, published"),
        (("probe", *REQUEST, "--mask"), "MissingMask", "editlab mask train"),
        (("edit", *REQUEST, "--guard"), "MissingMask", "editlab mask train"),
        (("edit", *REQUEST, "--mask", "--guard"), "BadRequest", "one of them"),
        (("stats", "--layers", "1,x"), "BadRequest", "list of numbers"),
        (("stats", "--layers", "4"), "BadRequest", "layers 0 to 3"),
        (("stats", "--layers", "1", "--self", "--text", "a.txt"), "BadRequest", "one of them"),
        (("stats", "--layers", "1", "--text", "nowhere.txt"), "BadFile", "nowhere.txt"),
        (("bench", "robustness", "--data", "nowhere.json"), "BadFile", "nowhere.json"),
        (("bench", "belief", "--data", "nowhere.json"), "BadFile", "nowhere.json"),
        (("bench", "belief", "--data", "nowhere.json", "--kinds", "faith"), "BadRequest", "insistence"),
        (("bench", "belief", "--data", "nowhere.json", "--set", "hue=2"), "BadRequest", "has a setting 'hue'"),
        (("bench", "robustness", "--data", "nowhere.json", "--rep", "newest"), "BadRequest", "off, default, published"),
        (("atlas", "report", "--templates", "nowhere.tsv"), "BadFile", "nowhere.tsv"),
        (("atlas", "report", "--counterfact", "nowhere.json"), "BadFile", "nowhere.json"),
        (("atlas", "report", "--counterfact", "nowhere"), "BadFile", "nowhere"),
    ],
)
def test_bad_input_is_status_2_and_a_sentence(run, args, kind, says):
    plain, with_json = run(*args), run(*args, "--json")
    assert (plain.exit_code, with_json.exit_code) == (2, 2)
    assert plain.stdout == ""
    assert says in plain.stderr and "Traceback" not in plain.stderr
    failure = json.loads(with_json.stdout)
    assert failure.keys() == {"error", "message"}
    assert failure["error"] == kind and says in failure["message"]


def test_a_bad_environment_is_bad_input_too(run, monkeypatch):
    monkeypatch.setenv("EDITLAB_PORT", "99999999")
    result = run("info", "--json")
    assert result.exit_code == 2
    assert "EDITLAB_PORT" in json.loads(result.stdout)["message"]


def test_a_bug_is_status_1_with_its_trace(run, monkeypatch):
    def broken(*_args, **_options):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(LanguageModel, "load", broken)
    result = run("info", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"error": "ZeroDivisionError", "message": "a bug"}
    assert "Traceback" in result.stderr


def test_a_stop_by_the_keyboard_is_status_1_without_a_trace(run, monkeypatch):
    def stopped(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(LanguageModel, "load", stopped)
    result = run("info")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Stopped." in result.stderr and "Traceback" not in result.stderr
    result = run("info", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"error": "Cancelled", "message": "Stopped."})


def test_what_looks_like_markup_is_printed_as_it_was_written(run):
    result = run("edit", *REQUEST, "--subject", "[/b] :x:", "--method", "told")
    assert result.exit_code in (0, 3) and "[/b] :x: belongs to the continent of" in " ".join(result.stdout.split())


@pytest.mark.slow
def test_an_answer_that_nobody_reads_ends_without_a_trace():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "editlab", "scenario", "list"]
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that takes nothing is there on Linux alone")
def test_an_answer_that_no_disk_takes_is_one_sentence():
    command = [sys.executable, "-m", "editlab", "scenario", "list", "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2 and done.stderr.startswith("No space left on device") and done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_letters_that_the_terminal_lacks_end_no_command(json_option):
    command = [sys.executable, "-m", "editlab", "scenario", "check", "presets/scenarios/chinese-question.toml"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*command, *json_option], capture_output=True, check=False, cwd=ROOT, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert not json_option or json.loads(done.stdout.decode("utf-8"))["name"] == "chinese-question"


@pytest.mark.slow
def test_the_module_runs_as_a_program():
    command = [sys.executable, "-m", "editlab", "info", "--model", "nowhere", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"] == "BadModel"


# Tables


def test_robustness_goes_on_where_it_stopped(run, tmp_path):
    data, out = tmp_path / "cases.csv", tmp_path / "out"
    data.write_text(DATA)
    asked = ("bench", "robustness", "--data", str(data), "--out", str(out), *QUICK, "--json")
    first = object_of(run(*asked, "--limit", "2"))["rows"]
    lines = (out / "robustness.jsonl").read_text().splitlines()
    second = object_of(run(*asked))["rows"]
    assert [row["n"] for row in (*first, *second)] == [2, 3]
    assert (out / "robustness.jsonl").read_text().splitlines()[:2] == lines
    assert len((out / "robustness.jsonl").read_text().splitlines()) == 3
    cells = pd.read_csv(out / "robustness.csv")
    assert cells["n"].tolist() == [3] and {"success", "success_low", "success_high", "clean_success"} <= set(cells)
    page = (out / "robustness.md").read_text()
    assert "rephrase_in" in page and "at commit" in page and str(data) not in page.split("## ")[1]


def test_belief_goes_on_where_it_stopped_and_says_who_wins(run, tmp_path):
    data, out = tmp_path / "cases.csv", tmp_path / "out"
    data.write_text(DATA)
    asked = ("bench", "belief", "--data", str(data), "--out", str(out), "--kinds", "recall,negation", "--json")
    asked += ("--methods", "rome,told", "--set", "steps=2")
    first = object_of(run(*asked, "--limit", "2"))
    lines = (out / "belief.jsonl").read_text().splitlines()
    second = object_of(run(*asked))
    assert [row["n"] for row in (*first["rows"], *second["rows"])] == [2] * 3 + [3] * 3
    assert [row["method"] for row in second["rows"]] == ["base", "rome", "told"] and set(second["won"]) == {
        "forced",
        "generated",
    }
    assert (out / "belief.jsonl").read_text().splitlines()[: len(lines)] == lines
    cells = pd.read_csv(out / "belief.csv")
    assert len(cells) == 3 * 2 * 11 and {"forced", "generated_low", "generated_items", "clean"} <= set(cells)
    page = (out / "belief.md").read_text()
    assert "## Generated, all questions" in page and "| told | 3 |" in page and str(data) not in page.split("## ")[1]


@pytest.mark.parametrize("chain", ["1", "2"])
def test_shards_of_robustness_add_up_to_the_whole_table(run, tmp_path, chain):
    """Also where cases are edited in chains: a shard has whole ones."""
    data = tmp_path / "cases.csv"
    data.write_text(DATA)
    asked = ("bench", "robustness", "--data", str(data), *QUICK, "--chain", chain, "--json")
    (whole,) = object_of(run(*asked, "--out", str(tmp_path / "whole")))["rows"]
    parts = ("--out", str(tmp_path / "parts"))
    counts = [object_of(run(*asked, *parts, "--shard", f"{number}/2"))["rows"][0]["n"] for number in (1, 2)]
    assert counts == [2, 1] and not (tmp_path / "parts" / "robustness.md").exists()
    (merged,) = object_of(run(*asked, *parts))["rows"]
    assert not (tmp_path / "parts" / "robustness.jsonl").read_text()  # nothing was left to measure
    assert merged["success_items"] == whole["success_items"] == 3
    assert merged["subject_first"]["n"] + merged["subject_later"]["n"] == 3
    assert run(*asked, "--shard", "3/2").exit_code == 2


def test_bounds_have_a_line_a_view_and_a_page(run, tmp_path):
    (tmp_path / "cases.csv").write_text(DATA)
    data = ("--data", str(tmp_path / "cases.csv"), "--limit", "1", "--out", str(tmp_path / "out"))
    found = object_of(run("bench", "bounds", *data, "--rep", "default", "--json"))
    assert found["n"] == 1 and {row["view"] for row in found["rows"]} == {"edited", "rep"}
    assert "| edited | all |" in (tmp_path / "out" / "bounds.md").read_text()


def test_a_chain_has_a_line_an_edit_and_returns_to_where_it_was_well(run, tmp_path):
    (tmp_path / "cases.csv").write_text(DATA)
    data = ("bench", "chain", "--data", str(tmp_path / "cases.csv"), "--methods", "rome", "--set", "steps=2", "--json")
    (chain,) = object_of(run(*data, "--edits", "2", "--out", str(tmp_path / "out")))["chains"]
    assert [row["edits"] for row in chain["rows"]][-2:] == [1, 2] and chain["method"] == "rome"
    assert "## ROME" in (tmp_path / "out" / "monitor.md").read_text()
    assert chain["settings"]["steps"] == 2
    refused = run(*data, "--edits", "9")
    assert refused.exit_code == 2 and "Ask for fewer with --edits" in refused.output
    refused = run(*data[:4], "--methods", "rome,memt", "--edits", "2")
    assert refused.exit_code == 2 and "memt" in refused.output


def test_a_kept_chain_goes_on_with_the_edits_and_settings_it_began_with(run, tmp_path):
    (tmp_path / "cases.csv").write_text(DATA)
    (tmp_path / "others.csv").write_text(DATA.replace("Antarctica", "Asia"))
    keep = ("--methods", "rome", "--keep", str(tmp_path / "kept"), "--json")

    def called(edits, steps=2, data="cases"):
        asked = ("bench", "chain", "--data", str(tmp_path / f"{data}.csv"), "--edits", str(edits), "--set", f"steps={steps}")
        return run(*asked, *keep)

    assert object_of(called(1))["chains"][0]["rows"][-1]["edits"] == 1
    other_settings, other_data, as_before = called(2, steps=3), called(2, data="others"), called(2)
    assert other_settings.exit_code == 2 and "other settings: steps" in other_settings.output
    assert other_data.exit_code == 2 and "has other edits" in other_data.output
    assert object_of(as_before)["chains"][0]["rows"][-1]["edits"] == 2
    assert called(1).exit_code == 2


def test_robustness_can_try_layers_one_by_one(run, tmp_path):
    (tmp_path / "cases.csv").write_text(DATA)
    data = ("--data", str(tmp_path / "cases.csv"), "--limit", "1", "--methods", "rome", "--set", "steps=2")
    found = object_of(run("bench", "robustness", *data, "--layers", "1,2", "--each-layer", "--json"))["rows"]
    assert [row["layers"] for row in found] == [[1], [2]]


def test_robustness_counts_records_that_cannot_be_read(run, tmp_path):
    (tmp_path / "cases.csv").write_text(DATA + "Italy,no slot here,Asia,Europe,\n")
    data = ("--data", str(tmp_path / "cases.csv"), *QUICK)
    row = object_of(run("bench", "robustness", *data, "--json"))["rows"][0]
    assert (row["n"], row["skipped"]) == (3, 1)
    assert "line 5" in row["skipped_because"][0]
    assert "1 skipped" in run("bench", "robustness", *data).stdout


def test_a_setting_that_does_not_exist_is_refused(run, tmp_path):
    (tmp_path / "cases.csv").write_text(DATA)
    result = run("bench", "robustness", "--data", str(tmp_path / "cases.csv"), "--methods", "rome", "--set", "stepz=2")
    assert result.exit_code == 2 and "no setting stepz" in result.stderr


def test_speed_names_the_device_and_its_rows(run, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "TOKENS", 2)
    monkeypatch.setattr(speed, "LAID", (1, 9))
    asked = ("bench", "speed", "--rounds", "1", "--parts", "load,generation")
    found = object_of(run(*asked, "--out", str(tmp_path), "--json"))
    assert found["device"] and found["quantization"] == "none" and len(found["rows"]) == 5
    assert "generation of 2 tokens with 9 edits" in (tmp_path / "speed.md").read_text()


def test_the_report_card_has_its_keys(run, tmp_path):
    found = object_of(run("atlas", "report", "--limit", "5", "--json"))
    keys = {"facts", "trained_templates", "held_out_templates", "aliases", "long_context", "parameters", "tokens_seen"}
    assert keys <= found.keys()
    assert found["facts"] > 2000
    assert all(0 <= found[name] <= 1 for name in ("trained_templates", "held_out_templates", "aliases", "long_context"))


def test_the_report_card_scores_wordings_from_a_file_as_unseen(run, tmp_path):
    path = tmp_path / "unseen.tsv"
    path.write_text("relation\ttemplate\nP36\t{} is ruled from\nP36\tThe capital of {} is\n")
    found = object_of(run("atlas", "report", "--limit", "5", "--templates", str(path), "--json"))
    assert found["templates_left_out"] == ["The capital of {} is"]
    lines = {row["what"]: row["of"] for row in found["rows"]}
    assert 0 < lines["held_out_templates"] < lines["held_out_templates_of_presets"]
    path.write_text("relation\ttemplate\nP0\t{} is ruled from\n")
    failed = run("atlas", "report", "--templates", str(path))
    assert failed.exit_code == 2 and "line 2" in failed.stderr


def test_memory_that_runs_out_is_bad_input_and_no_trace(run, monkeypatch):
    monkeypatch.setattr("editlab.cli.model.statistics.measured_layers", lambda model: torch.empty(2**60))
    result = run("info", "--json")
    assert result.exit_code == 2 and json.loads(result.stdout)["error"] == "OutOfMemory"
    assert "Traceback" not in result.stderr


def test_the_plan_names_every_part_and_loads_nothing(run, monkeypatch):
    monkeypatch.setattr(LanguageModel, "load", lambda *_given, **_options: pytest.fail("loaded"))
    found = object_of(run("plan", "--model", "config:llama-2-7b", "--quantization", "4bit", "--edits", "100", "--json"))
    assert found.keys() >= {"weights", "cache", "statistics", "kept", "edit", "batch", "total", "free", "fits", "advice"}
    assert 3.5e9 < found["weights"] < 4.5e9 and found["statistics"] == 4 * 11_008**2
    needed = found["weights"] + found["statistics"] + found["kept"]
    assert found["total"] == needed + max(found["edit"], found["cache"] + found["batch"])
    alone = object_of(run("plan", "--model", "config:llama-2-7b", "--quantization", "4bit", "--statistics", "0", "--json"))
    assert alone["edit"] < found["edit"] and alone["statistics"] == 0


def test_info_of_a_model_in_4_bit_tells_which_weights_it_was_made_from(run, tiny_llama):
    found = object_of(run("info", "--quantization", "4bit", "--json"))
    assert found["checkpoint"] == tiny_llama.fingerprint and found["fingerprint"] == f"{tiny_llama.fingerprint}-4bit"
    assert found["quantization"] == "4bit" and found["parameters"] == tiny_llama.parameters


def test_growth_precision_and_memory_print_what_they_measured(run, tmp_path, monkeypatch):
    """What they measure is tested with the benches; here it stands for itself."""
    line = {"what": "layers", "size": 4, "seconds": 0.1, "ratio": 1.0, "slope": None}
    monkeypatch.setattr("editlab.cli.bench.model.growth.measure", lambda *_: iter([line]))
    monkeypatch.setattr("editlab.cli.bench.model.long_life.measure", lambda *_: iter([line | {"what": "events"}]))
    assert object_of(run("bench", "growth", "--json"))["rows"] == [line, line | {"what": "events"}]
    stage = {"what": "load", "planned": 2_000_000_000, "measured": 1_000_000_000, "ratio": 2.0}
    monkeypatch.setattr("editlab.cli.bench.model.peak.measure", lambda *_: iter([stage]))
    assert object_of(run("bench", "memory", "--json", "--out", str(tmp_path)))["rows"] == [stage]
    assert "| load | 2.0 GB | 1.0 GB | 2.00 |" in (tmp_path / "memory.md").read_text()
