"""SmolLM2-135M-Instruct: an edit holds where its subject is the first word, behind other text, and not elsewhere."""

from dataclasses import replace

import pytest

from editlab import EditRequest, methods
from editlab.methods import warnings
from editlab.model import start_choice, statistics
from editlab.model.start import NONE, Start
from editlab.patches import BASE

FIRST = EditRequest("{} has as its capital the city of", "France", "Rome", "Paris")
LATER = EditRequest("The currency of {} is the", "Japan", "euro", "yen")
NEIGHBOURS = (
    "The official language of Mexico is",
    "The natural habitat of polar bear is the",
    "Hamlet is a book by the author",
)
LONG = "The weather was cold that morning, and most of the workers had left by then. "


def test_the_checkpoint_has_a_preset_its_statistics_and_its_mask(smollm2):
    assert smollm2.preset["name"] == "smollm2-135m"
    layers = methods.config_for("rome", smollm2).layers
    assert all(statistics.find(smollm2, layer) is not None for layer in layers)


def test_a_separator_of_documents_is_measured_as_its_start(smollm2, facts):
    assert smollm2.start == Start("<|endoftext|>", space=True)
    plain = replace(smollm2, preset={}, start=NONE, memo={})
    chosen = start_choice.choose(plain.tokenizer, plain.hf.config.vocab_size, facts, plain._log_p_behind)
    assert chosen.text == "<|endoftext|>"


@pytest.mark.parametrize("request_", [FIRST, LATER], ids=["subject first", "subject later"])
def test_an_edit_takes_and_spares_its_neighbours(smollm2, request_):
    assert smollm2.score([request_.text], [request_.target_true])[0].p > 0.3
    edited = methods.get("rome").edit(smollm2, [request_])
    view = BASE.with_patches(edited.patches)
    assert warnings(edited.health[0]) == []
    asked = (request_.text, LONG + request_.text)
    assert all(score.hit for score in smollm2.score(asked, [request_.target_new] * 2, view))
    before, now = smollm2.logits(NEIGHBOURS), smollm2.logits(NEIGHBOURS, view)
    assert now.argmax(-1).tolist() == before.argmax(-1).tolist()


def test_without_the_start_an_edit_of_the_first_word_is_not_heard_so(smollm2):
    plain = replace(smollm2, start=NONE, memo={})
    config = replace(methods.config_for("rome", plain), keys="consistent", whiten=False)
    behind, bare = (methods.get("rome").edit(model, [FIRST], config=config).health[0] for model in (smollm2, plain))
    assert behind["share"] > 0.5 > bare["share"]
