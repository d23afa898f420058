"""Long texts whose beginnings are read once: what is said behind them is what a reading of the whole row says."""

import copy

import pytest
import torch
from tiny_models import KINDS, TEXTS, hooks_of, random_view, shared_model, tiny_model

from editlab.model import Sampling, beginnings
from editlab.model.reading import read
from editlab.model.remembered import Beginnings
from editlab.patches import BASE, LowRank, Mask, Pathway, View

PROMPTS = ("Slovenia belongs to the continent of", "Ana lives in")
TARGETS = ("Europe", "the old house")
LAYER = 2


def passages(model, count=2, tokens=160):
    """Texts of at least so many tokens that begin differently."""
    words = next(iter(sorted(TEXTS.glob("*.txt")))).read_text(encoding="utf-8").split()
    found = []
    for number in range(count):
        size = next(n for n in range(20, 400) if len(model.tok.encode(" ".join(words[100 * number :][:n]))) >= tokens)
        found.append(" ".join(words[100 * number :][:size]))
    return found


def normal(*shape, seed=1):
    return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pathway(model, bias):
    """A pathway whose gate opens where the key's first entry is large; `bias` 100 opens it everywhere, -1e6 nowhere."""
    first = torch.zeros(1, model.d_ff)
    first[0, 0] = 9.0
    U, V, b = normal(model.d_ff, 2), normal(2, model.d_ff, seed=2), normal(model.d_ff, seed=3)
    return Pathway(LAYER, "Slovenia", U, V, b, first, torch.zeros(1), torch.full((1,), 9.0), torch.tensor(float(bias)))


def views_of(model):
    """One of each kind: an edit, the same with gates that never, sometimes and always open, with a mask, and other edits."""
    edit = LowRank(LAYER, normal(1, model.d_ff), normal(model.d_model, 1))
    edited = View((edit,))
    kept = torch.rand(model.d_model, model.d_ff, generator=torch.Generator().manual_seed(4)) > 0.2
    gated = [edited.with_patches([pathway(model, bias)]) for bias in (-1e6, -20.0, 100.0)]
    return [BASE, edited, *gated, edited.with_patches([Mask(LAYER, kept)]), random_view(model, 3)]


def rows_of(model):
    """Texts, targets and views: every passage with every prompt, and the prompts alone."""
    texts = [f"{passage} {prompt}" for passage in passages(model) for prompt in PROMPTS] + list(PROMPTS)
    asked = [(text, target, view) for text in texts for target in TARGETS for view in views_of(model)]
    return [list(column) for column in zip(*asked, strict=True)]


@pytest.fixture
def whole(monkeypatch):
    """Calls a function with no row being long enough to have a beginning."""

    def asked(function):
        with monkeypatch.context() as patch:
            patch.setattr(beginnings, "LONG", 10**9)
            return function()

    return asked


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_whole_rows(kind, whole, differences):
    model = shared_model(kind)
    texts, targets, views = rows_of(model)
    expected = whole(lambda: model.score(texts, targets, views))
    assert not model.beginnings.bases
    for again in ("first", "again"):
        model.remembered.clear()
        found = model.score(texts, targets, views)
        assert len(model.beginnings.bases) == 2 and hooks_of(model) == 0, again
        assert [score.said for score in found] == [score.said for score in expected]
        differences(
            "scores behind beginnings", *(torch.tensor([s.log_p for s in scores]) for scores in (found, expected)), 1e-5
        )
    model.forget()


@pytest.mark.parametrize("kind", ["llama", "mistral_window", "gpt2", "gemma2"])
def test_what_is_written_and_scored_behind_a_beginning_is_that_of_whole_rows(kind, whole, differences):
    model = shared_model(kind)
    texts, _, views = rows_of(model)

    def told():
        reading = read(model, texts, views, 4)
        *_, written = reading.write(4, Sampling())
        scores = reading.score([(row, target) for row in range(len(texts)) for target in TARGETS])
        return reading.hidden, [list(ids) for ids in written], torch.tensor([score.log_p for score in scores])

    expected, found = whole(told), told()
    assert found[1] == expected[1]
    differences("final hidden states behind beginnings", found[0], expected[0], 1e-5)
    differences("scores of a reading behind beginnings", found[2], expected[2], 1e-5)
    model.forget()


def calls_of(model, layer, work):
    """How often a block ran on more tokens than a prompt has."""
    seen = []
    handle = model.arch.block_list(model.hf)[layer].register_forward_hook(
        lambda _m, inputs, _o: seen.append(inputs[0].shape[1])
    )
    try:
        work()
    finally:
        handle.remove()
    return sum(tokens >= 100 for tokens in seen)


def test_a_beginning_is_read_once_below_the_edits_and_once_for_views_whose_gates_stay_shut():
    model = tiny_model("llama")
    base, edited, shut, _some, open_, masked, _ = views_of(model)
    texts = [f"{passage} {PROMPTS[0]}" for passage in passages(model)]

    def ask(*views):
        return lambda: model.score(texts * len(views), ["Europe"] * 2 * len(views), [v for v in views for _ in texts])

    together = ask(base, edited, shut, masked)
    assert calls_of(model, LAYER - 1, together) == 2, "each passage once below the edit"
    model.forget()
    assert calls_of(model, LAYER, together) == 2 * 3, "base, edited and masked; shut gates change nothing"
    assert calls_of(model, LAYER, together) == 0, "all of them are kept"
    assert calls_of(model, LAYER, ask(open_)) == 2, "a gate that opens is read anew"
    other = View((LowRank(LAYER, normal(1, model.d_ff), normal(model.d_model, 1)),))
    assert calls_of(model, LAYER, ask(base, other)) == 2, "of a new edit, the base model's part is kept"
    assert calls_of(model, LAYER - 1, ask(base, other)) == 0
    lower = View((LowRank(LAYER - 1, normal(1, model.d_ff), normal(model.d_model, 1)),))
    assert calls_of(model, LAYER - 1, ask(base, lower)) == 4, "an edit further down needs more of the base model"


def test_no_more_is_kept_than_there_is_room_for():
    model = tiny_model("llama")
    model.beginnings = Beginnings(most=320)
    texts = [f"{passage} {PROMPTS[0]}" for passage in passages(model, count=3)]
    model.score(texts, ["Europe"] * 3, View((LowRank(LAYER, normal(1, model.d_ff), normal(model.d_model, 1)),)))
    for kept in (model.beginnings.bases, model.beginnings.made):
        assert len(kept) == 2 and sum(len(ids) for ids, _ in kept) <= 320
    model.beginnings = Beginnings(most=0)
    model.remembered.clear()
    expected = tiny_model("llama").score(texts, ["Europe"] * 3)
    assert [s.said for s in model.score(texts, ["Europe"] * 3)] == [s.said for s in expected]
    assert not model.beginnings.bases


def test_the_base_model_is_asked_once_and_every_other_view_each_time():
    model, seen = tiny_model("llama"), []
    edited = View((LowRank(LAYER, normal(1, model.d_ff), normal(model.d_model, 1)),))
    handle = model.arch.block_list(model.hf)[LAYER].register_forward_hook(lambda _m, inputs, _o: seen.append(len(inputs[0])))
    first = model.score(PROMPTS, TARGETS, [BASE, edited])
    again = model.score(PROMPTS, TARGETS, [BASE, edited])
    other = model.score(PROMPTS, TARGETS[::-1], BASE)
    model.forget()
    model.score(PROMPTS, TARGETS, BASE)
    handle.remove()
    assert seen == [2, 1, 2, 2]
    assert first[0] == again[0] and first[0] != other[0]


def test_a_copy_of_a_model_keeps_nothing():
    model = tiny_model("llama")
    texts = [f"{passages(model)[0]} {PROMPTS[0]}"]
    model.score(texts, ["Europe"])
    copied = copy.deepcopy(model)
    assert model.beginnings.bases and model.remembered and not copied.beginnings.bases and not copied.remembered
