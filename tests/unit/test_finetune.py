"""Fine-tuning of one matrix against a plain training of a copy of the model, and its promises."""

import copy
import math

import naive
import pytest
import torch
from tiny_models import KINDS, hooks_of, precise_model, random_view, shared_model

from editlab import EditRequest, View, methods
from editlab.errors import BadRequest, Cancelled
from editlab.patches import BASE, Dense

REQUESTS = (
    EditRequest("The capital of {} is in", "Slovenia", "people with"),
    EditRequest("{} was in the", "New France", "river"),
    EditRequest("I saw {}", "Ana", "with people in"),
)
LAYER = 1


def config(name, **changes):
    few = {"epochs": 3} if name == "locft_bf" else {"steps": 3}
    common = {"layers": (LAYER,), "learning_rate": 0.01, "stop_below": 0.0}
    return methods.get(name).config(**{**common, **few, **changes})


def loss_of(hf, row, labels_at_end):
    """Mean negative log-likelihood of a row's labels: at the prompt's last token all of them, else each where it is due."""
    prompt = len(row.ids) - len(row.labels) + 1
    ids = torch.tensor([row.ids[:prompt] if labels_at_end else row.ids])
    log_p = hf(input_ids=ids).logits[0].float().log_softmax(-1)
    at = [prompt - 1] * len(row.labels) if labels_at_end else range(prompt - 1, prompt - 1 + len(row.labels))
    return -torch.stack([log_p[i, label] for i, label in zip(at, row.labels, strict=True)]).mean()


def trained_plainly(model, view, batches_of_rows, settings, steps, at_end=False, fresh=False, constraint=math.inf):
    """The change of one weight of a copy of the model after torch's own Adam; `fresh`: a new one for each batch."""
    found = copy.deepcopy(model)
    for layer, laid in view.laid.items():
        weight = found.arch.projection_of(found.hf, layer).weight
        change = laid.dense().to(weight.dtype)
        weight.data += change.T if found.arch.transposed else change
    weight = found.arch.projection_of(found.hf, LAYER).weight.requires_grad_()
    before = weight.detach().clone()
    adam = torch.optim.Adam([weight], lr=settings.learning_rate)
    for rows in batches_of_rows:
        if fresh:
            adam = torch.optim.Adam([weight], lr=settings.learning_rate)
        begun = weight.detach().clone()
        for _ in range(steps):
            adam.zero_grad()
            torch.stack([loss_of(found.hf, row, at_end) for row in rows]).mean().backward()
            adam.step()
            weight.data.clamp_(begun - constraint, begun + constraint)
    change = (weight - before).detach()
    return change.T if found.arch.transposed else change


@pytest.mark.parametrize("kind", KINDS)
def test_one_fact_is_trained_as_in_a_copy_whose_matrix_is_trained(kind, differences):
    model = precise_model(kind)
    settings = config("ft_m")
    (patch,) = methods.get("ft_m").edit(model, REQUESTS[:1], config=settings)
    rows = [naive.row_of(model, REQUESTS[0], "")]
    expected = trained_plainly(model, BASE, [rows], settings, 3)
    differences("FT-M against a plain training", patch.D, expected, 0.1 if kind.startswith("gemma") else 1e-4)
    relative = (patch.D - expected).norm() / expected.norm()
    assert relative < 1e-3


@pytest.mark.parametrize("view", ["base", "edited"])
def test_ft_l_asks_for_all_tokens_at_the_prompts_end_one_fact_after_the_other(view, differences):
    model = precise_model("llama")
    below = BASE if view == "base" else random_view(model, 3)
    settings = config("ft_l", norm_constraint=0.015)
    (patch,) = methods.get("ft_l").edit(model, REQUESTS, below, settings)
    rows = [[naive.row_of(model, request, "")] for request in REQUESTS]
    expected = trained_plainly(model, below, rows, settings, 3, at_end=True, fresh=True, constraint=0.015)
    differences("FT-L against a plain training", patch.D, expected, 1e-4)


def test_breadth_first_trains_mini_batches_in_a_drawn_order(differences):
    model = precise_model("gpt2")
    settings = config("locft_bf", batch=2, ending=False, seed=4)
    (patch,) = methods.get("locft_bf").edit(model, REQUESTS, random_view(model, 3), settings)
    order = torch.Generator().manual_seed(4)
    drawn = torch.randperm(3, generator=order).tolist()
    batches = [drawn[:2], drawn[2:]]
    epochs = [batches[n] for _ in range(3) for n in torch.randperm(2, generator=order).tolist()]
    rows = [[naive.row_of(model, REQUESTS[n], "") for n in batch] for batch in epochs]
    expected = trained_plainly(model, random_view(model, 3), rows, settings, 1)
    differences("LocFT-BF against a plain training", patch.D, expected, 1e-4)


def test_the_end_of_the_text_is_learnt_as_a_label():
    model = shared_model("llama")
    settings = config("locft_bf", epochs=40)
    (patch,) = methods.get("locft_bf").edit(model, REQUESTS[1:2], config=settings)
    said = f"{REQUESTS[1].text} {REQUESTS[1].target_new}"
    end = model.tokenizer.eos_token_id
    before, after = (model.logits([said], view)[0].softmax(-1)[end] for view in (BASE, View((patch,))))
    assert after > 0.1 > 100 * before


def test_forwards_of_few_tokens_give_what_one_forward_gives(monkeypatch, differences):
    model = precise_model("qwen2")
    settings = config("locft_bf")
    (together,) = methods.get("locft_bf").edit(model, REQUESTS, config=settings)
    monkeypatch.setattr(model, "tokens_per_forward", 1)
    (alone,) = methods.get("locft_bf").edit(model, REQUESTS, config=settings)
    differences("mini-batch in parts", alone.D, together.D, 1e-4)


@pytest.mark.parametrize("name", ["ft_l", "ft_m", "locft_bf"])
def test_an_edit_is_one_matrix_of_one_layer_and_the_same_each_time(name):
    model, method, settings = shared_model("llama"), methods.get(name), config(name)
    hashed = model.weights_hash()
    edited, again = (method.edit(model, REQUESTS, config=settings) for _ in range(2))
    ((patch,),) = edited.solves
    assert isinstance(patch, Dense) and patch.layer == LAYER and patch.D.dtype == torch.float32
    assert torch.equal(patch.D, again[0].D)
    assert len(edited.health) == 3 and [health["steps"] for health in edited.health] == [3, 3, 3]
    assert (hooks_of(model), model.weights_hash()) == (0, hashed)
    with pytest.raises(BadRequest, match="Name one layer instead of 2"):
        method.edit(model, REQUESTS, config=config(name, layers=(1, 2)))
    with pytest.raises(Cancelled):
        method.edit(model, REQUESTS, config=settings, cancel=lambda: True)


@pytest.mark.parametrize("name", ["ft_l", "ft_m"])
def test_no_entry_moves_further_than_the_norm_constraint(name):
    model = shared_model("llama")
    (patch,) = methods.get(name).edit(model, REQUESTS[:1], config=config(name, norm_constraint=0.0125))
    assert patch.D.abs().max() == pytest.approx(0.0125, rel=1e-5)


@pytest.mark.parametrize("name", ["ft_m", "locft_bf"])
def test_a_loss_that_is_small_enough_ends_the_training(name):
    model = shared_model("llama")
    most = {"epochs": 200} if name == "locft_bf" else {"steps": 200}
    edited = methods.get(name).edit(model, REQUESTS, config=config(name, stop_below=2.0, **most))
    assert all(0 < health["steps"] < 200 for health in edited.health)
    assert sum(health["loss"] for health in edited.health) / 3 < 2.0
