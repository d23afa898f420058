"""A reversal mask over every method's edits on every architecture: in a view, in training and in merged weights the same."""

from copy import deepcopy
from dataclasses import replace

import torch
from tiny_models import hooks_of

from editlab import EditRequest, LanguageModel, View
from editlab.methods.mask import Example, batches
from editlab.patches import Mask

METHODS = ("rome", "memit")
"""Low rank at one layer and over several: a mask knows no more of a method, and its training needs low rank."""
REQUESTS = (
    EditRequest("The river runs to {}", "Slovenia", "people", "house"),
    EditRequest("The capital of {} is", "Rome", "old and", "old house"),
)
OTHERS = ("The capital of Rome is", "Ana lives in the house and", "I")


def edits_of(bench):
    config = replace(bench.config, steps=3)
    return [tuple(bench.method.edit(bench.model, [request], config=config).patches) for request in REQUESTS]


def masks_of(model, patches, share=0.3):
    generator = torch.Generator().manual_seed(1)
    shape = (model.d_model, model.d_ff)
    return [Mask(patch.layer, torch.rand(shape, generator=generator) > share) for patch in patches]


def merged(model, view):
    """A copy of the model whose weights are what the view makes of them."""
    hf = deepcopy(model.hf)
    with torch.no_grad():
        for layer, laid in view.laid.items():
            stored = model.arch.projection_of(hf, layer).weight
            W = (model.weight(layer) + laid.dense()) * laid.kept
            stored.copy_(W.T if model.arch.transposed else W)
    return LanguageModel(hf, model.tokenizer, start=model.start)


def test_a_masked_view_answers_as_merged_weights_and_leaves_nothing_behind(bench, differences):
    model, hashed, before = bench.model, bench.model.weights_hash(), bench.model.logits(OTHERS)
    first, second = edits_of(bench)
    masks = masks_of(model, first)
    masked, alone = View((*first, *masks)), View(tuple(masks)).with_patches(second)
    differences("mask", model.logits(OTHERS, masked), merged(model, masked).logits(OTHERS), 1e-4)
    mixed = model.logits([*OTHERS, *OTHERS], [masked, View.base(), alone, alone, masked, View.base()])
    views = [masked, View.base(), alone, alone, masked, View.base()]
    for row, (text, view) in enumerate(zip([*OTHERS, *OTHERS], views, strict=True)):
        torch.testing.assert_close(mixed[row], model.logits([text], view)[0], rtol=1e-4, atol=1e-4)
    assert (mixed[0] - mixed[3]).abs().max() > 1e-3
    *_, texts = model.generate(OTHERS, masked, max_tokens=3)
    *_, expected = merged(model, masked).generate(OTHERS, max_tokens=3)
    assert texts == expected
    assert torch.equal(model.logits(OTHERS), before) and model.weights_hash() == hashed and hooks_of(model) == 0


def test_the_batched_form_says_what_each_edit_says_under_the_mask(bench):
    model, own = bench.model, edits_of(bench)
    masks = masks_of(model, own[0])
    examples = [Example(r, patches, (f"Ana says: {r.text}",)) for r, patches in zip(REQUESTS, own, strict=True)]
    examples.append(Example(REQUESTS[0]))
    layers = sorted({patch.layer for patch in own[0]})
    (batch,) = batches(model, examples, layers, size=5)
    M = {mask.layer: mask.kept.float() for mask in masks}
    said, unedited = batch.logits(M), batch.unedited()
    for row, (owner, logits) in enumerate(zip(batch.owner.tolist(), said, strict=True)):
        ids = batch.ids[row]
        text = model.tok.pad([ids], device=model.device)
        for view, found in ((View((*examples[owner].patches, *masks)), logits), (View.base(), unedited[row])):
            expected = model.head(model.hidden(text, view)[0, -1])
            torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)
    assert hooks_of(model) == 0
