"""Causal tracing and the layer sweep on the Inside tab, without a browser."""

import json

import gradio as gr
import pandas as pd
import pytest
from visitors import Reader, runs

from editlab.facts import EditRequest
from editlab.figures import layers as figures
from editlab.lab import LayerRow
from editlab.web.core.components import Parts
from editlab.web.core.forms import read_settings
from editlab.web.core.updates import SHARED
from editlab.web.inside import layer_words
from editlab.web.inside.layer_handlers import OF_LAYERS, LayerHandlers
from editlab.web.inside.tab import create_inside_tab

REQUEST = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")


@pytest.fixture
def reader(lab, request, few_steps, folder):
    return Reader(LayerHandlers(lab), request.node.name[:60], "inside")


# --- handlers -------------------------------------------------------------------------------------------------------


def test_without_an_edit_nothing_is_drawn_and_a_press_says_what_to_do(reader):
    page = reader.does("layers_open")
    assert not any(page[f"inside-{name}"] or reader.draws(name) for name in OF_LAYERS)
    for press in ("inside_trace", "inside_sweep"):
        assert "Apply an edit first" in reader.does(press)["message"]
    assert "Apply an edit first" in reader.does("inside_use_layer", "1", "")["message"]


def test_tracing_fills_in_token_by_token_and_is_kept_for_this_edit(reader, monkeypatch):
    reader.applies()
    assert "Press “Trace the fact”" in reader.does("layers_open")["inside-tracing"]
    page = reader.does("inside_trace")
    assert reader.draws("tracing") and "under noise on Slovenia" in reader.says("tracing")
    assert "<table>" in page["inside-tracing-table"] and page["progress"] == ""
    monkeypatch.setattr(reader.workspace, "submit", lambda *given: pytest.fail("computed again"))
    before = reader.says("tracing")
    assert "Press “Edit at each layer”" in reader.does("layers_open")["inside-sweep"] and reader.says("tracing") == before
    monkeypatch.undo()
    reader.applies(EditRequest("{} has its capital in", "France", "Rome", "Paris"))
    assert "Press “Trace the fact”" in reader.does("layers_open")["inside-tracing"] and not reader.draws("tracing")


def test_an_edit_without_a_true_object_cannot_be_traced(reader):
    reader.applies(EditRequest("{} is the home of", "Slovenia", "Antarctica"))
    assert "Give the original answer" in reader.does("inside_trace")["message"]


def test_the_sweep_fills_in_layer_by_layer_and_its_layer_is_filled_into_the_settings(reader, tiny_llama):
    record = reader.applies()
    page = reader.does("inside_sweep")
    assert reader.draws("sweep") and page["inside-sweep-table"].count("<tr>") == 1 + tiny_llama.n_layers
    choices = page["inside-layer"]["choices"]
    assert [value for _, value in choices] == [str(layer) for layer in range(tiny_llama.n_layers)]
    changed = json.dumps({"rome": {"steps": "9"}, "memit": {"layers": "0"}})
    page = reader.does("inside_use_layer", "2", changed)
    assert json.loads(page["settings"]) == {"rome": {"steps": "9", "layers": "2"}, "memit": {"layers": "0"}}
    assert "The next edit by ROME is made at layer 2" in page["message"]
    assert read_settings(reader.lab.methods(), "rome", page["settings"])["layers"] == "2"
    for wrong in ("9", "", None, "two"):
        assert "Press “Edit at each layer” first" in reader.does("inside_use_layer", wrong, "")["message"]
    assert reader.workspace.records == (record,), "the sweep changes no edit"


def test_a_sweep_that_is_stopped_shows_the_layers_that_were_tried(reader):
    reader.applies()
    seen = []
    for update in runs(reader.handlers, "inside_sweep", reader.name):
        seen.append(update)
        if update.get("inside-sweep-plot") is not None:
            reader.workspace.stop()
    drawn = [update for update in seen if update.get("inside-sweep-plot") is not None]
    assert drawn and ("topped" in seen[-1]["message"] or len(drawn[-1]["inside-layer"]["choices"]) == 4)
    assert "is made at layer 0" in reader.does("inside_use_layer", "0", "")["message"]
    assert reader.does("layers_open")["inside-sweep-plot"] is not None


def test_every_update_is_of_a_part_that_the_tab_has(reader, lab):
    with gr.Blocks():
        others = {name: gr.BrowserState() if name == "visitor" else gr.Button() for name in SHARED}
        parts = create_inside_tab(gr.Tab(), lab, Parts(others | {"settings": gr.HTML("")}))
    reader.applies()
    for name, *fields in (("layers_open",), ("inside_trace",), ("inside_sweep",), ("inside_use_layer", "1", "")):
        reader.does(name, *fields)
        assert reader.seen and {part for update in reader.seen for part in update} <= parts.keys(), name


# --- sentences ------------------------------------------------------------------------------------------------------


def traced(clean=0.9, corrupted=0.2):
    """Effects at two layers of the subject's last token and of the last one."""
    rows = [
        ("hidden", 0, 2, "␣a", "last subject", 0.5), ("hidden", 1, 2, "␣a", "last subject", 0.6),
        ("mlp", 0, 2, "␣a", "last subject", 0.4), ("mlp", 1, 2, "␣a", "last subject", 0.1),
        ("attention", 0, 2, "␣a", "last subject", 0.0), ("attention", 1, 1, "␣of", "last", 0.3),
        ("hidden", 1, 1, "␣of", "last", 0.7), ("mlp", 1, 1, "␣of", "last", 0.05),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["kind", "layer", "back", "token", "place", "effect"])
    frame.attrs |= {"clean": clean, "corrupted": corrupted, "window": 2}
    return frame


def test_tracing_says_what_the_noise_takes_what_brings_it_back_and_what_the_edited_layer_does():
    said = layer_words.tracing(REQUEST, traced(), (1,))
    assert said == (
        "The unedited model says Europe with 90 %, and with 20 % under noise on Slovenia. Of the subject, most comes back "
        "at “a”: 40 points by the MLPs around layer 0, 60 points by the hidden state after layer 1. At “of”, the attention "
        "around layer 1 brings back 30 points. At the subject’s last token, where the edit is written, the MLPs around "
        "layer 1 bring back 10 points."
    )
    assert layer_words.tracing_title(traced()) == "the MLPs around layer 0 recall most"
    assert "cannot be traced" in layer_words.tracing(REQUEST, traced(0.3, 0.25), (1,))
    assert "changes little" in layer_words.tracing_title(traced(0.3, 0.25))


def test_tracing_tells_of_one_token_what_it_brings_back():
    frame = traced()
    more = frame.iloc[[0]].assign(back=3, token="␣the", place="subject", effect=0.65)
    both = pd.concat([frame, more], ignore_index=True)
    both.attrs |= frame.attrs
    assert "at “a”: 40 points by the MLPs around layer 0, 60 points by the hidden state" in layer_words.tracing(
        REQUEST, both, (1,)
    )


@pytest.mark.parametrize(("edited", "anchor", "x"), [((0,), "left", -0.5), ((1,), "right", 1.5)])
def test_the_name_of_the_edited_layers_is_written_towards_the_middle_of_the_figure(edited, anchor, x):
    (mark,) = [note for note in figures.tracing(traced(), edited).layout.annotations if note.text == "edited"]
    assert (mark.xanchor, mark.x) == (anchor, x)


GOOD = {"paraphrase": 1.0, "locality": 0.9}


def row(layer, p=0.9, rates=GOOD, norm=0.2, success=True, **more):
    return LayerRow(layer, success, p, rates, norm, **more)


def test_the_sweep_names_the_best_layer_and_what_is_given_up_where_the_edit_is_now():
    said = layer_words.sweep([row(0, 0.5), row(1, whitened=True), row(2, 0.8, whitened=False)], (0,))
    assert said.startswith("Layer 1 would be best, with a score of 0.85: the new object has 90 % there")
    assert "Layer 0, where it is made now, has 0.47." in said or "Layer 0, where it is made now, has 0.48." in said
    assert "Key statistics are there for layer 1 alone" in said
    assert layer_words.sweep([row(0), row(1, 0.5)], (0,)).endswith("That is where it is made now.")


def test_the_sweep_says_where_the_edit_takes_nowhere_or_cannot_be_made():
    failed = [row(0, 0.01, success=False), row(1, 0.2, success=False), LayerRow(2, skipped="There are no statistics.")]
    said = layer_words.sweep(failed, (0,))
    assert "takes at none of the 2 layers. It comes nearest at layer 1, where the new object has 20 %." in said
    assert said.endswith("At 1 layer it could not be made: There are no statistics.")
    assert layer_words.sweep_title(failed) == "it takes at no layer"
