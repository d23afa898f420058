"""tools/gpu-check, on the CPU and a tiny model."""

import csv
import importlib.util
import signal
import sys
import time
from importlib.machinery import SourceFileLoader

import pytest
from paths import ROOT

PRESET = """
name = "tiny"
[match]
model_type = "llama"
hidden_size = 32
num_hidden_layers = 4
intermediate_size = 64
vocab_size = 8192
[config]
model_type = "llama"
hidden_size = 32
num_hidden_layers = 4
intermediate_size = 64
vocab_size = 8192
num_attention_heads = 4
num_key_value_heads = 2
max_position_embeddings = 1024
rope_parameters = { rope_type = "default", rope_theta = 10000.0 }
tie_word_embeddings = true
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    """The script as a module; the models it knows include `config:tiny`."""
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "tiny.toml").write_text(PRESET)
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path))
    loader = SourceFileLoader("gpu_check", str(ROOT / "tools" / "gpu-check"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", loader))
    monkeypatch.setitem(sys.modules, "gpu_check", module)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    return module


@pytest.fixture
def table(check, tmp_path):
    """Call the script with arguments; its rows as they stand in the file."""

    def measured(*arguments: str) -> list[dict[str, str]]:
        check.main(["--out", str(tmp_path / "out"), *arguments])
        with (tmp_path / "out" / "gpu-check.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return measured


@pytest.mark.slow
def test_every_part_gives_seconds_and_memory(table, check, tmp_path):
    rows = table("--models", "config:tiny", "--precisions", "bf16", "--edits", "2", "--minutes", "9")
    assert {row["part"] for row in rows} == {*check.PARTS, "all"}
    assert not [row["note"] for row in rows if "Error" in row["note"] or "stopped" in row["note"]]
    assert all(float(row["seconds"]) > 0 for row in rows if row["part"] != "all")
    assert all(float(row["peak"]) > 0 for row in rows)
    assert {row["part"] for row in rows if row["to_plan"]} >= {"load", "statistics", "edit", "battery", "edits", "all"}
    page = (tmp_path / "out" / "gpu-check.md").read_text(encoding="utf-8")
    assert "## config:tiny, bf16" in page and "generation under 1,000 edits" in page and "battery of 60 prompts x 4" in page


def test_a_part_that_fails_is_a_row_and_the_others_go_on(table, check, monkeypatch):
    def broken(_check):
        raise RuntimeError("CUDA error: no kernel image\nmore")
        yield

    monkeypatch.setitem(check.PARTS, "statistics", broken)
    rows = table("--models", "config:tiny,config:none-such", "--precisions", "bf16", "--parts", "load,statistics,rep")
    notes = {(row["model"], row["part"]): row["note"] for row in rows}
    assert notes["config:tiny", "statistics"] == "RuntimeError: CUDA error: no kernel image"
    assert notes["config:tiny", "rep"] == ""
    assert "There is no preset 'none-such'" in notes["config:none-such", "load"]


def test_what_no_time_is_left_for_is_said(table):
    rows = table("--models", "config:tiny", "--precisions", "bf16", "--parts", "load,edit", "--minutes", "0")
    assert [row["part"] for row in rows] == ["load"] and "the time was up" in rows[0]["note"]


def test_a_part_is_stopped_when_its_time_is_up(check):
    with pytest.raises(check.TimeIsUp), check.limited(time.monotonic() + 0.05):
        time.sleep(60)
    with check.limited(time.monotonic() + 60):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_four_bit_without_bitsandbytes_is_said(table, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    rows = table("--models", "config:tiny", "--precisions", "4bit")
    assert [row["note"] for row in rows] == ["bitsandbytes is not installed"]
