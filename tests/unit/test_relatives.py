"""The relatives of ROME and MEMIT against their formulas in float64, and where they must be ROME or MEMIT themselves."""

from dataclasses import replace

import naive
import pytest
import torch
from tiny_models import KINDS, TEXTS, precise_model, shared_model, tiny_model

from editlab import EditRequest, View, methods
from editlab.errors import BadRequest, MissingStatistics
from editlab.methods import _delta
from editlab.methods._after import finished, largest_singular_value, prune, rect
from editlab.methods._anchor import rescaled, unedited_of
from editlab.methods._delta import Schedule, optimise
from editlab.methods._metric import Projection, Sparing, White, keys_of, metric_of
from editlab.methods.emmet.edit import held_exactly
from editlab.methods.memit import edit as memit_edit
from editlab.methods.memit.edit import least_squares, mean_keys
from editlab.methods.rome import edit as rome_edit
from editlab.model import measuring, statistics
from editlab.model.statistics import KeyStatistics
from editlab.patches import BASE, Dense, LowRank, Preamble

CONTEXTS = ("", "The river runs. ")
SCHEDULE = Schedule(steps=6, learning_rate=0.5, weight_decay=1e-3, clamp=4.0, kl=0.0625)
REQUESTS = (
    EditRequest("The capital of {} is in", "Slovenia", "people with"),
    EditRequest("{} was in the", "New France", "river"),
    EditRequest("I saw {}", "Ana", "with"),
)
SPARING = ("memit", "pmet", "alphaedit")
"""Methods that always spare earlier edits."""
WAYS = ("rome", "r_rome", "p_rome", "wilke", "emmet", "memit", "pmet", "alphaedit")


@pytest.fixture(autouse=True)
def few_contexts(monkeypatch):
    monkeypatch.setattr(rome_edit, "CONTEXTS", ((4, 2), (6, 1)))
    monkeypatch.setattr(memit_edit, "CONTEXTS", ((5, 2),))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A tiny Llama with key statistics of the layers that may be edited."""
    model, folder = tiny_model("llama"), tmp_path_factory.mktemp("statistics")
    model.statistics = (folder,)
    measuring.collect(model, [0, 1, 2], (TEXTS / "chapter1.txt").read_text(encoding="utf-8"), 800, folder)
    return model


def config_of(model, name, **changes):
    own = {"steps": 4, "layers": (1, 2) if name in ("wilke", "memit", "pmet", "alphaedit") else (1,)}
    if name == "alphaedit":
        own["energy"] = 0.3
    return methods.config_for(name, model, **{**own, **changes})


def random_keys(n, seed=0):
    return torch.randn(40, n, generator=torch.Generator().manual_seed(seed))


def random_statistics():
    sample = torch.randn(500, 40, generator=torch.Generator().manual_seed(9)) * torch.logspace(0, -3, 40)
    return KeyStatistics.of(0, sample.T @ sample / 500, 500)


def inverse_of(metric):
    """The metric as a dense matrix in float64."""
    return metric.whiten(torch.eye(40)).double().T


# --- Along what is written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["statistics", "white", "projection"])
def test_a_sparing_metric_equals_the_dense_one(base, differences):
    C = random_statistics()
    metric = {"statistics": C, "white": White(), "projection": Projection.of(C, 0.01)}[base]
    earlier, keys, weight = random_keys(7, 1), random_keys(5, 2), 30.0
    if base == "projection":
        P = inverse_of(metric)
        dense = torch.linalg.solve(torch.eye(40) + weight * P @ earlier.double() @ earlier.double().T, P @ keys.double())
    else:
        M = torch.linalg.inv(inverse_of(metric))
        dense = torch.linalg.solve(M + weight * earlier.double() @ earlier.double().T, keys.double())
    differences("sparing against a dense solve", Sparing(metric, earlier, weight).whiten(keys.T).T, dense, 1e-3)


def test_a_projection_leaves_the_least_directions_whatever_the_keys_length():
    C = random_statistics()
    values, vectors = torch.linalg.eigh(C.second_moment.double())
    projection = Projection.of(C, 0.01)
    held = values.clamp(min=0).cumsum(0) / values.sum()
    assert projection.free == int((held <= 0.01).sum()) and 0 < projection.free < 40
    dense = vectors[:, : projection.free] @ vectors[:, : projection.free].T
    assert torch.allclose(inverse_of(projection), dense, atol=1e-5)
    longer = KeyStatistics.of(0, 1e4 * C.second_moment, 500)
    assert Projection.of(longer, 0.01).free == projection.free
    assert Projection.of(C, 0.0).free == 0 and Projection.of(C, 0.9999).free > projection.free


@pytest.mark.parametrize("n", [1, 4])
def test_alphaedits_small_solve_equals_the_published_one(n, differences):
    C, earlier, K = random_statistics(), random_keys(6, 3), random_keys(n, 4)
    projection, ridge = Projection.of(C, 0.05), 10.0
    P, known = inverse_of(projection), torch.cat([earlier, K], 1).double()
    published = torch.linalg.solve(P @ known @ known.T + ridge * torch.eye(40), P @ K.double())
    found = least_squares(K, Sparing(projection, earlier, 1 / ridge), ridge)
    differences("AlphaEdit against its d_ff x d_ff form", found, published, 1e-5)


def test_without_directions_of_text_alphaedit_is_memit_over_white_keys(differences):
    K, nothing = random_keys(3), Projection(torch.zeros(40, 0))
    dense = torch.linalg.solve(2.0 * torch.eye(40).double() + K.double() @ K.double().T, K.double())
    differences("AlphaEdit without text", least_squares(K, nothing, 2.0), dense, 1e-6)


@pytest.mark.parametrize("n", [1, 5])
def test_emmet_holds_every_fact_exactly_by_the_shortest_update(n, differences):
    C, K = random_statistics(), random_keys(n)
    adj = held_exactly(K, C, 0.0)
    differences("K' adj of EMMET", adj.T @ K, torch.eye(n), 1e-4)
    inner = K.double().T @ torch.linalg.solve(C.regular.double(), K.double())
    dense = torch.linalg.solve(C.regular.double(), K.double()) @ torch.linalg.inv(inner)
    differences("EMMET against a dense solve", adj, dense, 1e-3)
    softer = held_exactly(K, C, 0.5)
    ridge = 0.5 * inner.diagonal().mean() * torch.eye(n)
    differences(
        "EMMET's ridge", softer, torch.linalg.solve(C.regular.double(), K.double()) @ torch.linalg.inv(inner + ridge), 1e-3
    )


def test_two_requests_of_one_key_are_no_fault():
    K = random_keys(1).repeat(1, 2)
    adj = held_exactly(K, random_statistics(), 0.0)
    assert torch.isfinite(adj).all() and torch.allclose(adj.T @ K, torch.full((2, 2), 0.5), atol=1e-4)


def test_keys_of_earlier_edits_are_asked_once_where_nothing_can_change_them(monkeypatch):
    model = shared_model("llama")
    model.memo.pop("keys of edits", None)
    at_layer = LowRank(1, torch.randn(1, model.d_ff), torch.randn(model.d_model, 1))
    below = LowRank(0, torch.randn(1, model.d_ff), torch.randn(model.d_model, 1))
    asked = []
    keys = type(model).keys
    monkeypatch.setattr(type(model), "keys", lambda self, rows, *rest: asked.append(len(rows)) or keys(self, rows, *rest))
    first = keys_of(model, REQUESTS[:2], 1, BASE)
    assert torch.equal(keys_of(model, REQUESTS[:2], 1, View((at_layer,))), first) and asked == [2]
    assert torch.equal(keys_of(model, REQUESTS, 1, BASE)[:, :2], first) and asked == [2, 1]
    assert not torch.allclose(keys_of(model, REQUESTS[:2], 1, View((below,))), first) and asked == [2, 1, 2]
    expected = mean_keys(model, REQUESTS[:2], ("",), 1, View((below, at_layer)))
    assert torch.allclose(keys_of(model, REQUESTS[:2], 1, View((below, at_layer))), expected, atol=1e-5)
    assert keys_of(model, (), 1, BASE).shape == (model.d_ff, 0)


# --- Equal to ROME or MEMIT ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "keys"), [("r_rome", "consistent"), ("p_rome", "prompt"), ("emmet", "consistent")])
def test_by_their_names_they_are_rome_with_these_keys(measured, name, keys, differences):
    own = methods.get(name).edit(measured, REQUESTS[:1], config=config_of(measured, name))
    same = methods.get("rome").edit(measured, REQUESTS[:1], config=config_of(measured, "rome", keys=keys))
    differences(f"{name} against ROME", own[0].dense(), same[0].dense(), 1e-4)
    assert own.method == name and own.health[0]["loss"] == same.health[0]["loss"]


def test_wilke_is_r_rome_at_the_layer_with_the_smallest_update_for_each_request(measured):
    edited = methods.get("wilke").edit(measured, REQUESTS, config=config_of(measured, "wilke", layers=(0, 1, 2)))
    alone = [
        methods.get("r_rome").edit(measured, REQUESTS, config=config_of(measured, "r_rome", layers=(n,))) for n in range(3)
    ]
    for number, (patch,) in enumerate(edited.solves):
        norms = [one.health[number]["relative_norm"] for one in alone]
        assert patch.layer == norms.index(min(norms))
        assert torch.equal(patch.dense(), alone[patch.layer].solves[number][0].dense())
    assert edited.layers == tuple(sorted({patch.layer for patch in edited}))
    default = methods.config_for("wilke", measured)
    assert default.layers == tuple(range(2)) and measured.n_layers == 4


@pytest.mark.parametrize(
    ("kind", "layer", "request_"),
    [*((kind, 1, REQUESTS[0]) for kind in KINDS), *((kind, 3, REQUESTS[2]) for kind in ("llama", "gpt2", "gemma2"))],
)
def test_pmets_value_equals_a_naive_optimisation(kind, layer, request_, differences):
    """Also at the last layer, where a prompt that ends with its subject can still be edited."""
    model = precise_model(kind)
    (value,) = optimise(model, [request_], layer, "parts", CONTEXTS, SCHEDULE, BASE)
    expected = naive.value_for(model, request_, layer, "parts", CONTEXTS, SCHEDULE)
    half = model.d_model
    differences("PMET's delta against a naive one", value.delta, expected.delta[half:], 1e-4)
    differences("PMET's init against a naive one", value.init, expected.init[half:], 1e-5)
    assert value.loss == pytest.approx(expected.loss, rel=1e-4)


def test_where_attention_must_not_change_pmets_value_is_romes(monkeypatch, differences):
    start = _delta._Parts._start

    def without_attention(self, *given):
        start(self, *given)
        self.init[:, : self.size] *= 1e-9

    monkeypatch.setattr(_delta._Parts, "_start", without_attention)
    model, schedule = precise_model("llama"), replace(SCHEDULE, weight_decay=0.0)
    (value,) = optimise(model, REQUESTS[:1], 1, "parts", CONTEXTS, schedule, BASE)
    (same,) = optimise(model, REQUESTS[:1], 1, "mlp", CONTEXTS, schedule, BASE)
    differences("PMET without attention against ROME's value", value.delta, same.delta, 1e-4)


def test_pmet_gives_each_layer_the_root_of_memits_portion_and_needs_a_layer_below(measured):
    memit, pmet = methods.get("memit"), methods.get("pmet")
    assert [memit.portion(n) for n in (1, 4)] == [1, 0.25] and [pmet.portion(n) for n in (1, 4)] == [1, 0.5]
    with pytest.raises(BadRequest, match="from layer 1 on"):
        pmet.edit(measured, REQUESTS[:1], config=config_of(measured, "pmet", layers=(0,)))


# --- Options of all -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WAYS)
def test_in_the_unedited_model_an_anchor_changes_nothing_and_on_edits_it_holds_the_length(measured, name):
    method = methods.get(name)
    plain = method.edit(measured, REQUESTS[:1], config=config_of(measured, name))
    anchored = method.edit(measured, REQUESTS[:1], config=config_of(measured, name, anchor=True))
    assert all(torch.equal(a.dense(), b.dense()) for a, b in zip(plain, anchored, strict=True))
    louder = View((LowRank(1, torch.randn(1, measured.d_ff), 9 * torch.randn(measured.d_model, 1)), Preamble("So.")))
    free = method.edit(measured, REQUESTS[:1], louder, config_of(measured, name))
    held = method.edit(measured, REQUESTS[:1], louder, config_of(measured, name, anchor=True))
    assert not torch.allclose(held[-1].dense(), free[-1].dense())
    assert unedited_of(louder).patches == (louder.patches[1],)


@pytest.mark.parametrize("name", ["rome", "emmet"])
def test_an_anchored_value_is_as_long_as_in_the_unedited_model_at_each_of_two_layers(measured, name, monkeypatch):
    """What the edit itself laid at the layer below is no earlier edit, and stays where lengths are compared."""
    monkeypatch.setattr(rome_edit, "CONTEXTS", ())
    method, request = methods.get(name), REQUESTS[0]
    config = config_of(measured, name, layers=(0, 1), anchor=True)
    row = measured.locate(request.prompt, request.subject)
    anchored, free = (method.edit(measured, [request], config=replace(config, anchor=own)) for own in (True, False))
    assert all(torch.equal(a.dense(), b.dense()) for a, b in zip(anchored, free, strict=True))
    louder = View((LowRank(1, torch.randn(1, measured.d_ff), 9 * torch.randn(measured.d_model, 1)),))
    held = method.edit(measured, [request], louder, config)
    for layer in (0, 1):
        below = View(held.patches[:layer])
        alone = method.edit(measured, [request], below, replace(config, layers=(layer,), anchor=False))
        there, here = below.with_patches(alone), louder.with_patches(held.patches[: layer + 1])
        lengths = [measured.outputs([row], layer, view).norm().item() for view in (there, here)]
        assert lengths[0] == pytest.approx(lengths[1], rel=1e-3)


def test_a_rescaled_value_keeps_its_direction_and_has_the_length_that_is_asked_for():
    put_out, delta = torch.randn(16), torch.randn(16)
    change = rescaled(put_out, delta, torch.tensor(3.0))
    assert (put_out + change).norm() == pytest.approx(3.0, rel=1e-5)
    assert torch.cosine_similarity(put_out + change, put_out + delta, dim=0) == pytest.approx(1.0, abs=1e-6)


def test_a_spared_key_hears_next_to_nothing_of_a_later_edit(measured):
    rome = methods.get("rome")
    first = View(tuple(rome.edit(measured, REQUESTS[:1], config=config_of(measured, "rome"))))
    key = keys_of(measured, REQUESTS[:1], 1, first)
    heard = {}
    for spare in (0.0, 1.0, 1e4):
        config = config_of(measured, "rome", spare=spare)
        (patch,) = rome.edit(measured, REQUESTS[1:2], first, config, earlier=REQUESTS[:1])
        heard[spare] = (patch.dense() @ key).norm().item()
    assert heard[1e4] < 1e-2 * heard[0.0] and heard[1.0] < heard[0.0]


@pytest.mark.parametrize("name", ["rome", "emmet", "memit", "pmet", "alphaedit"])
def test_a_key_that_is_written_again_is_not_spared(name, measured):
    """Not that of the same prompt, and not that of another prompt that is the same up to the subject."""
    again = EditRequest(REQUESTS[1].prompt, REQUESTS[1].subject, "people")
    same_key = EditRequest("{} saw the", again.subject, "house")
    other_fact = EditRequest("The river of {} was", again.subject, "house")
    config, kept = config_of(measured, name, **({} if name in SPARING else {"spare": 1e4})), (REQUESTS[0], other_fact)
    spared = [
        methods.get(name).edit(measured, [again], BASE, config, earlier=earlier)[0].dense()
        for earlier in ((*REQUESTS[:2], same_key, other_fact), kept, kept[:1])
    ]
    assert torch.equal(spared[0], spared[1])
    assert not torch.allclose(spared[0], spared[2], rtol=1e-2), "another fact of the subject is spared"


def test_requests_of_one_call_spare_the_earlier_edits_of_each_other(measured):
    rome, config = methods.get("rome"), config_of(measured, "rome", spare=1e4)
    both, alone = (
        rome.edit(measured, requests, BASE, config, earlier=REQUESTS)[-1].dense()
        for requests in (REQUESTS[:2], REQUESTS[1:2])
    )
    torch.testing.assert_close(both, alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["rome", "emmet"])
def test_sparing_earlier_edits_does_not_count_as_key_statistics(name):
    bare = shared_model("llama")
    config = config_of(bare, name, spare=1.0)
    edited = methods.get(name).edit(bare, REQUESTS[1:2], config=config, earlier=REQUESTS[:1])
    assert statistics.find(bare, 1) is None and edited.health[0]["whitened"] == 0.0


def test_rect_keeps_the_relatively_largest_entries(measured):
    W, update = torch.tensor([[10.0, 1.0], [0.1, 5.0]]), torch.tensor([[1.0, 1.0], [0.01, 4.0]])
    assert torch.equal(rect(W, update, 0.5), torch.tensor([[0.0, 1.0], [0.0, 4.0]]))
    assert torch.equal(rect(W, update, 1.0), update)
    edited = methods.get("rome").edit(measured, REQUESTS[:1], config=config_of(measured, "rome", after="rect"))
    assert isinstance(edited[0], Dense) and (edited[0].D != 0).float().mean() == pytest.approx(0.4, abs=1e-3)
    full = methods.get("rome").edit(measured, REQUESTS[:1], config=config_of(measured, "rome"))[0].dense()
    assert torch.equal(edited[0].D, torch.where(edited[0].D != 0, full, 0.0))


def test_prune_cuts_what_the_edits_of_a_layer_have_above_the_weights_largest(measured, differences):
    most = largest_singular_value(measured, 1)
    loud = LowRank(1, torch.randn(3, measured.d_ff), torch.randn(measured.d_model, 3))
    loud = replace(loud, B=loud.B * (20 * most / torch.linalg.matrix_norm(loud.dense(), 2)))
    earlier = LowRank(1, torch.randn(1, measured.d_ff), torch.randn(measured.d_model, 1))
    patch = prune(measured, loud, View((earlier,)))
    total = (earlier.dense() + loud.dense()).double()
    U, S, V = torch.linalg.svd(total, full_matrices=False)
    wanted = U @ torch.where(most < S, S.log() - most.double().log() + most, S).diag() @ V
    differences("PRUNE against a full SVD", earlier.dense() + patch.dense(), wanted, 1e-4)
    quiet = replace(loud, B=loud.B * 1e-4)
    assert prune(measured, quiet, BASE) is quiet and finished(measured, quiet, BASE, "nothing") is quiet


def test_a_projection_needs_statistics_and_says_where_nothing_is_left(measured):
    for name, changes in (("alphaedit", {}), ("rome", {"project": True})):
        with pytest.raises(BadRequest, match="Raise the energy"):
            methods.get(name).edit(measured, REQUESTS[:1], config=config_of(measured, name, **changes, energy=0.0))
    config = config_of(measured, "rome", project=True, energy=0.3)
    (patch,) = methods.get("rome").edit(measured, REQUESTS[:1], config=config)
    used = metric_of(measured, 1, True, 0.3).used
    assert (patch.A @ used).norm() < 1e-4 * patch.A.norm()
    bare = shared_model("llama")
    assert statistics.find(bare, 1) is None
    with pytest.raises(MissingStatistics, match="editlab stats"):
        methods.get("rome").edit(bare, REQUESTS[:1], config=config_of(bare, "rome", project=True))
