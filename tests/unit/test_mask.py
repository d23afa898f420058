"""A reversal mask: its algebra, its training in the exact batched form, its files, and what it is held against."""

from dataclasses import replace
from threading import Event

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from tiny_models import precise_model, random_view, shared_model, tiny_model
from torch.nn.functional import kl_div

from editlab import methods
from editlab.errors import BadFile, BadRequest, Cancelled, MissingMask
from editlab.facts import EditRequest, Fact, FactBase, Relation
from editlab.methods import mask as masking
from editlab.methods.mask import Example, Lesson, MaskConfig, ReversalMask, baselines, batches, own_delta, reversal, train
from editlab.methods.mask.edits import _made
from editlab.methods.mask.training import _loss
from editlab.methods.svd import without_loudest
from editlab.model import measuring
from editlab.model.weights import matrix_of
from editlab.patches import BASE, Dense, LowRank, Mask, View

SHAPE = (32, 64)
REQUESTS = [
    EditRequest("The river runs to {}", "Slovenia", "people", "house"),
    EditRequest("The capital of {} is", "Rome", "old and", "old house"),
    EditRequest("{} is a country in", "France", "Asia", "Europe"),
]


def random_mask(layer=1, seed=0, share=0.3):
    return Mask(layer, torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed)) > share)


def loud_edit(model, request, layer=1, size=3.0):
    """An edit that is no method's: a random value at the subject's key."""
    seed = sum(map(ord, request.text + request.target_new))
    key = model.keys([model.locate(request.prompt, request.subject)], [layer])[layer][0].float()
    value = torch.randn(model.d_model, generator=torch.Generator().manual_seed(seed))
    return LowRank(layer, (key / key.norm() ** 2)[None], size * value[:, None])


def examples_of(model, count=12, layer=1):
    names = ["Slovenia", "France", "Rome", "Ana", "Brazil", "Japan", "Kenya", "Paris", "Milan", "Oslo", "Lima", "Cairo"]
    found = []
    for name in names[:count]:
        request = EditRequest("The capital of {} is", name, "people", "house")
        patches = (loud_edit(model, request, layer),)
        found.append(Example(request, patches, (f"I know that {name} is",)))
    return found


# The mask in a view


@given(share=st.floats(0, 1), seed=st.integers(0, 9))
def test_a_mask_sets_entries_of_the_weight_and_of_all_edits_to_zero(share, seed):
    model = shared_model("llama")
    mask, view = random_mask(seed=seed, share=share), random_view(model, seed)
    laid = View((*view.patches[:1], mask, *view.patches[1:])).laid[1]
    projection = model.arch.projection_of(model.hf, 1)
    D = laid.on(projection, matrix_of).dense()
    expected = torch.where(mask.kept, model.weight(1) + view.laid[1].dense(), 0.0)
    torch.testing.assert_close(model.weight(1) + D, expected)
    assert mask.pruned == pytest.approx(1 - mask.kept.float().mean().item())


def test_two_masks_of_a_layer_prune_what_either_prunes():
    one, two = random_mask(seed=1), random_mask(seed=2)
    view = View((one, two))
    assert torch.equal(view.laid[1].kept, one.kept & two.kept)
    assert view.masks == (one, two)


def test_a_masked_matrix_is_made_once_a_model():
    first, second = tiny_model("llama"), tiny_model("llama", seed=1)
    laid = View((random_mask(),)).laid[1]
    places = [(model.arch.projection_of(model.hf, 1), matrix_of) for model in (first, second)]
    assert laid.on(*places[0]) is laid.on(*places[0])
    assert not torch.equal(laid.on(*places[0]).dense(), laid.on(*places[1]).dense())


# Training


def test_the_batched_form_has_the_gradient_of_one_forward_per_edit():
    model = precise_model("llama")
    examples = examples_of(model, 5)
    theta = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    (batch,) = batches(model, examples, [1], size=10)
    weights = torch.randn(len(batch.owner), len(model.tokenizer), generator=torch.Generator().manual_seed(1))
    (batch.logits({1: torch.sigmoid(theta)}) * weights).sum().backward()
    found, theta.grad = theta.grad, None
    for row, owner in enumerate(batch.owner.tolist()):
        W = (model.weight(1) + examples[owner].patches[0].dense()) * torch.sigmoid(theta)
        own = torch.func.functional_call(
            model.hf,
            {"model.layers.1.mlp.down_proj.weight": W.double()},
            kwargs={"input_ids": torch.tensor([batch.ids[row]])},
        )
        (own.logits[0, -1].float() * weights[row]).sum().backward()
    assert (found - theta.grad).norm() / theta.grad.norm() < 1e-5


def test_the_loss_is_the_papers():
    model = precise_model("llama")
    examples = examples_of(model, 3)
    (batch,) = batches(model, examples, [1], size=6)
    M = {1: torch.full(SHAPE, 0.8)}
    config = MaskConfig.published()
    loss, leads = _loss(batch, M, config, 0.5)
    logits, teacher = batch.logits(M).double(), batch.unedited().double()
    margin = logits.gather(1, batch.true[:, None]) - logits.gather(1, batch.new[:, None])
    T = 1.643 + 0.5 * (4.301 - 1.643)
    kl = kl_div((logits / T).log_softmax(-1), (teacher / T).softmax(-1), reduction="batchmean") * T**2
    expected = torch.relu(3 - margin).mean() + (1e-6 + 0.5 * (60 - 1e-6)) * (0.2 - 0.1) + 3.2552 * kl
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.equal(leads, margin[:, 0] > 0)


def test_the_objects_are_told_apart_where_they_part():
    model = shared_model("llama")
    request = EditRequest("The capital of {} is", "Rome", "old and", "old house")
    (batch,) = batches(model, [Example(request)], [1], size=1)
    true, _ = model.tok.with_target(request.text, "old house")
    new, _ = model.tok.with_target(request.text, "old and")
    at = next(i for i, (a, b) in enumerate(zip(true, new, strict=False)) if a != b)
    assert batch.ids == (tuple(true[:at]),)
    assert (batch.true.item(), batch.new.item()) == (true[at], new[at])
    assert batch.edited.item() == 0


def test_training_learns_to_reverse_edits_within_its_budget():
    model = tiny_model("llama")
    examples = examples_of(model)
    before = reversal(list(batches(model, examples, [1], 4)), [Mask(1, torch.ones(SHAPE, dtype=torch.bool))])
    config = MaskConfig(epochs=30, batch=8, learning_rate=0.05, budget=0.2, plain=0.5, steps=0)
    *_, (epoch, masks) = train(model, examples, config=config)
    after = reversal(list(batches(model, examples, [1], 4)), masks)
    assert after > before
    assert masks[0].pruned == pytest.approx(0.2, abs=0.01)
    assert epoch.number == 30 and epoch.reversed_unseen is None


def test_a_stopped_training_goes_on_where_it_was(tmp_path):
    model, config = tiny_model("llama"), MaskConfig(epochs=4, batch=8, steps=0, seed=3)
    examples = examples_of(model)
    whole = [(epoch, masks) for epoch, masks in train(model, examples, examples[:2], config)]
    keep, stopped = tmp_path / "work" / "state.safetensors", Event()
    with pytest.raises(Cancelled):
        for epoch, _ in train(model, examples, examples[:2], config, keep=keep, cancel=stopped.is_set):
            if epoch.number == 2:
                stopped.set()
    rest = list(train(model, examples, examples[:2], config, keep=keep))
    assert [epoch for epoch, _ in rest] == [epoch for epoch, _ in whole[2:]]
    assert torch.equal(rest[-1][1][0].kept, whole[-1][1][0].kept)
    other = list(train(model, examples, examples[:2], replace(config, seed=4), keep=keep))
    assert [epoch.number for epoch, _ in other] == [1, 2, 3, 4]
    keep.write_bytes(b"no tensors")
    assert [epoch for epoch, _ in train(model, examples, examples[:2], config, keep=keep)] == [epoch for epoch, _ in whole]


def test_one_edit_of_many_facts_lies_under_all_examples():
    model = shared_model("llama")
    examples = examples_of(model, 10)
    together = View(tuple(patch for example in examples for patch in example.patches))
    bare = [replace(example, patches=()) for example in examples]
    (batch,) = batches(model, bare, [1], 20, together)
    for row, ids in enumerate(batch.ids):
        expected = model.head(model.hidden(model.tok.pad([ids]), together)[0, -1])
        torch.testing.assert_close(batch.logits({})[row], expected, rtol=1e-3, atol=1e-3)
    *_, (_, masks) = train(model, bare, config=MaskConfig(epochs=1, steps=0, plain=0.0), view=together)
    assert [mask.layer for mask in masks] == [1]


def test_what_cannot_be_trained_is_said():
    model = shared_model("llama")
    with pytest.raises(BadRequest, match="learnt from 3"):
        next(train(model, examples_of(model, 3)))
    with pytest.raises(BadRequest, match="touch layers"):
        next(train(model, examples_of(model), config=MaskConfig(layers=(3,))))
    for wrong in ({"epochs": 0}, {"budget": 1.5}, {"recipe": "secret"}, {"plain": 2.0}):
        with pytest.raises(BadRequest):
            MaskConfig(**wrong)
    published = MaskConfig.published("memit", epochs=2)
    assert (published.epochs, published.batch, published.threshold) == (2, 270, 0.9)


# From facts to a mask


FACTS = FactBase(
    tuple(Fact(name, "P1", o) for name, o in (("Rome", "Italy"), ("Oslo", "Norway"), ("Lima", "Peru"), ("Cairo", "Egypt"))),
    {"P1": Relation("P1", "country", ("{} is in", "Where is {}? In", "The land of {} is"))},
    {},
)


class Knowing:
    """A model that says the true object of every fact but those of some subjects."""

    name = "knowing"

    def __init__(self, *unknown):
        self.unknown, self.asked = unknown, 0

    def score(self, prompts, _targets):
        self.asked += len(prompts)
        return [type("Said", (), {"hit": not any(name in prompt for name in self.unknown)}) for prompt in prompts]


def test_lessons_are_facts_that_the_model_knows_with_another_object_of_their_relation(monkeypatch):
    found = masking.lessons(Knowing("Lima"), FACTS, 6, without=["Cairo"])
    assert {lesson.request.subject for lesson in found} == {"Rome", "Oslo"} and len(found) == 6
    objects = {fact.object for fact in FACTS.facts}
    for lesson in found:
        assert lesson.request.target_true == FACTS.object_of(lesson.request.subject, "P1") != lesson.request.target_new
        assert lesson.request.target_new in objects
        assert len(lesson.paraphrases) == 2 and lesson.request.text not in lesson.paraphrases
    assert found == masking.lessons(Knowing("Lima"), FACTS, 6, without=["Cairo"])
    assert found != masking.lessons(Knowing("Lima"), FACTS, 6, without=["Cairo"], seed=1)
    monkeypatch.setattr("editlab.methods.mask.edits.ASKED_AT_ONCE", 1)
    model = Knowing()
    assert len(masking.lessons(model, FACTS, 2)) == 2 and model.asked == 2
    with pytest.raises(Cancelled):
        masking.lessons(Knowing(), FACTS, 2, cancel=lambda: True)
    with pytest.raises(BadRequest, match="knows none of the 4 facts"):
        masking.lessons(Knowing("Rome", "Oslo", "Lima", "Cairo"), FACTS, 6)


def test_edits_are_kept_chunk_by_chunk_and_those_that_fail_say_why(tmp_path, monkeypatch):
    model, rome = shared_model("llama"), methods.get("rome")
    config = methods.config_for("rome", model, layers=(1,), steps=2, contexts=1)
    lessons = [Lesson(request, (request.text,)) for request in REQUESTS]
    lessons.insert(1, Lesson(EditRequest("{} " + "is " * 300, "Rome", "people", "house")))
    made = list(masking.make_edits(model, lessons, rome, config, tmp_path))
    assert [isinstance(one, Example) for one in made] == [True, False, True, True] and "context holds" in made[1]
    monkeypatch.setattr("editlab.methods.mask.edits._made", lambda *_: pytest.fail("made again"))
    again = list(masking.make_edits(model, lessons, rome, config, tmp_path))
    assert again[1] == made[1]
    assert torch.equal(again[0].patches[0].dense(), made[0].patches[0].dense())
    assert again[3].request == REQUESTS[2] and again[3].paraphrases == (REQUESTS[2].text,)
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(b"broken")
    monkeypatch.setattr("editlab.methods.mask.edits._made", _made)
    assert torch.equal(next(masking.make_edits(model, lessons, rome, config, tmp_path)).patches[0].A, made[0].patches[0].A)


@pytest.mark.parametrize("other", ["statistics", "precision", "preset"])
def test_kept_edits_are_made_again_where_something_else_shapes_them(tmp_path, monkeypatch, other):
    model, rome = tiny_model("llama"), methods.get("rome")
    model.statistics = (tmp_path / "statistics",)
    monkeypatch.setitem(model.preset, "rome", {"layers": (1,), "steps": 1, "contexts": 1})

    def made(of):
        (edit,) = masking.make_edits(of, [Lesson(REQUESTS[0])], rome, None, tmp_path / "work")
        return edit.patches[0].A

    first = made(model)
    assert torch.equal(made(model), first) and len(list((tmp_path / "work").iterdir())) == 1
    if other == "statistics":
        measuring.collect(model, [1], "The garden was old and nobody went there. " * 60, 400, tmp_path / "statistics")
    elif other == "precision":
        model = replace(tiny_model("llama", torch.bfloat16), preset=model.preset)
    else:
        monkeypatch.setitem(model.preset, "rome", {"layers": (1,), "steps": 1, "contexts": 2})
    assert not torch.equal(made(model), first) and len(list((tmp_path / "work").iterdir())) == 2


# Files


def test_a_mask_comes_back_from_its_file_and_only_for_its_model(tmp_path):
    model = tiny_model("llama")
    model.masks = (tmp_path / "bundled", tmp_path / "own")
    kept = ReversalMask("rome", (random_mask(2), random_mask(3, seed=1)), {"n_train": 7, "pruned": 0.3})
    with pytest.raises(MissingMask, match=r"editlab mask train --model tiny llama --method rome"):
        masking.need(model, "rome")
    path = masking.write(kept, model, tmp_path / "bundled")
    found = masking.need(model, "rome")
    assert {m.layer: m.kept.tolist() for m in found.masks} == {m.layer: m.kept.tolist() for m in kept.masks}
    assert found.report == kept.report and found.method == "rome" and masking.methods_with_masks(model) == ["rome"]
    assert found.pruned == pytest.approx(0.3, abs=0.03) and found.layers == (2, 3)
    assert masking.find(model, "memit") is None
    masking.write(replace(kept, report={"n_train": 8}), model, tmp_path / "own")
    assert masking.need(model, "rome").report == {"n_train": 8}
    other = tiny_model("llama", seed=5)
    with pytest.raises(BadFile, match="not of tiny llama"):
        masking.read(path, other)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadFile, match="not a reversal mask"):
        masking.read(path, model)
    save_file({"layer1": torch.zeros(1)}, path)
    with pytest.raises(BadFile, match="not a reversal mask"):
        masking.read(path, model)


# What it is held against


def test_baselines_prune_as_many_and_what_their_names_say():
    model, mask = shared_model("llama"), random_mask(share=0.1)
    examples = examples_of(model, 4)
    found = baselines(model, examples, [mask], seed=1)
    count = int((~mask.kept).sum())
    assert set(found) == set(masking.BASELINES)
    assert all(int((~own.kept).sum()) == count for (own,) in found.values())
    W = model.weight(1).abs()
    (largest,) = found["magnitude"]
    assert W[~largest.kept].min() >= W[largest.kept].max()
    mean = torch.stack([example.patches[0].dense().abs() for example in examples]).mean(0)
    (delta,) = found["delta_magnitude"]
    assert mean[~delta.kept].min() >= mean[delta.kept].max() - 1e-6
    (active,) = found["activation"]
    assert int((~active.kept).all(0).sum()) == count // SHAPE[0]
    own = own_delta(examples[0], mask)
    dense = examples[0].patches[0].dense().abs()
    assert dense[~own.kept].min() >= dense[own.kept].max()


def test_the_loudest_direction_of_a_loud_edit_is_the_edit():
    model = shared_model("llama")
    generator = torch.Generator().manual_seed(0)
    loud = LowRank(1, torch.randn(1, 64, generator=generator), 50 * torch.randn(32, 1, generator=generator))
    back = View((loud, without_loudest(model, View((loud,)), 1)))
    W = model.weight(1)
    assert back.laid[1].dense().norm() < 0.25 * W.norm() < 0.01 * loud.dense().norm()
    quiet = without_loudest(model, BASE, 1, rank=2)
    assert torch.linalg.matrix_rank(W + quiet.dense(), atol=1e-4) == 30
    same = without_loudest(model, View((Dense(1, loud.dense()),)), 1)
    torch.testing.assert_close(same.dense(), without_loudest(model, View((loud,)), 1).dense(), rtol=1e-3, atol=1e-3)
