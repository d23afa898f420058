"""Knowledge neurons against integrated gradients that are taken one neuron's layer and one step at a time."""

import copy

import pytest
import torch
from tiny_models import KINDS, hooks_of, precise_model, random_view, shared_model

from editlab import EditRequest, View, methods
from editlab.errors import BadRequest, Cancelled
from editlab.methods.kn import edit
from editlab.methods.kn.attribution import attributions
from editlab.patches import BASE, LowRank

KN = methods.get("kn")
REQUEST = EditRequest("The capital of {} is in", "Slovenia", "people", "river")


def with_edits(model, view):
    """A copy of the model with the edits of a view in its weights."""
    found = copy.deepcopy(model)
    for layer, laid in view.laid.items():
        weight = found.arch.projection_of(found.hf, layer).weight
        change = laid.dense().to(weight.dtype)
        weight.data += change.T if found.arch.transposed else change
    return found


def p_at(model, ids, label, layer, share):
    """The probability of a label where a layer's activations at the last token are a share of what they are; and those."""
    kept = {}

    def scale(_module, inputs):
        keys = inputs[0].clone()
        kept["full"] = keys[0, -1].detach()
        kept["scaled"] = (share * kept["full"]).requires_grad_()
        keys[0, -1] = kept["scaled"]
        return (keys,)

    handle = model.arch.projection_of(model.hf, layer).register_forward_pre_hook(scale)
    with torch.enable_grad():
        p = model.hf(input_ids=torch.tensor([ids])).logits[0, -1].float().softmax(-1)[label]
    handle.remove()
    return p, kept


@pytest.mark.parametrize("kind", KINDS)
def test_attributions_are_integrated_gradients(kind, differences):
    model = precise_model(kind)
    view = random_view(model, 3)
    ids, shared = model.tok.with_target(REQUEST.text, REQUEST.target_true)
    ids, label = tuple(ids[:shared]), ids[shared]
    found, activations = attributions(model, ids, label, 3, view)
    plain = with_edits(model, view)
    for layer in range(model.n_layers):
        slopes = []
        for step in (1, 2, 3):
            p, kept = p_at(plain, ids, label, layer, step / 3)
            slopes.append(torch.autograd.grad(p, kept["scaled"])[0])
        differences("activations", activations[layer], kept["full"], 1e-5)
        differences("attributions against plain ones", found[layer], kept["full"] * torch.stack(slopes).mean(0), 1e-4)
    assert hooks_of(model) == 0


def test_a_layers_attributions_add_up_to_what_its_activations_change():
    """The completeness of integrated gradients, Sundararajan et al. 2017."""
    model = precise_model("llama")
    ids, shared = model.tok.with_target(REQUEST.text, REQUEST.target_true)
    ids, label = tuple(ids[:shared]), ids[shared]
    found, _ = attributions(model, ids, label, 400, BASE)
    for layer in range(model.n_layers):
        full, silent = (p_at(model, ids, label, layer, share)[0] for share in (1.0, 0.0))
        assert found[layer].sum().item() == pytest.approx((full - silent).item(), rel=0.05, abs=1e-6)


@pytest.mark.parametrize("signed", [True, False])
def test_an_edit_moves_what_the_strongest_neurons_write(signed):
    model = shared_model("llama")
    config = KN.config(steps=5, threshold=0.3, remove=1.0, add=3.0, signed=signed)
    edited = KN.edit(model, [REQUEST], config=config)
    ids, shared = model.tok.with_target(REQUEST.text, REQUEST.target_true)
    found = [attributions(model, tuple(ids[:at]), ids[at], 5, BASE) for at in range(shared, len(ids))]
    scores = torch.stack([own for own, _ in found]).mean(0)
    chosen = scores > 0.3 * scores.max()
    new, begun = model.tok.with_target(REQUEST.text, REQUEST.target_new)
    head = model.hf.get_output_embeddings().weight
    shift = 3.0 * head[new[begun:]].mean(0) - head[ids[shared:]].mean(0)
    assert edited.health[0]["neurons"] == chosen.sum()
    assert edited.layers == tuple(chosen.any(1).nonzero()[:, 0].tolist())
    for patch in edited:
        assert isinstance(patch, LowRank) and len(patch.A) == 1
        reads = chosen[patch.layer] * (found[0][1][patch.layer].sign() if signed else 1.0)
        assert torch.allclose(patch.dense(), torch.outer(shift, reads.float()), atol=1e-6)


def test_requests_do_not_see_each_other_and_the_model_names_a_missing_true_object():
    model = shared_model("gpt2")
    others = (REQUEST, EditRequest("I saw {}", "Ana", "with"))
    config = KN.config(steps=3)
    together = KN.edit(model, others, config=config)
    for solve, request in zip(together.solves, others, strict=True):
        alone = KN.edit(model, [request], config=config)
        assert [patch.layer for patch in solve] == [patch.layer for patch in alone]
        assert all(torch.equal(a.dense(), b.dense()) for a, b in zip(solve, alone, strict=True))
    assert View(together.patches).laid


def test_a_fact_without_neurons_is_refused(monkeypatch):
    model = shared_model("llama")
    nothing = torch.zeros(model.n_layers, model.d_ff)
    monkeypatch.setattr(edit, "attributions", lambda *_: (nothing, nothing))
    with pytest.raises(BadRequest, match="No neuron of tiny llama speaks for 'river'"):
        KN.edit(model, [REQUEST])
    with pytest.raises(Cancelled):
        KN.edit(model, [REQUEST], cancel=lambda: True)
