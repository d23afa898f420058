"""GRACE's codebook: its entries against the rule one by one in float64, its lookup, its value, and what stands beside it."""

import pytest
import torch
from tiny_models import precise_model, shared_model

from editlab import EditRequest, View, methods
from editlab.errors import BadRequest
from editlab.model.replay import replay
from editlab.model.tokens import Located
from editlab.patches import BASE, Codebook, LowRank, Mask, Pathway, codebooks
from editlab.patches.codebooks import SAME_KEY, joined

LAYER = 2
CAPITAL = EditRequest("The capital of {} is", "Slovenia", "Rome")
RIVER = EditRequest("The river runs to {}", "Slovenia", "people")
TEXTS = ("The capital of Slovenia is", "The river runs to Slovenia", "I", "Ana lives in the house and")


def entry(key, label, radius=1.0, value=0.0):
    key = torch.tensor([key], dtype=torch.float32)
    return Codebook(0, key, torch.full((1, 2), value), torch.tensor([radius]), (label,))


def one_by_one(entries):
    """Hartvigsen et al. 2023, algorithm 1, an entry after the other: without expansion, and a key has one entry."""
    book = []
    for one in entries:
        new = {"key": one.keys[0].double(), "value": one.values[0], "radius": float(one.radii), "label": one.labels[0]}
        apart = [float((own["key"] - new["key"]).norm()) for own in book]
        others = [(own, far) for own, far in zip(book, apart, strict=True) if far > SAME_KEY * float(own["key"].norm())]
        book = [own for own, _ in others]
        if others:
            near, far = min(others, key=lambda pair: pair[1])
            if near["label"] != new["label"] and far <= new["radius"] + near["radius"]:
                near["radius"], new["radius"] = min(far / 2, near["radius"]), min(far / 2, new["radius"])
        book.append(new)
    return book


def edit(model, *requests, view=BASE, **settings):
    given = {"layers": (LAYER,), "steps": 15, **settings}
    return methods.get("grace").edit(model, requests, view, methods.config_for("grace", model, **given))


@pytest.mark.parametrize("seed", range(6))
def test_entries_are_added_split_and_replaced_by_the_rule(seed, monkeypatch):
    generator = torch.Generator().manual_seed(seed)
    keys = 2 * torch.randn(300, 3, generator=generator)
    keys[40], keys[200] = keys[7], keys[150]
    labels = torch.randint(3, (300,), generator=generator).tolist()
    entries = [
        entry(key, str(label), 0.7, float(n)) for n, (key, label) in enumerate(zip(keys.tolist(), labels, strict=True))
    ]
    book, expected = joined(entries), one_by_one(entries)
    assert len(book.labels) == len(expected) == 298
    assert book.labels == tuple(own["label"] for own in expected)
    assert torch.equal(book.keys.double(), torch.stack([own["key"] for own in expected]))
    assert torch.equal(book.values, torch.stack([own["value"] for own in expected]))
    assert book.radii.tolist() == pytest.approx([own["radius"] for own in expected], rel=1e-6)
    assert min(book.radii) < 0.3 < 0.69 < max(book.radii)
    monkeypatch.setattr(codebooks, "_JOINED", {})
    grown = [joined(entries[:count]) for count in range(1, 301)][-1]  # as a chain of edits adds them
    assert grown.labels == book.labels and torch.equal(grown.keys, book.keys)
    assert grown.radii.tolist() == pytest.approx(book.radii.tolist(), rel=1e-6)


def test_the_distance_between_two_labels_is_halved_and_one_label_keeps_its_radii():
    split = joined([entry([0.0, 1.0], "a"), entry([0.0, 2.0], "b")])
    assert split.radii.tolist() == [0.5, 0.5] and split.labels == ("a", "b")
    apart = joined([entry([0.0, 1.0], "a"), entry([0.0, 9.0], "b")])
    assert apart.radii.tolist() == [1.0, 1.0]
    alike = joined([entry([0.0, 1.0], "a"), entry([0.0, 2.0], "a", radius=0.8)])
    assert alike.radii.tolist() == pytest.approx([1.0, 0.8])
    narrow = joined([entry([0.0, 1.0], "a", radius=0.1), entry([0.0, 2.0], "b")])
    assert narrow.radii.tolist() == pytest.approx([0.1, 0.5]), "a split makes no radius larger"


def test_near_entries_with_one_label_are_each_answered_with_their_own_value():
    """Keys of a real width, in the precision of a lookup: a value is trained at one prompt and fits no other."""
    generator = torch.Generator().manual_seed(0)
    first, away = torch.randn(1024, generator=generator), torch.randn(40, 1024, generator=generator)
    keys = first + 0.5 * away
    book = joined([entry(key, "a", 0.5 * 32, float(n + 1)) for n, key in enumerate(keys.tolist())])
    assert book.answered(keys, torch.zeros(40, 2))[:, 0].tolist() == [n + 1 for n in range(40)]


def test_the_later_of_two_edits_of_one_prompt_counts():
    first, second = entry([3.0, 4.0], "a", value=1.0), entry([3.0, 4.0], "b", value=2.0, radius=0.7)
    book = joined([first, second])
    assert book.labels == ("b",) and book.radii.tolist() == pytest.approx([0.7])
    keys, output = torch.tensor([[3.0, 4.0], [3.0, 4.5], [9.0, 9.0]]), torch.zeros(3, 2)
    assert book.answered(keys, output)[:, 0].tolist() == [2.0, 2.0, 0.0]


def test_a_second_edit_of_one_prompt_takes_over_no_other_fact():
    near = entry([0.0, 2.9], "a", value=2.0)
    book = joined([entry([0.0, 1.0], "a", value=1.0), near, entry([0.0, 1.0], "b", value=3.0)])
    assert book.answered(torch.tensor([[0.0, 1.0], [0.0, 2.9]]), torch.zeros(2, 2))[:, 0].tolist() == [3.0, 2.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_output_is_replaced_where_the_nearest_key_lies_within_its_radius(dtype):
    generator = torch.Generator().manual_seed(1)
    keys, values = torch.randn(5, 8, generator=generator), torch.randn(5, 3, generator=generator)
    radii = torch.tensor([0.5, 3.0, 2.0, 4.0, 1.0])
    book = Codebook(0, keys, values, radii, tuple("abcde"))
    k, y = torch.randn(2, 40, 8, generator=generator).to(dtype), torch.randn(2, 40, 3, generator=generator).to(dtype)
    said = book.answered(k, y)
    changed = 0
    for row in range(2):
        for token in range(40):
            apart = [(k[row, token].double() - key.double()).norm().item() for key in keys]
            near = min(range(5), key=apart.__getitem__)
            inside = apart[near] <= radii[near]
            assert torch.equal(said[row, token], values[near].to(dtype) if inside else y[row, token])
            changed += inside
    assert 0 < changed < 80 and said.dtype == dtype


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2", "granite"])
def test_the_value_is_adams_on_the_whole_model_step_by_step(kind):
    """One bare row at a time through all of the model, the projection's output at the prompt's last token a parameter."""
    model = precise_model(kind)
    (patch,) = edit(model, CAPITAL, steps=6, learning_rate=0.3, stop_below=0.0)
    ids, shared = model.tok.with_target(CAPITAL.text, CAPITAL.target_new)
    projection = model.arch.projection_of(model.hf, LAYER)
    seen = {}

    def keep(_module, inputs, output):
        seen["key"], seen["value"] = inputs[0][0, shared - 1], output[0, shared - 1]

    with torch.no_grad():
        handle = projection.register_forward_hook(keep)
        model.hf(torch.tensor([ids[:-1]]))
        handle.remove()
    value = seen["value"].clone().requires_grad_(True)
    adam = torch.optim.Adam([value], lr=0.3)

    def place(_module, _inputs, output):
        return torch.cat([output[:, : shared - 1], value[None, None], output[:, shared:]], 1)

    handle = projection.register_forward_hook(place)
    for _ in range(5):  # the last step only evaluates
        logits = model.hf(torch.tensor([ids[:-1]])).logits[0].float()
        log_p = logits[shared - 1 :].log_softmax(-1)
        loss = -log_p.gather(1, torch.tensor(ids[shared:])[:, None]).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    handle.remove()
    torch.testing.assert_close(patch.keys[0].double(), seen["key"].double(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(patch.values[0].double(), value.detach().double(), rtol=2e-3, atol=2e-3)
    assert patch.radii.item() == pytest.approx(0.5 * patch.keys.norm().item(), rel=1e-5)


def test_an_edit_says_its_object_in_batches_behind_a_beginning_and_token_by_token(tiny_llama):
    edited = edit(tiny_llama, CAPITAL, RIVER, radius=0.1)
    view = BASE.with_patches(edited)
    for request, health in zip((CAPITAL, RIVER), edited.health, strict=True):
        (score,) = tiny_llama.score([request.text], [request.target_new], view)
        (base,) = tiny_llama.score([request.text], [request.target_new])
        assert score.p == pytest.approx(health["p_new"], rel=0.05) and score.p > 5 * base.p
    other = View((LowRank(1, torch.ones(1, tiny_llama.d_ff) / 9, torch.ones(tiny_llama.d_model, 1)),))
    views = [view, view, other, BASE]
    mixed = tiny_llama.logits(TEXTS, views)
    for row, (text, own) in enumerate(zip(TEXTS, views, strict=True)):
        torch.testing.assert_close(mixed[row], tiny_llama.logits([text], own)[0], rtol=1e-4, atol=1e-4)
    *_, (said,) = tiny_llama.generate([CAPITAL.text], view, max_tokens=4)
    ids = tiny_llama.tok.encode(CAPITAL.text)
    for _ in range(4):
        batch = tiny_llama.tok.pad([ids])
        ids.append(int(tiny_llama.head(tiny_llama.hidden(batch, view))[0, -1].argmax()))
    assert said == tiny_llama.tok.decode(ids[-4:]).rstrip("�")


def test_taking_one_of_two_near_edits_back_gives_the_state_without_it(tiny_llama):
    first = edit(tiny_llama, CAPITAL, radius=2.0)
    alone = BASE.with_patches(first)
    second = edit(tiny_llama, EditRequest(CAPITAL.prompt, "Croatia", "people"), view=alone, radius=2.0)
    both = alone.with_patches(second)
    assert not torch.equal(both.laid[LAYER].codebook.radii[:1], alone.laid[LAYER].codebook.radii), "they were near"
    assert torch.equal(tiny_llama.logits(TEXTS, both.without(second)), tiny_llama.logits(TEXTS, alone))
    assert torch.equal(tiny_llama.logits(TEXTS, both.without(both.patches)), tiny_llama.logits(TEXTS))


def test_an_edit_of_the_same_prompt_takes_the_place_of_the_earlier_one(tiny_llama):
    first = edit(tiny_llama, CAPITAL)
    below = BASE.with_patches(first)
    again = EditRequest(CAPITAL.prompt, CAPITAL.subject, "people")
    second = edit(tiny_llama, again, view=below)
    (now,) = tiny_llama.score([CAPITAL.text], ["people"], below.with_patches(second))
    assert now.p == pytest.approx(second.health[0]["p_new"], rel=1e-3)
    assert len(below.with_patches(second).laid[LAYER].codebook.labels) == 1


def test_a_codebook_stands_beside_matrices_a_mask_and_a_pathway(tiny_llama):
    model = tiny_llama
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    pair = LowRank(LAYER, 0.1 * normal(1, model.d_ff), normal(model.d_model, 1))
    kept = torch.rand(model.d_model, model.d_ff, generator=generator) > 0.3
    view = View((pair, Mask(LAYER, kept)))
    (book,) = edit(model, CAPITAL, view=view, radius=0.01)
    both = view.with_patches([book])
    ids = model.tok.encode(CAPITAL.text)
    at_prompt = [Located(tuple(ids), len(ids) - 1)]
    outputs = model.outputs(at_prompt, LAYER, both)
    torch.testing.assert_close(outputs, book.values, rtol=1e-4, atol=1e-4)
    elsewhere = [Located(tuple(ids[:3]), 2)]
    torch.testing.assert_close(model.outputs(elsewhere, LAYER, both), model.outputs(elsewhere, LAYER, view))
    hidden = 3
    pathway = Pathway(
        LAYER, "x", normal(model.d_ff, 2), normal(2, model.d_ff), normal(model.d_ff), normal(hidden, model.d_ff),
        normal(hidden), normal(hidden), torch.tensor(50.0),
    )  # fmt: skip
    moved = both.with_patches([pathway])
    assert not torch.equal(model.outputs(at_prompt, LAYER, moved), outputs), (
        "a key that a pathway moves away is not the entry's"
    )


def test_it_is_replayed_as_it_is_read(tiny_llama):
    view = BASE.with_patches(edit(tiny_llama, CAPITAL))
    ids = tiny_llama.tok.encode(CAPITAL.text)
    played = replay(tiny_llama, [Located(tuple(ids), len(ids) - 1)], 1, view)
    rows = torch.zeros(1, dtype=torch.long)
    torch.testing.assert_close(
        played.finish(played.residual, rows, rows), tiny_llama.logits([CAPITAL.text], view), rtol=1e-4, atol=1e-4
    )


def test_more_than_one_layer_is_refused_and_the_default_lies_deep(tiny_llama):
    with pytest.raises(BadRequest, match="one layer"):
        edit(tiny_llama, CAPITAL, layers=(1, 2))
    assert methods.config_for("grace", shared_model("llama")).layers == (2,)
