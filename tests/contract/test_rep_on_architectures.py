"""REP behind every method over every architecture: learn, fire, and leave nothing behind."""

from dataclasses import replace

import pytest
import torch
from tiny_models import hooks_of

from editlab import EditRequest, View
from editlab.methods.rep import Lessons, RepConfig, refine
from editlab.probes import gates_of

METHODS = ("rome", "memit")
"""An edit at one layer, and one over several: REP knows no more of a method."""
REQUEST = EditRequest("The river runs to {}", "Slovenia", "people")
NAMES = ("the country Slovenia", "old Slovenia, the great", "ia Sloven")
LESSONS = Lessons(
    REQUEST.prompt,
    REQUEST.subject,
    NAMES,
    ("The capital of Rome is old and Ana lives in the house.",),
    ("The capital of {} is",),
    ("France", "the country Brazil", "Japan", "old Kenya, the great"),
)
OTHERS = ("The capital of Rome is", "Ana lives in the house and", "I")


@pytest.mark.parametrize("recipe", ["default", "published"])
def test_a_pathway_fires_at_other_names_and_nothing_stays_behind(bench, recipe):
    model, config = bench.model, RepConfig(recipe=recipe, contexts=2)
    before, hashed = model.logits(OTHERS), model.weights_hash()
    edited = bench.method.edit(model, [REQUEST], config=replace(bench.config, steps=3))
    made = refine(model, LESSONS, edited.patches, config=config)
    assert [pathway.layer for pathway in made.pathways] == list(edited.layers)
    for pathway in made.pathways:
        assert all(value.isfinite().all() for value in vars(pathway).values() if torch.is_tensor(value))
    view = View.base().with_patches([*edited, *made.pathways]).with_threshold(config.threshold)
    named = [REQUEST.prompt.replace("{}", name) for name in NAMES]
    if recipe == "default":
        opened = [own.max().item() for own in gates_of(model, named, view)]
        assert max(opened) > config.threshold
        assert made.health["opens"] > 5 * made.health["opens_falsely"]
    open_ = view.with_threshold(0.0)
    assert (model.logits(named, open_) - model.logits(named, View.base().with_patches(edited))).abs().max() > 1e-3
    *_, texts = model.generate(named, view, max_tokens=3)
    assert len(texts) == len(named)
    assert torch.equal(model.logits(OTHERS), before) and model.weights_hash() == hashed
    assert hooks_of(model) == 0


def test_a_row_in_a_mixed_batch_answers_as_alone(bench):
    model, config = bench.model, RepConfig(contexts=2, steps=20)
    edited = bench.method.edit(model, [REQUEST], config=replace(bench.config, steps=3))
    made = refine(model, LESSONS, edited.patches, config=config)
    rep = View.base().with_patches([*edited, *made.pathways]).with_threshold(config.threshold)
    views = [View.base(), View.base().with_patches(edited), rep, rep.with_threshold(0.0)]
    texts = [REQUEST.prompt.replace("{}", NAMES[0])] * len(views)
    alone = torch.cat([model.logits([text], view) for text, view in zip(texts, views, strict=True)])
    torch.testing.assert_close(model.logits(texts, views), alone, rtol=1e-4, atol=1e-4)
