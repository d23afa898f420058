"""UltraEdit against its formulas, written a second time, and its promises."""

import copy

import naive
import pytest
import torch
from tiny_models import KINDS, hooks_of, precise_model, random_view, shared_model

from editlab import EditRequest, View, methods
from editlab.errors import Cancelled
from editlab.methods._rows import row_of
from editlab.methods.ultraedit.edit import ridge_regression, wanted
from editlab.methods.ultraedit.features import Features, Moments, read
from editlab.patches import BASE, Dense, LowRank

ULTRAEDIT = methods.get("ultraedit")
REQUESTS = (
    EditRequest("The capital of {} is in", "Slovenia", "people with"),
    EditRequest("{} was in the", "New France", "river"),
    EditRequest("I saw {}", "Ana", "with people in"),
)
LAYERS = (1, 2)
CONFIG = ULTRAEDIT.config(layers=LAYERS, learning_rate=0.05, warm_up=0)


def features_plainly(model, view):
    """Inputs and output gradients of the projections of a copy with the view's edits, one row after the other."""
    found = copy.deepcopy(model)
    for layer, laid in view.laid.items():
        weight = found.arch.projection_of(found.hf, layer).weight
        change = laid.dense().to(weight.dtype)
        weight.data += change.T if found.arch.transposed else change
    keys, gradients = {layer: [] for layer in LAYERS}, {layer: [] for layer in LAYERS}
    found.hf.requires_grad_()
    for row in (naive.row_of(model, request, "") for request in REQUESTS):
        seen = {}

        def see(module, inputs, output, seen=seen):
            output.retain_grad()
            seen[module] = inputs[0], output

        modules = {layer: found.arch.projection_of(found.hf, layer) for layer in LAYERS}
        handles = [module.register_forward_hook(see) for module in modules.values()]
        at = range(len(row.ids) - len(row.labels), len(row.ids))
        log_p = found.hf(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1)
        (-sum(log_p[i, label] for i, label in zip(at, row.labels, strict=True))).backward()
        for layer, module in modules.items():
            keys[layer].append(seen[module][0][0, list(at)].detach())
            gradients[layer].append(seen[module][1].grad[0, list(at)])
        for handle in handles:
            handle.remove()
    return [torch.cat(keys[layer]) for layer in LAYERS], [torch.cat(gradients[layer]) for layer in LAYERS]


@pytest.mark.parametrize("kind", KINDS)
def test_keys_and_gradients_are_those_of_a_plain_backward(kind, differences):
    model = precise_model(kind)
    view = random_view(model, 3)
    found = read(model, [row_of(model, request) for request in REQUESTS], LAYERS, view)
    keys, gradients = features_plainly(model, view)
    differences("UltraEdit's keys", found.keys, torch.stack(keys), 1e-5)
    differences("UltraEdit's gradients", found.gradients, torch.stack(gradients), 1e-5)


def test_an_edit_is_the_published_update(differences):
    model = precise_model("llama")
    edited = ULTRAEDIT.edit(model, REQUESTS, config=CONFIG)
    keys, gradients = features_plainly(model, BASE)
    samples = torch.cat([torch.cat([k, g], 1) for k, g in zip(keys, gradients, strict=True)])
    mean, deviation = samples.mean(0), samples.std(0) + torch.finfo(torch.float32).eps
    for patch, K, G in zip(edited.patches, keys, gradients, strict=True):
        z = (torch.cat([K, G], 1) - mean) / deviation
        V = -0.05 * z[:, : model.d_ff].square().sum(1, keepdim=True) * z[:, model.d_ff :]
        expected = torch.linalg.solve(K.T @ K + torch.eye(model.d_ff, dtype=K.dtype), K.T @ V).T
        differences("UltraEdit against the published update", patch.dense(), expected, 1e-5)


def test_both_forms_of_the_regression_are_the_same_and_the_smaller_one_is_kept(differences):
    generator = torch.Generator().manual_seed(0)
    keys, change = torch.randn(70, 64, generator=generator), torch.randn(70, 32, generator=generator)

    def dense(n):
        K, V = keys[:n].double(), change[:n].double()
        return torch.linalg.solve(K.T @ K + 0.5 * torch.eye(64, dtype=torch.float64), K.T @ V).T

    for n, kind in ((5, LowRank), (21, LowRank), (22, Dense), (64, Dense), (70, Dense)):
        patch = ridge_regression(1, keys[:n], change[:n], 0.5)
        assert isinstance(patch, kind)
        differences("n x n against d_ff x d_ff", patch.dense(), dense(n), 1e-6)


def test_a_value_moves_against_its_gradient_by_its_keys_length():
    keys, gradients = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[1.0], [-2.0]])
    assert torch.allclose(wanted(keys, gradients, 0.1), torch.tensor([[-2.5], [0.2]]))


def test_the_moments_of_turns_are_those_of_all_at_once(differences):
    generator = torch.Generator().manual_seed(0)
    turns = [
        Features(torch.randn(2, n, 5, generator=generator) + n, torch.randn(2, n, 3, generator=generator)) for n in (1, 4, 7)
    ]
    together = Moments.of(turns[0]) + Moments.of(turns[1]) + Moments.of(turns[2])
    every = torch.cat([torch.cat([t.keys, t.gradients], -1).flatten(0, 1) for t in turns]).double()
    assert together.count == len(every) == 24
    differences("mean of turns", together.mean, every.mean(0), 1e-12)
    differences("deviation of turns", (together.squared / 23).sqrt(), every.std(0), 1e-12)
    normal = together.normalised(turns[2])
    expected = (turns[2].keys - every.mean(0)[:5]) / every.std(0)[:5]
    differences("normalised keys", normal.keys, expected, 1e-5)


def test_the_normalisation_reads_the_earlier_facts_again_and_keeps_no_state():
    model = shared_model("llama")
    alone = ULTRAEDIT.edit(model, REQUESTS[:1], config=CONFIG)
    below = View(ULTRAEDIT.edit(model, REQUESTS[1:], config=CONFIG).patches)
    after = ULTRAEDIT.edit(model, REQUESTS[:1], below, CONFIG, earlier=REQUESTS[1:])
    assert not torch.equal(alone[0].dense(), after[0].dense())
    again = ULTRAEDIT.edit(model, REQUESTS[:1], below, CONFIG, earlier=REQUESTS[1:])
    assert all(torch.equal(a.dense(), b.dense()) for a, b in zip(after, again, strict=True))
    assert torch.equal(ULTRAEDIT.edit(model, REQUESTS[:1], config=CONFIG)[0].dense(), alone[0].dense())


def test_a_single_label_needs_the_warm_up():
    """One sample is its own mean: nothing is left of it, and nothing changes."""
    model, request = shared_model("llama"), EditRequest("I saw {}", "Ana", "with")
    without, with_it = (
        ULTRAEDIT.edit(model, [request], config=ULTRAEDIT.config(layers=(1,), learning_rate=0.05, warm_up=n))
        for n in (0, 20)
    )
    assert len(row_of(model, request).reads) == 1
    assert without[0].dense().abs().max() == 0 < with_it[0].dense().abs().max()


def test_an_edit_leaves_no_trace_and_can_be_stopped():
    model = shared_model("gpt2")
    hashed = model.weights_hash()
    edited = ULTRAEDIT.edit(model, REQUESTS, config=CONFIG)
    assert edited.layers == LAYERS and len(edited.solves) == 1 and len(edited.health) == 3
    assert (hooks_of(model), model.weights_hash()) == (0, hashed)
    with pytest.raises(Cancelled):
        ULTRAEDIT.edit(model, REQUESTS, config=CONFIG, cancel=lambda: True)
