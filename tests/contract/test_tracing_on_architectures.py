"""Causal tracing on every architecture: the batched form against one restoration after another through all of the model."""

from dataclasses import replace

import pytest
import torch
from tiny_models import KINDS, hooks_of, precise_model

from editlab.bench import plain_tracing
from editlab.errors import Cancelled
from editlab.facts import EditRequest
from editlab.insight.tracing import Tracing, deviation_of, trace

LATER = EditRequest("The river runs to {} and then", "Slovenia", "people", "with")
FIRST = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
LAST = EditRequest("It was in the winter when the long river came to {}", "France", "people", "with")


@pytest.fixture(params=KINDS)
def model(request):
    return precise_model(request.param)


@pytest.mark.parametrize("asked", [LATER, FIRST, LAST], ids=["later", "first", "last"])
def test_the_batched_form_is_the_one_by_one_form(model, asked, differences):
    how = Tracing(deviation_of(model, [asked.subject]), samples=2, window=3)
    frame, plain = trace(model, asked, how), plain_tracing.trace(model, asked, how)
    keys = list(zip(frame["kind"], frame["layer"], frame["back"], strict=True))
    assert len(keys) == len(set(keys)) and set(keys) == plain.keys()
    found = torch.tensor(frame["effect"].tolist(), dtype=torch.float64)
    expected = torch.tensor([plain[key] for key in keys], dtype=torch.float64)
    corrupted, tolerance = frame.attrs["corrupted"], 1e-5 if model.dtype == torch.float32 else 1e-6
    differences("tracing, p restored", found + corrupted, expected + corrupted, tolerance)
    assert expected.abs().max() > 0.01 * frame.attrs["clean"], "nothing has an effect, or the test shows nothing"


def test_what_is_restored_at_the_end_is_the_clean_run(model):
    frame = trace(model, LATER, Tracing(deviation_of(model, [LATER.subject]), samples=2))
    last = frame[(frame["kind"] == "hidden") & (frame["back"] == 1) & (frame["layer"] == model.n_layers - 1)]
    assert last["p"].item() == pytest.approx(frame.attrs["clean"], rel=1e-5)
    before = frame[(frame["kind"] == "hidden") & (frame["back"] > 1) & (frame["layer"] == model.n_layers - 1)]
    assert before["p"].tolist() == pytest.approx([frame.attrs["corrupted"]] * len(before), rel=1e-5)


def test_batches_of_any_size_some_layers_and_a_seed_give_the_same(model):
    how = Tracing(deviation_of(model, [LATER.subject]), samples=3, seed=4)
    frame, before = trace(model, LATER, how), model.tokens_per_forward
    try:
        model.tokens_per_forward = 40
        few = trace(model, LATER, how)
    finally:
        model.tokens_per_forward = before
    assert few["p"].tolist() == pytest.approx(frame["p"].tolist(), rel=1e-4)
    some = trace(model, LATER, replace(how, layers=(1, 3)))
    assert some["p"].tolist() == pytest.approx(frame[frame["layer"].isin([1, 3])]["p"].tolist(), rel=1e-4)
    assert trace(model, LATER, how)["p"].tolist() == frame["p"].tolist()
    assert trace(model, LATER, replace(how, seed=5))["p"].tolist() != frame["p"].tolist()


def test_nothing_stays_behind_also_where_it_is_stopped(model):
    how, hooks, hashed = Tracing(1.0, samples=2), hooks_of(model), model.weights_hash()
    trace(model, LATER, how)
    with pytest.raises(Cancelled):
        trace(model, LATER, how, cancel=lambda: True)
    assert hooks_of(model) == hooks and model.weights_hash() == hashed
