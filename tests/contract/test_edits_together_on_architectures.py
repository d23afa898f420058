"""Edits beside and on top of one another over every architecture, by one method of each way to make a patch."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from editlab import EditRequest, View
from editlab.errors import MissingStatistics

METHODS = ("rome", "memit", "ft_m", "ultraedit", "kn", "grace", "note")
"""What is tested here is the algebra of patches, and what a method does without statistics; relatives share both."""
REQUESTS = (EditRequest("The river runs to {}", "Slovenia", "people"), EditRequest("I saw {}", "New France", "with"))
OTHERS = ("The capital of Rome is", "The river runs to Slovenia", "Ana lives in the house and", "I")


@cache
def edits(bench):
    """An edit of each request alone: made once for all tests below."""
    return [bench.method.edit(bench.model, requests, config=bench.config) for requests in (REQUESTS[:1], REQUESTS[1:])]


def p_new(model, view):
    (found,) = model.score([REQUESTS[1].text], [REQUESTS[1].target_new], view)
    return found.p


def test_taking_back_one_edit_leaves_the_other_as_it_was(bench):
    first, second = edits(bench)
    both, alone = View.base().with_patches(first).with_patches(second), View.base().with_patches(second)
    assert torch.equal(bench.model.logits(OTHERS, both.without(first)), bench.model.logits(OTHERS, alone))


def test_an_edit_on_top_of_another_is_made_under_its_view(bench):
    first, alone = edits(bench)
    below = View.base().with_patches(first)
    second = bench.method.edit(bench.model, REQUESTS[1:], view=below, config=bench.config)
    measured = p_new(bench.model, below.with_patches(second))
    assert second.health[0]["p_new"] == pytest.approx(measured, rel=1e-4)
    if bench.method.group != "tell":
        assert measured > 5 * p_new(bench.model, below)
    if bench.method.group == "locate":
        assert not torch.equal(second[0].dense(), alone[0].dense())


def test_without_statistics_a_method_does_without_or_names_the_command(bench, monkeypatch):
    monkeypatch.setattr(bench.model, "statistics", ())
    try:
        edited = bench.method.edit(
            bench.model,
            REQUESTS[:1],
            config=replace(bench.config, steps=2) if hasattr(bench.config, "steps") else bench.config,
        )
    except MissingStatistics as refused:
        assert "editlab stats" in str(refused)
        assert bench.method.needs_statistics
    else:
        assert edited.health[0].get("whitened", 0.0) == 0.0
        assert not bench.method.needs_statistics
