"""ROME against its formulas, written a second time in `naive.py`, and its promises: exact, repeatable, undone by nothing."""

import copy
from dataclasses import replace

import naive
import pytest
import torch
from tiny_models import KINDS, TEXTS, hooks_of, precise_model, random_view, shared_model, tiny_model

from editlab import EditRequest, View, methods
from editlab.errors import BadRequest, Cancelled, DegenerateKey
from editlab.methods import _delta
from editlab.methods._contexts import context_texts
from editlab.methods._delta import Schedule, optimise
from editlab.methods.rome import RomeConfig, edit
from editlab.methods.rome.edit import rank_one
from editlab.model import measuring, statistics
from editlab.patches import BASE

ROME = methods.get("rome")
CONTEXTS = ("", "The river runs. ", "I was in the house and Rome. ")
SCHEDULE = Schedule(steps=7, learning_rate=0.5, weight_decay=1e-3, clamp=4.0, kl=0.0625)
REQUESTS = (
    EditRequest("The capital of {} is in", "Slovenia", "people with"),
    EditRequest("{} was in the", "New France", "river"),
    EditRequest("I saw {}", "Ana", "with"),
)
CONFIG = RomeConfig(layers=(1,), steps=6, whiten=False)


@pytest.fixture(autouse=True)
def few_contexts(monkeypatch):
    """The bare prompt and three prefixes, not twenty: a naive run goes through each of them at every step."""
    monkeypatch.setattr(edit, "CONTEXTS", ((4, 2), (6, 1)))


def deltas_of(values):
    return torch.stack([value.delta for value in values])


# --- The value ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["mlp", "block"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_value_equals_a_naive_optimisation(kind, hook, differences):
    model = precise_model(kind)
    values = optimise(model, REQUESTS, 1, hook, CONTEXTS, SCHEDULE, BASE)
    expected = [naive.value_for(model, request, 1, hook, CONTEXTS, SCHEDULE) for request in REQUESTS]
    differences("delta against a naive one", deltas_of(values), deltas_of(expected), 1e-4)
    differences("init against a naive one", *(torch.stack([v.init for v in vs]) for vs in (values, expected)), 1e-5)
    differences("keys against naive ones", values[1].keys, expected[1].key, 1e-5)
    differences("values against naive ones", values[1].values, expected[1].value, 1e-5)
    assert [value.loss for value in values] == pytest.approx([found.loss for found in expected], rel=1e-4)
    assert [value.steps for value in values] == [found.steps for found in expected] == [6, 6, 6]


@pytest.mark.parametrize(
    "change", [{"kl": 3.0}, {"clamp": 0.6}, {"weight_decay": 20.0}, {"steps": 1}, {"learning_rate": 0.05, "steps": 20}]
)
def test_every_setting_acts_as_in_the_formula(change, differences):
    model, schedule = precise_model("gpt2"), replace(SCHEDULE, **change)
    (value,) = optimise(model, REQUESTS[:1], 1, "mlp", CONTEXTS, schedule, BASE)
    expected = naive.value_for(model, REQUESTS[0], 1, "mlp", CONTEXTS, schedule)
    usual = naive.value_for(model, REQUESTS[0], 1, "mlp", CONTEXTS, SCHEDULE)
    assert (usual.delta - expected.delta).norm() > 1e-2 * usual.delta.norm()
    if change == {"steps": 1}:
        assert value.steps == 0
        assert not value.delta.any()
    else:
        differences("delta: settings", value.delta, expected.delta, 1e-4)


def test_the_edited_distribution_carries_the_gradient_of_the_divergence():
    model, schedule = precise_model("gpt2"), replace(SCHEDULE, kl=3.0)
    (value,) = optimise(model, REQUESTS[:1], 1, "mlp", CONTEXTS, schedule, BASE)
    turned = naive.value_for(model, REQUESTS[0], 1, "mlp", CONTEXTS, schedule, reversed_kl=True)
    assert (value.delta - turned.delta).norm() > 1e-2 * turned.delta.norm()


def test_the_clamp_bounds_the_delta():
    model = shared_model("llama")
    for value in optimise(model, REQUESTS, 1, "mlp", CONTEXTS, replace(SCHEDULE, clamp=0.3), BASE):
        assert value.delta.norm() == pytest.approx(0.3 * value.init.norm().item(), rel=1e-5)


def test_it_stops_at_the_first_loss_that_is_low_enough_each_request_for_itself(differences):
    model, long = precise_model("llama"), replace(SCHEDULE, steps=12)
    path = [
        [value.loss for value in optimise(model, REQUESTS, 1, "mlp", CONTEXTS, replace(long, steps=n), BASE)]
        for n in range(1, 13)
    ]
    easy = min(range(3), key=lambda request: path[-1][request])
    threshold = (path[4][easy] + path[5][easy]) / 2
    stopped = optimise(model, REQUESTS, 1, "mlp", CONTEXTS, replace(long, stop_below=threshold), BASE)
    for number, value in enumerate(stopped):
        expected = next((n for n, losses in enumerate(path) if losses[number] < threshold), 11)
        limited = optimise(model, REQUESTS, 1, "mlp", CONTEXTS, replace(long, steps=expected + 1), BASE)[number]
        assert value.steps == expected
        assert value.loss == pytest.approx(limited.loss, rel=1e-5)
        differences("delta: early stop", value.delta, limited.delta, 1e-5)
    assert stopped[easy].steps < max(value.steps for value in stopped) == 11


def test_what_has_ended_is_no_longer_run_and_the_rest_goes_on_as_before(differences, monkeypatch):
    model = precise_model("llama")
    first, second = (optimise(model, [request], 1, "mlp", CONTEXTS, SCHEDULE, BASE)[0] for request in REQUESTS[:2])
    easy, hard = (0, 1) if first.loss < second.loss else (1, 0)
    stopping = replace(SCHEDULE, stop_below=(first.loss + second.loss) / 2)
    sizes = []
    whole = _delta.replay
    monkeypatch.setattr(_delta, "replay", lambda model, rows, *rest: sizes.append(len(rows)) or whole(model, rows, *rest))
    batch = [REQUESTS[easy], REQUESTS[hard], REQUESTS[easy]]
    values = optimise(model, batch, 1, "mlp", CONTEXTS, stopping, BASE)
    alone = [optimise(model, [request], 1, "mlp", CONTEXTS, stopping, BASE)[0] for request in batch]
    own = [len(CONTEXTS) + (not request.prompt.startswith("{}")) for request in batch]
    assert sizes[:2] == [sum(own), own[1]]
    assert [value.steps for value in values] == [value.steps for value in alone]
    assert values[0].steps < values[1].steps
    differences("delta: after others ended", deltas_of(values), deltas_of(alone), 1e-4)


def test_a_prompt_of_nothing_but_its_subject_has_the_value_of_a_naive_optimisation(differences):
    model, request = precise_model("llama"), EditRequest("{}", "New France", "river")
    (value,) = optimise(model, [request], 1, "mlp", CONTEXTS, SCHEDULE, BASE)
    expected = naive.value_for(model, request, 1, "mlp", CONTEXTS, SCHEDULE)
    differences("delta against a naive one", value.delta, expected.delta, 1e-4)


def test_a_chunk_that_keeps_the_processor_busy_takes_no_longer_tails(monkeypatch):
    model, batch = shared_model("llama"), [REQUESTS[2], REQUESTS[0], REQUESTS[2], REQUESTS[0]]
    assert list(_delta._chunks(model, batch, CONTEXTS)) == [[0, 2, 1, 3]]
    monkeypatch.setattr(_delta, "ENOUGH", {"cpu": 1})
    assert list(_delta._chunks(model, batch, CONTEXTS)) == [[0, 2], [1, 3]]


@pytest.mark.parametrize("hook", ["mlp", "block"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_requests_equals_one_by_one(kind, hook, differences):
    model = shared_model(kind)
    together = optimise(model, REQUESTS, 1, hook, CONTEXTS, SCHEDULE, BASE)
    alone = [optimise(model, [request], 1, hook, CONTEXTS, SCHEDULE, BASE)[0] for request in REQUESTS]
    differences("delta: batch against single requests", deltas_of(together), deltas_of(alone), 1e-4)


def test_a_small_token_budget_changes_no_value(differences):
    model = tiny_model("llama")
    expected = optimise(model, REQUESTS, 1, "mlp", CONTEXTS, SCHEDULE, BASE)
    model.tokens_per_forward, seen = 60, []
    found = optimise(model, REQUESTS, 1, "mlp", CONTEXTS, SCHEDULE, BASE, lambda fraction, _text: seen.append(fraction))
    differences("delta: token budget", deltas_of(found), deltas_of(expected), 1e-4)
    assert seen == sorted(seen)
    assert seen[-1] < 1


# --- The write ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["consistent", "original", "prompt"])
@pytest.mark.parametrize("kind", ["llama", "mistral", "gpt2", "gptj", "gemma2"])
def test_the_patch_equals_the_naive_rank_one_update(kind, keys, differences):
    model = precise_model(kind)
    edited = ROME.edit(model, REQUESTS[:1], config=replace(CONFIG, keys=keys))
    schedule = Schedule(6, CONFIG.learning_rate, CONFIG.weight_decay, CONFIG.clamp, CONFIG.kl)
    found = naive.value_for(model, REQUESTS[0], 1, "mlp", edited.contexts, schedule)
    u, right = naive.rank_one(found, keys, None)
    (patch,) = edited
    differences("u against a naive one", patch.A[0], u, 1e-5)
    differences("right against a naive one", patch.B[:, 0], right, 1e-4)


@pytest.mark.parametrize("keys", ["consistent", "original", "prompt"])
def test_with_statistics_the_direction_is_whitened(keys, tmp_path, differences):
    model = tiny_model("gpt2", torch.float64)
    model.statistics = (tmp_path,)
    text = (TEXTS / "chapter1.txt").read_text(encoding="utf-8")
    (measured,) = measuring.collect(model, [1], text, 800, tmp_path)
    edited = ROME.edit(model, REQUESTS[:1], config=replace(CONFIG, keys=keys, whiten=True))
    schedule = Schedule(6, CONFIG.learning_rate, CONFIG.weight_decay, CONFIG.clamp, CONFIG.kl)
    found = naive.value_for(model, REQUESTS[0], 1, "mlp", edited.contexts, schedule)
    u, right = naive.rank_one(found, keys, measured.regular)
    differences("u, whitened", edited[0].A[0], u, 1e-4)
    differences("right, whitened", edited[0].B[:, 0], right, 1e-4)
    assert edited.health[0]["whitened"] == 1.0
    assert ROME.edit(model, REQUESTS[:1], config=CONFIG).health[0]["whitened"] == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_edited_projection_retrieves_the_old_output_plus_delta(kind, differences):
    model = shared_model(kind)
    contexts = context_texts(model, edit.CONTEXTS)
    schedule = Schedule(6, CONFIG.learning_rate, CONFIG.weight_decay, CONFIG.clamp, CONFIG.kl)
    for keys in ("prompt", "original"):
        (patch,) = ROME.edit(model, REQUESTS[:1], config=replace(CONFIG, keys=keys))
        (value,) = optimise(model, REQUESTS[:1], 1, "mlp", contexts, schedule, BASE)
        seen = naive.passing(model, naive.row_of(model, REQUESTS[0], ""), 1, "mlp")
        retrieved = seen["value"] + patch.dense() @ seen["key"]
        differences("(W + dW) k against o + delta", retrieved, seen["value"] + value.delta, 1e-5)


def test_an_orthogonal_direction_is_refused():
    key, u, residual = torch.eye(4)[0], torch.eye(4)[1], torch.ones(3)
    for bad in (u, u + 1e-5 * key, torch.full((4,), torch.nan)):
        with pytest.raises(DegenerateKey, match="keys='consistent'"):
            rank_one(1, bad, key, residual)
    assert torch.equal(rank_one(1, key, key, residual).dense()[:, 0], residual)


def test_health_tells_divisor_share_and_size():
    model = shared_model("llama")
    edited = ROME.edit(model, REQUESTS, config=CONFIG)
    contexts = edited.contexts
    for request, patch, health in zip(REQUESTS, edited, edited.health, strict=True):
        keys = torch.stack([naive.passing(model, naive.row_of(model, request, c), 1, "mlp")["key"] for c in contexts])
        u = keys.mean(0) / keys.mean(0).norm()
        assert health["divisor"] == pytest.approx((u @ keys.mean(0)).item(), rel=1e-4)
        assert health["share"] == pytest.approx((u @ keys[0] / (u @ keys.mean(0))).item(), rel=1e-4)
        relative = patch.dense().norm() / model.weight(1).norm()
        assert health["relative_norm"] == pytest.approx(relative.item(), rel=1e-4)
        view = View.base().with_patches([patch])
        assert health["p_new"] == pytest.approx(model.score([request.text], [request.target_new], view)[0].p, rel=1e-4)


# --- Requests, layers, views --------------------------------------------------------------------------------------------


def test_the_order_of_the_requests_changes_no_patch(differences):
    model = shared_model("qwen2")
    forth, back = ROME.edit(model, REQUESTS, config=CONFIG), ROME.edit(model, REQUESTS[::-1], config=CONFIG)
    for patch, same in zip(forth, reversed(back), strict=True):
        differences("patch: order of requests", patch.dense(), same.dense(), 1e-4)


def test_each_request_is_a_solve_of_its_own():
    edited = ROME.edit(shared_model("llama"), REQUESTS, config=CONFIG)
    assert [len(solve) for solve in edited.solves] == [1, 1, 1]
    assert edited.patches == tuple(patch for solve in edited.solves for patch in solve)
    assert (len(edited), edited[0], list(edited)) == (3, edited.patches[0], list(edited.patches))


def test_a_second_layer_is_edited_on_top_of_the_first(differences):
    model = shared_model("llama")
    both = ROME.edit(model, REQUESTS[:2], config=replace(CONFIG, layers=(2, 1)))
    assert [[patch.layer for patch in solve] for solve in both.solves] == [[1, 2], [1, 2]]
    for request, (first, second) in zip(REQUESTS, both.solves, strict=False):
        below = View((first,))
        (alone,) = ROME.edit(model, [request], view=below, config=replace(CONFIG, layers=(2,)))
        differences("second layer", second.dense(), alone.dense(), 1e-4)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_an_edit_under_a_view_equals_one_of_the_merged_model(kind, differences):
    model = shared_model(kind)
    view, contexts = random_view(model, 4), context_texts(model, edit.CONTEXTS)
    merged = tiny_model(kind)
    merged.hf = copy.deepcopy(model.hf)
    merged.memo = dict(model.memo)
    for layer, laid in view.laid.items():
        weight = model.arch.projection_of(merged.hf, layer).weight
        weight.data += laid.dense().T if model.arch.transposed else laid.dense()
    under, over = (ROME.edit(*given, config=CONFIG) for given in ((model, REQUESTS, view), (merged, REQUESTS)))
    assert under.contexts == over.contexts == contexts
    for patch, same in zip(under, over, strict=True):
        differences("edit under a view against merged weights", patch.dense(), same.dense(), 1e-3)


def test_the_same_request_on_a_fresh_model_gives_the_same_bits():
    first, second = (ROME.edit(tiny_model("llama"), REQUESTS, config=CONFIG) for _ in range(2))
    assert first.contexts == second.contexts
    for patch, same in zip(first, second, strict=True):
        assert torch.equal(patch.A, same.A)
        assert torch.equal(patch.B, same.B)
    other = ROME.edit(tiny_model("llama"), REQUESTS, config=replace(CONFIG, seed=1))
    assert other.contexts != first.contexts


def test_contexts_begin_with_the_bare_prompt_and_read_as_text():
    contexts = context_texts(shared_model("mistral"), ((4, 7), (6, 2)))
    assert contexts[0] == ""
    assert len(contexts) == 10
    assert all(text.endswith(". ") and not set(text) & set("{}") for text in contexts[1:])
    assert [text.startswith(("The", "Therefore")) for text in contexts[1:4]] == [True, True, False]


@pytest.mark.parametrize("checks", [0, 1, 4])
def test_cancelling_leaves_nothing(checks):
    model, asked = tiny_model("llama"), []
    before = model.weights_hash()

    def cancel():
        asked.append(True)
        return len(asked) > checks

    with pytest.raises(Cancelled, match="Nothing was changed"):
        ROME.edit(model, REQUESTS, config=CONFIG, cancel=cancel)
    assert len(asked) == checks + 1
    assert model.weights_hash() == before
    assert hooks_of(model) == 0


# --- What is refused ----------------------------------------------------------------------------------------------------


def test_nothing_to_edit_is_refused():
    with pytest.raises(BadRequest, match="at least one request"):
        ROME.edit(shared_model("llama"), [])


@pytest.mark.parametrize("layers", [(4,), (-1,), (1, 9)])
def test_layers_that_the_model_does_not_have_are_refused(layers):
    with pytest.raises(BadRequest, match="between 0 and 3"):
        ROME.edit(shared_model("llama"), REQUESTS, config=replace(CONFIG, layers=layers))


def test_settings_are_the_presets_then_the_callers():
    model = tiny_model("llama")
    model.preset = {"rome": {"layers": [2], "steps": 9}}
    config = methods.config_for("rome", model, steps=3)
    assert (config.layers, config.steps, config.clamp) == ((2,), 3, RomeConfig().clamp)
    assert ROME.edit(model, REQUESTS[:1], config=RomeConfig(steps=2)).layers == (2,)
    with pytest.raises(BadRequest, match="no setting speed"):
        methods.config_for("rome", model, speed=1)
    with pytest.raises(BadRequest, match=r"steps is 0\. Write a whole number from 1 to 1,000"):
        ROME.edit(model, REQUESTS[:1], config=replace(CONFIG, steps=0))


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(BadRequest, match=r"'magic'.*rome, memit"):
        methods.get("magic")


# --- Keys that are heard alike --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whitened", [True, False])
def test_both_keys_hear_the_edit_alike_along_the_shortest_direction(whitened, differences):
    generator = torch.Generator().manual_seed(3)
    K = torch.randn(2, 24, generator=generator)
    X = torch.randn(400, 24, generator=generator) * torch.linspace(0.2, 3, 24)
    C = statistics.KeyStatistics.of(0, X.T @ X / len(X), len(X)) if whitened else None
    u = edit.heard_alike(K, C).double()
    assert (K.double() @ u).tolist() == pytest.approx([1.0, 1.0], abs=1e-4)
    full = C.regular.double() if whitened else torch.eye(24, dtype=torch.float64)
    # Lagrange: C u = K^T weights, K u = 1
    system = torch.cat([torch.cat([full, -K.T.double()], 1), torch.cat([K.double(), torch.zeros(2, 2).double()], 1)])
    wanted = torch.linalg.solve(system, torch.cat([torch.zeros(24), torch.ones(2)]).double())[:24]
    differences("heard alike, against Lagrange", u, wanted, 1e-4)


def test_equal_keys_count_as_one():
    k = torch.randn(24, generator=torch.Generator().manual_seed(4))
    u = edit.heard_alike(torch.stack([k, k]), None)
    assert torch.allclose(u, k / (k @ k), atol=1e-5)


def test_with_both_keys_the_bare_prompt_hears_the_whole_edit():
    model = shared_model("qwen2")
    edited = ROME.edit(model, REQUESTS, BASE, replace(CONFIG, keys="both"))
    assert [health["share"] for health in edited.health] == pytest.approx([1.0] * len(REQUESTS), abs=1e-4)
    for request, patch in zip(REQUESTS, edited.patches, strict=True):
        located = [model.locate(request.prompt, request.subject, text) for text in edited.contexts]
        keys = model.keys(located, [1])[1]
        added = keys @ patch.A.T @ patch.B.T
        assert torch.allclose(added[0], added.mean(0), atol=1e-4)
