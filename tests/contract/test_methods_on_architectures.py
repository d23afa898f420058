"""Every method over every architecture: apply, measure, take back."""

from dataclasses import replace
from functools import cache

import torch
from tiny_models import hooks_of

from editlab import EditRequest, View
from editlab.lab.ledger.files import Shape
from editlab.methods import HEALTH
from editlab.patches import Codebook, Dense, LowRank, Note, Preamble

REQUESTS = (EditRequest("The river runs to {}", "Slovenia", "people"), EditRequest("I saw {}", "New France", "with"))
OTHERS = ("The capital of Rome is", "The river runs to Slovenia", "Ana lives in the house and", "I")


def p_new(model, view):
    return torch.tensor([s.p for s in model.score([r.text for r in REQUESTS], [r.target_new for r in REQUESTS], view)])


def said(model):
    """What the base model says, and its weights."""
    *_, texts = model.generate(OTHERS, max_tokens=5)
    return model.logits(OTHERS), p_new(model, View.base()), texts, model.weights_hash()


@cache
def edit(bench):
    """An edit of both requests together: made once for all tests below."""
    return bench.method.edit(bench.model, REQUESTS, config=bench.config)


KINDS = {"locate": LowRank | Dense, "tune": LowRank | Dense, "remember": Codebook, "tell": Preamble | Note}


def shortened(bench, steps):
    """The settings with fewer steps, where there are any."""
    return replace(bench.config, steps=steps) if hasattr(bench.config, "steps") else bench.config


def test_an_edit_makes_the_model_say_the_new_object(bench):
    together = edit(bench)
    before, after = p_new(bench.model, View.base()), p_new(bench.model, View.base().with_patches(together))
    if bench.method.group == "tell":  # a random model cannot read; that it reads is all that can be asked
        asked = [View.base().with_patches(together).asks(request.text) for request in REQUESTS]
        assert all(request.sentence.rstrip(".") in text for request, text in zip(REQUESTS, asked, strict=True))
        assert not torch.equal(before, after)
        return
    assert (after > 5 * before).all()
    assert after.max() > 0.01


def test_an_edit_is_patches_of_its_group_that_fit_the_model_and_their_health(bench):
    edited = edit(bench)
    Shape.of(bench.model).check(edited.layers, edited, ())
    given = getattr(bench.config, "layers", edited.layers)
    assert set(edited.layers) <= set(given) and (bench.method.scans or edited.layers == given)
    assert {patch.layer for patch in edited if hasattr(patch, "layer")} == set(edited.layers)
    assert all(isinstance(patch, KINDS[bench.method.group]) for patch in edited)
    assert len(edited.health) == len(REQUESTS)
    numbers = {
        "locate": {"relative_norm"},
        "tune": {"loss", "steps", "relative_norm"},
        "remember": {"loss", "steps"},
        "tell": {"tokens"},
    }
    expected = {"p_new", "seconds"} | numbers.get(bench.method.group, set())
    assert all(expected <= health.keys() <= HEALTH.keys() for health in edited.health)


def test_an_edit_taken_back_leaves_nothing(bench):
    model = bench.model
    logits, p_before, texts, hashed = said(model)
    edited = bench.method.edit(model, REQUESTS, config=shortened(bench, 3))
    view = View.base().with_patches(edited)
    asked = (*OTHERS, REQUESTS[1].text)
    assert (model.logits(asked, view) - model.logits(asked)).abs().max() > 0.1
    assert torch.equal(model.logits(OTHERS, view.without(edited)), logits)
    logits_after, p_after, texts_after, hashed_after = said(model)
    assert torch.equal(logits_after, logits)
    assert torch.equal(p_after, p_before)
    assert (texts_after, hashed_after) == (texts, hashed)
    assert hooks_of(model) == 0
