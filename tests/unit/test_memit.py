"""MEMIT against its formulas, written a second time in `naive.py` with dense solves, and its promises."""

from dataclasses import replace

import naive
import pytest
import torch
from tiny_models import TEXTS, hooks_of, shared_model, tiny_model

from editlab import EditRequest, View, methods
from editlab.errors import Cancelled, MissingStatistics
from editlab.methods._delta import Schedule, optimise
from editlab.methods.memit import MemitConfig, edit
from editlab.methods.memit.edit import least_squares, mean_keys
from editlab.model import measuring, statistics
from editlab.model.statistics import KeyStatistics
from editlab.patches import BASE

MEMIT = methods.get("memit")
REQUESTS = (
    EditRequest("The capital of {} is in", "Slovenia", "people with"),
    EditRequest("{} was in the", "New France", "river"),
    EditRequest("I saw {}", "Ana", "with"),
)
CONFIG = MemitConfig(layers=(0, 1, 2), steps=6, preserved=50.0)
TEXT = (TEXTS / "chapter1.txt").read_text(encoding="utf-8")
EXACT = ["llama", "mistral_window", "gpt2", "gptj", "gpt_neox", "granite", "olmo2"]


@pytest.fixture(autouse=True)
def few_contexts(monkeypatch):
    """The bare prompt and two prefixes, not five: a naive run goes through each of them at every step."""
    monkeypatch.setattr(edit, "CONTEXTS", ((5, 2),))


def measured(kind, folder, dtype=torch.float32):
    """A model with key statistics of every layer that may be edited."""
    model = tiny_model(kind, dtype)
    if model.arch.post_mlp_norm is not None:
        vary_gains(model)
    model.statistics = (folder,)
    measuring.collect(model, [0, 1, 2], TEXT, 800, folder)
    return model


def vary_gains(model):
    """Gains as real models have them: of all sizes, some of them next to nothing."""
    generator = torch.Generator().manual_seed(0)
    for layer in range(model.n_layers):
        weight = model.arch.behind(model.hf, layer).norm.weight
        gains = (torch.randn(len(weight), generator=generator)).exp()
        gains[:2] = 0.0
        weight.data = (gains / gains.median()).to(weight.dtype) - model.arch.norm_offset


def assert_same_patches(differences, name, found, expected, tolerance):
    assert [patch.layer for patch in found] == [patch.layer for patch in expected]
    for patch, same in zip(found, expected, strict=True):
        differences(name, patch.dense(), same.dense(), tolerance)


@pytest.mark.parametrize("n", [1, 3, 60])
def test_the_small_solve_equals_the_dense_one(n, differences):
    generator = torch.Generator().manual_seed(n)
    sample = torch.randn(500, 40, generator=generator) @ torch.randn(40, 40, generator=generator)
    K, C = torch.randn(40, n, generator=generator), KeyStatistics.of(0, sample.T @ sample / 500, 500)
    for preserved in (20.0, 15_000.0):
        dense = torch.linalg.solve(preserved * C.regular.double() + K.double() @ K.double().T, K.double())
        differences("(lambda C + K K')^-1 K", least_squares(K, C, preserved), dense, 1e-4)


@pytest.mark.parametrize("kind", EXACT)
def test_the_whole_edit_equals_a_naive_one(kind, tmp_path, differences):
    model = measured(kind, tmp_path, torch.float64)
    edited = MEMIT.edit(model, REQUESTS, config=CONFIG)
    schedule = Schedule(6, CONFIG.learning_rate, CONFIG.weight_decay, CONFIG.clamp, CONFIG.kl)
    C = {layer: statistics.find(model, layer).regular for layer in CONFIG.layers}
    updates = naive.memit(model, REQUESTS, CONFIG.layers, edited.contexts, schedule, C, CONFIG.preserved)
    assert [patch.layer for patch in edited] == [0, 1, 2]
    for patch, update in zip(edited, updates, strict=True):
        assert patch.A.shape[0] == len(REQUESTS)
        differences("MEMIT against a naive one", patch.dense(), update, 1e-3)


def test_the_bare_prompt_has_half_the_weight_of_a_key(differences):
    model, contexts = shared_model("llama"), ("", "The river runs. ", "I was there. ", "You. ")
    keys = torch.stack(
        [naive.passing(model, naive.row_of(model, REQUESTS[0], context), 1, "mlp")["key"] for context in contexts]
    )
    weighted = keys[0] / 2 + keys[1] / 6 + keys[2] / 6 + keys[3] / 6
    differences("mean key", mean_keys(model, REQUESTS[:1], contexts, 1, BASE)[:, 0], weighted, 1e-5)
    assert (keys.mean(0) - weighted).norm() > 1e-2 * weighted.norm()
    differences("key of the bare prompt", mean_keys(model, REQUESTS[:1], contexts[:1], 1, BASE)[:, 0], keys[0], 1e-5)


def test_the_layers_together_reach_what_was_asked_for(tmp_path, differences):
    model = measured("llama", tmp_path)
    config = replace(CONFIG, preserved=1e-4)
    edited = MEMIT.edit(model, REQUESTS[:1], config=config)
    (patch,) = [patch for patch in edited if patch.layer == 2]
    below = View.base().with_patches([other for other in edited if other is not patch])
    K = mean_keys(model, REQUESTS[:1], edited.contexts, 2, below)
    differences("R of the last layer", patch.dense() @ K, patch.B, 1e-2)


@pytest.mark.parametrize("kind", ["olmo2", "gemma2", "gemma3"])
def test_behind_a_norm_one_layer_puts_out_the_very_value_that_was_found(kind, tmp_path, differences):
    model = measured(kind, tmp_path)
    config = replace(CONFIG, layers=(1,), preserved=1e-4)
    edited = MEMIT.edit(model, REQUESTS[:1], config=config)
    K = mean_keys(model, REQUESTS[:1], edited.contexts, 1, BASE)
    rows = [model.locate(REQUESTS[0].prompt, REQUESTS[0].subject)]
    (found,) = optimise(model, REQUESTS[:1], 1, "mlp", edited.contexts, Schedule.of(config), BASE)
    differences("R behind a norm", edited[0].dense() @ K, found.delta[:, None], 1e-2)
    assert found.delta.norm() > 0.1 * model.outputs(rows, 1).norm()


@pytest.mark.parametrize("kind", ["olmo2", "gemma3"])
def test_through_a_norm_a_change_of_the_residual_is_reached_in_direction(kind, tmp_path, differences):
    model = measured(kind, tmp_path)
    rows = [model.locate(request.prompt, request.subject) for request in REQUESTS]
    behind, value = model.arch.behind(model.hf, 1), model.outputs(rows, 1)
    gain = behind.norm.weight + model.arch.norm_offset
    heard = gain.abs() > 0.5
    change = 0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0)) * behind(value).norm() / 5
    found = behind.reaching(value, change, value)
    differences("what a norm passes", behind.reaching(value, 0 * change, value), value, 1e-5)
    direction = (found * gain)[:, heard]
    wanted = (behind(value) + change)[:, heard]
    assert torch.nn.functional.cosine_similarity(direction, wanted).min() > 0.99


def test_the_order_of_the_requests_changes_no_update(tmp_path, differences):
    model = measured("gpt2", tmp_path)
    forth, back = MEMIT.edit(model, REQUESTS, config=CONFIG), MEMIT.edit(model, REQUESTS[::-1], config=CONFIG)
    assert_same_patches(differences, "MEMIT: order of requests", forth, back, 1e-3)
    assert [h["p_new"] for h in forth.health] == pytest.approx([h["p_new"] for h in back.health[::-1]], rel=1e-2)


def test_keys_of_earlier_requests_are_spared_as_the_formula_has_it(tmp_path, differences):
    model, config = measured("llama", tmp_path), replace(CONFIG, layers=(1,))
    view = View.base().with_patches(MEMIT.edit(model, REQUESTS[:2], config=config))
    later = MEMIT.edit(model, REQUESTS[2:], view, config, earlier=REQUESTS[:2])
    before = mean_keys(model, REQUESTS[:2], later.contexts[:1], 1, view).double()
    own = mean_keys(model, REQUESTS[2:], later.contexts, 1, view).double()
    C = statistics.find(model, 1).regular.double()
    dense = torch.linalg.solve(config.preserved * C + before @ before.T + own @ own.T, own)
    differences("MEMIT: (lambda C + Kp Kp' + K K')^-1 K", later[0].A, dense.T, 1e-4)
    heard = [
        float((patch.dense().double() @ before).norm())
        for patch in (later[0], *MEMIT.edit(model, REQUESTS[2:], view, config))
    ]
    assert heard[0] < 0.8 * heard[1]


def test_a_small_token_budget_changes_no_update(tmp_path, differences):
    model = measured("llama", tmp_path)
    expected = MEMIT.edit(model, REQUESTS, config=CONFIG)
    model.tokens_per_forward = 60
    assert_same_patches(differences, "MEMIT: token budget", MEMIT.edit(model, REQUESTS, config=CONFIG), expected, 1e-3)


def test_the_order_in_which_layers_are_named_does_not_matter(tmp_path):
    model = measured("llama", tmp_path)
    bottom_first, mixed = (
        MEMIT.edit(model, REQUESTS, config=replace(CONFIG, layers=layers)) for layers in ((0, 1, 2), (2, 0, 1, 2))
    )
    assert mixed.layers == (0, 1, 2)
    assert all(torch.equal(a.dense(), b.dense()) for a, b in zip(bottom_first, mixed, strict=True))


def test_the_same_requests_on_a_fresh_model_give_the_same_bits(tmp_path):
    first, second = (MEMIT.edit(measured("llama", tmp_path), REQUESTS, config=CONFIG) for _ in range(2))
    for patch, same in zip(first, second, strict=True):
        assert torch.equal(patch.A, same.A)
        assert torch.equal(patch.B, same.B)


def test_all_requests_are_one_solve(tmp_path):
    edited = MEMIT.edit(measured("llama", tmp_path), REQUESTS, config=CONFIG)
    assert [len(solve) for solve in edited.solves] == [3]
    assert len(edited.health) == len(REQUESTS)


def test_the_default_layers_leave_one_above_to_carry_the_value():
    for kind, layers in (("llama", (1, 2)), ("gpt2", (1, 2))):
        assert methods.config_for("memit", shared_model(kind)).layers == layers


def test_missing_statistics_are_refused_before_any_work(tmp_path):
    model = measured("llama", tmp_path)
    with pytest.raises(MissingStatistics, match="editlab stats --model tiny llama --layers 3 --self"):
        MEMIT.edit(model, REQUESTS, config=replace(CONFIG, layers=(1, 3)), progress=lambda *_: pytest.fail("work began"))


@pytest.mark.parametrize("checks", [0, 3, 7])
def test_cancelling_leaves_nothing(checks, tmp_path):
    model, asked = measured("llama", tmp_path), []
    before = model.weights_hash()

    def cancel():
        asked.append(True)
        return len(asked) > checks

    with pytest.raises(Cancelled, match="Nothing was changed"):
        MEMIT.edit(model, REQUESTS, config=CONFIG, cancel=cancel)
    assert len(asked) == checks + 1
    assert model.weights_hash() == before
    assert hooks_of(model) == 0
