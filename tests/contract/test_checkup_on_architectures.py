"""The check-up on every architecture: nothing is found where nothing lies, an edit is seen, and nothing stays behind."""

import pytest
import torch
from tiny_models import KINDS, hooks_of, shared_model

from editlab import EditRequest, View
from editlab.facts import FactBase
from editlab.insight.checkup import Reference, checkup
from editlab.insight.holding import Watched
from editlab.patches import LowRank

REQUEST = EditRequest("The river runs to {} and then", "Slovenia", "people", "with")
NO_FACTS = FactBase((), {}, {})
PROSE = ("It was a long winter and the house stood by the river. " * 3,)


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_over_a_model_is_measured_and_leaves_it_as_it_was(kind):
    model = shared_model(kind)
    before = model.weights_hash()
    reference, watched = Reference.of(model, NO_FACTS, PROSE), [Watched.of("one", REQUEST, NO_FACTS)]
    bare = checkup(model, watched, View.base(), reference)
    assert bare.kl == pytest.approx(0, abs=1e-5) and bare.loss == pytest.approx(reference.loss, abs=1e-4)
    assert bare.relative_norm == 0 and bare.value_norm is None and bare.attention == pytest.approx(0, abs=1e-6)
    generator = torch.Generator().manual_seed(0)
    patch = LowRank(1, torch.randn(2, model.d_ff, generator=generator), torch.randn(model.d_model, 2, generator=generator))
    worn = checkup(model, watched, View.base().with_patches([patch]), reference)
    dense = patch.dense().norm() / model.weight(1).norm()
    assert worn.relative_norm == pytest.approx(dense.item(), rel=1e-4)
    assert worn.kl > 1e-6 and worn.loss != bare.loss and worn.value_norm > 0 and worn.attention != 0
    assert model.weights_hash() == before and hooks_of(model) == 0
