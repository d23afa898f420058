"""A pathway brings other keys to the edit's, fires at most once a token, learns only what it may, and moves nothing else."""

from dataclasses import fields, replace

import pytest
import torch
from tiny_models import shared_model, tiny_model
from torch.nn.functional import gelu

from editlab import methods
from editlab.errors import BadRequest, Cancelled, DegenerateKey
from editlab.facts import EditCase, EditRequest, Expectation, Fact, FactBase, Relation
from editlab.methods.rep import Lessons, RepConfig, refine
from editlab.methods.rep.lessons import Named, read
from editlab.model.measuring import collect
from editlab.patches import BARE, BASE, Form, LowRank, Pathway, View
from editlab.probes import Passages, gates, gates_of, lessons

PROMPT, SUBJECT = "I know that {} belongs to the continent of", "New Slovenia"
NAMES = ("the Republic of Slovenia", "Slovenia New", "New Slovenia, the country")
OTHERS = ("France", "New Brazil", "the Republic of Japan", "Old Korea")
PROSE = ("The garden was old and nobody went there, so that the country grew over it.", "A letter came late that year.")
LESSONS = Lessons(PROMPT, SUBJECT, NAMES, PROSE, ("The capital of {} is",), OTHERS)
QUICK = RepConfig(steps=60, contexts=2)


def rome(model, layer=1):
    config = methods.config_for("rome", model, layers=(layer,), steps=5)
    return methods.get("rome").edit(model, [EditRequest(PROMPT, SUBJECT, "people")], config=config).patches


def pathway(layer=1, subject=SUBJECT, seed=0, d_ff=64, open_=False):
    g = torch.Generator().manual_seed(seed)
    sizes = ((d_ff, 2), (2, d_ff), (d_ff,), (3, d_ff), (3,), (3,), ())
    U, V, b, H, h, w, c = (torch.randn(size, generator=g) for size in sizes)
    return Pathway(layer, subject, U, V, b, H, h, w, torch.tensor(100.0) if open_ else c)


# Patches


def test_a_gate_and_what_leaves_it_are_what_the_formula_says():
    own = pathway()
    k = torch.randn(4, 64, generator=torch.Generator().manual_seed(9))
    wide = {f.name: getattr(own, f.name).double() for f in fields(own) if f.name not in ("layer", "subject")}
    gate = torch.sigmoid(gelu(k.double() @ wide["H"].T + wide["h"]) @ wide["w"] + wide["c"])
    torch.testing.assert_close(own.gate(k).double(), gate, rtol=1e-4, atol=1e-6)
    moved = k.double() + k.double() @ wide["V"].T @ wide["U"].T + wide["b"]
    torch.testing.assert_close(own.moved(k).double(), moved, rtol=1e-4, atol=1e-4)


def test_at_each_key_only_the_pathway_with_the_largest_gate_fires():
    stack = [pathway(seed=seed) for seed in range(3)]
    laid = View(tuple(stack)).with_threshold(0.6).laid[1]
    k = torch.randn(2, 20, 64, generator=torch.Generator().manual_seed(4))
    gates_ = torch.stack([own.gate(k) for own in stack], -1)
    torch.testing.assert_close(laid.gates(k), gates_)
    expected = k.clone()
    for row in range(2):
        for token in range(20):
            best = int(gates_[row, token].argmax())
            if gates_[row, token, best] > 0.6:
                expected[row, token] = stack[best].moved(k[row, token])
    assert 0 < int((expected != k).any(-1).sum()) < 40
    torch.testing.assert_close(laid.moved(k), expected)


def test_a_threshold_belongs_to_the_view():
    view = View((pathway(),))
    assert view.with_threshold(0.2).patches == view.patches
    k = torch.randn(50, 64)
    assert torch.equal(view.with_threshold(1.0).laid[1].moved(k), k)
    assert (view.with_threshold(0.0).laid[1].moved(k) != k).any(-1).all()


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2"])
def test_a_pathway_moves_the_key_before_the_projection(kind):
    model, texts = shared_model(kind), ["The river runs", "Ana lives in the house"]
    own, patch = pathway(seed=3, d_ff=model.d_ff), None
    patch = LowRank(1, torch.randn(1, model.d_ff), torch.randn(model.d_model, 1))
    view = View((patch, own)).with_threshold(0.5)
    projection = model.arch.projection_of(model.hf, 1)

    def by_hand(_module, inputs):
        k = inputs[0]
        return (torch.where((own.gate(k) > 0.5)[..., None], own.moved(k), k),)

    handle = projection.register_forward_pre_hook(by_hand)
    expected = model.logits(texts, View((patch,)))
    handle.remove()
    torch.testing.assert_close(model.logits(texts, view), expected, rtol=1e-4, atol=1e-4)
    assert (expected - model.logits(texts, View((patch,)))).abs().max() > 1e-3
    mixed = model.logits(texts, [view, BASE])
    torch.testing.assert_close(mixed[0], expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mixed[1], model.logits(texts)[1], rtol=1e-4, atol=1e-4)


# Lessons


def test_positive_are_all_tokens_of_other_names_and_the_last_of_the_subject_behind_a_long_text():
    model = shared_model("llama")
    contexts = ("", "Then. ")
    found = read(model, LESSONS, contexts, 1, BASE, 0)
    wanted = 0
    rows = [Named.of(PROMPT, name, True, context) for name in NAMES for context in contexts]
    rows += [Named.of(PROMPT, SUBJECT, True, f"{passage} ", far=True) for passage in PROSE]
    for row in rows:
        name, at = row.text[row.start : row.stop], row.text.find(SUBJECT, row.start)
        assert name in (*NAMES, SUBJECT)
        for a, b in model.tokenizer(row.text, return_offsets_mapping=True)["offset_mapping"]:
            own = at >= 0 and a >= at - 1 and b <= at + len(SUBJECT)
            last = name == SUBJECT and b == at + len(SUBJECT)
            wanted += a < b and a >= row.start - 1 and b <= row.stop and (not own or last)
    assert int(found.positive.sum()) == wanted > len(rows)
    assert len(found.keys) == len(found.positive) > 4 * wanted


def test_prose_and_others_are_negative_and_prose_is_read_once(monkeypatch):
    model = tiny_model("llama")
    with_prose = read(model, LESSONS, ("",), 1, BASE, 0)
    without = read(model, replace(LESSONS, passages=()), ("",), 1, BASE, 0)
    prose = sum(len(model.tok.encode(text)) for text in PROSE)
    behind = [Named.of(PROMPT, SUBJECT, True, f"{text} ").text for text in PROSE]
    words = sum(len(model.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in behind)
    assert len(with_prose.keys) - len(without.keys) == prose + words
    assert with_prose.positive.sum() == without.positive.sum() + len(PROSE)
    assert sum(key.startswith("keys of prose") for key in model.memo) == 2


def test_a_subject_without_another_name_says_what_to_do():
    with pytest.raises(BadRequest, match="Own rephrases"):
        Lessons(PROMPT, "Rome", ())


# Pathways


@pytest.mark.parametrize("share", [1.0, 1.5])
def test_behind_an_open_gate_a_key_hears_what_it_lacked_and_the_edits_own_key_stays(share):
    model = tiny_model("llama")
    patches = rome(model)
    own = refine(model, LESSONS, patches, config=replace(QUICK, share=share)).pathways[0]
    u = patches[0].A[0]
    key = model.keys([model.locate(PROMPT, SUBJECT)], [1])[1][0]
    keys = torch.randn(8, model.d_ff) * key.abs().mean()
    heard = keys @ u / (u @ key)
    torch.testing.assert_close(own.moved(keys) @ u / (u @ key), heard + share * (1 - heard), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(own.moved(key[None])[0], key, rtol=1e-4, atol=1e-5)


def test_the_gate_opens_at_other_names_and_stays_shut_elsewhere():
    model = tiny_model("llama")
    made = refine(model, LESSONS, rome(model), config=replace(QUICK, steps=150))
    assert made.health["opens"] > 0.5
    assert made.health["opens_falsely"] < 0.02
    view = BASE.with_patches(made.pathways).with_threshold(QUICK.threshold)
    at_name, at_prose = gates_of(model, [PROMPT.replace("{}", NAMES[1]), PROSE[0]], view)
    assert at_name.max() > QUICK.threshold
    assert at_prose.max() < QUICK.threshold
    table = gates(model, PROMPT.replace("{}", NAMES[1]), view)
    assert table["fires"].any() and set(table[table["fires"]]["subject"]) == {SUBJECT}


def test_the_edits_own_prompt_answers_as_without_the_pathway():
    model = tiny_model("llama")
    patches = rome(model)
    made = refine(model, LESSONS, patches, config=replace(QUICK, steps=150))
    text = PROMPT.replace("{}", SUBJECT)
    edited, view = BASE.with_patches(patches), BASE.with_patches([*patches, *made.pathways]).with_threshold(0.7)
    torch.testing.assert_close(model.logits([text], view), model.logits([text], edited), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("recipe", ["default", "published"])
def test_the_same_lessons_give_the_same_pathway(recipe):
    first, again = tiny_model("llama"), tiny_model("llama")
    config = replace(QUICK, recipe=recipe)
    made = [refine(model, LESSONS, rome(model), config=config).pathways[0] for model in (first, again)]
    for field in fields(Pathway):
        a, b = (getattr(own, field.name) for own in made)
        assert a == b if isinstance(a, int | str) else torch.equal(a, b)


def test_the_own_key_of_an_edit_in_a_chat_stays_where_it_is():
    model, form = tiny_model("llama"), Form("Question: ", " Answer:")
    key = model.keys([model.locate(PROMPT, SUBJECT, form=form)], [1])[1][0]
    own, bare = (refine(model, LESSONS, rome(model), config=QUICK, form=one).pathways[0] for one in (form, BARE))
    still = [(one.moved(key[None])[0] - key).norm() for one in (own, bare)]
    assert still[0] < 1e-4 * key.norm() < 1e-2 * still[1]


@pytest.mark.parametrize("recipe", ["default", "published"])
def test_an_edit_in_a_chat_learns_from_questions_in_the_chat_alone(recipe, monkeypatch):
    model, form, read_ = tiny_model("llama"), Form("Question: ", " Answer:"), []
    patches, spans = rome(model), type(model.tok).spans
    monkeypatch.setattr(type(model.tok), "spans", lambda tok, text: read_.append(text) or spans(tok, text))
    refine(model, LESSONS, patches, config=replace(QUICK, recipe=recipe), form=form)
    about = [text for text in read_ if "belongs to the continent" in text or "The capital of" in text]
    assert len(about) > 20 and all(text.startswith(form.before) and text.endswith(form.after) for text in about)


def test_lessons_in_a_form_have_the_names_where_they_stand_and_what_is_before_them_once():
    model, form = shared_model("llama"), Form("Question: ", " Answer:")
    found = read(model, LESSONS, ("",), 1, BASE, 0, form)
    opened = found.keys[found.positive]
    for name in NAMES[:2]:
        (key,) = model.keys([model.locate(PROMPT, name, form=form)], [1])[1]
        assert (opened - key).norm(dim=1).min() < 1e-3 * key.norm()
    first = model.keys([model.locate("{} a", "Question")], [1])[1][0]
    assert int(((found.keys - first).norm(dim=1) < 1e-3 * first.norm()).sum()) == 1


def test_a_second_edit_of_the_subject_takes_the_pathway_over():
    model = tiny_model("llama")
    first = refine(model, LESSONS, rome(model), config=QUICK)
    again = refine(model, replace(LESSONS, prompt="{} is"), rome(model), BASE.with_patches(first.pathways), QUICK)
    assert again.pathways[0] is first.pathways[0] and again.reused == 1
    other = refine(model, replace(LESSONS, subject="France"), rome(model), BASE.with_patches(first.pathways), QUICK)
    assert other.pathways[0] is not first.pathways[0] and other.reused == 0


@pytest.mark.parametrize("recipe", ["default", "published"])
def test_an_edit_of_several_layers_gets_a_pathway_at_each_and_upper_ones_see_the_lower(recipe, tmp_path):
    model = tiny_model("llama")
    model.statistics = (tmp_path,)
    collect(model, [1, 2], " ".join(PROSE * 40), 800, tmp_path)
    config = methods.config_for("memit", model, layers=(1, 2), steps=5, preserved=1.0)
    edited = methods.get("memit").edit(model, [EditRequest(PROMPT, SUBJECT, "people")], config=config)
    made = refine(model, LESSONS, edited.patches, config=replace(QUICK, recipe=recipe))
    assert [own.layer for own in made.pathways] == [1, 2]
    if recipe == "default":
        below = BASE.with_patches([*edited.patches, made.pathways[0]]).with_threshold(QUICK.threshold)
        key = model.keys([model.locate(PROMPT, SUBJECT)], [2], below)[2][0]
        torch.testing.assert_close(made.pathways[1].b, QUICK.share * key)


def test_the_published_recipe_has_the_authors_shapes_and_starts_where_they_start():
    model = tiny_model("llama")
    own = refine(model, LESSONS, rome(model), config=replace(QUICK, recipe="published")).pathways[0]
    assert own.U.shape == (64, 32) and own.V.shape == (32, 64) and own.H.shape == (6, 64)
    assert torch.equal(own.b, torch.zeros(64))
    at_start = own.gate(torch.zeros(1, 64))
    assert 0.3 < at_start.item() < 0.7


def test_the_published_recipe_draws_names_towards_the_edits_direction():
    model = tiny_model("llama")
    patches = rome(model)
    own = refine(model, LESSONS, patches, config=replace(QUICK, recipe="published")).pathways[0]
    keys = model.keys([model.locate(PROMPT, name) for name in NAMES], [1])[1]
    u = patches[0].A[0] / patches[0].A[0].norm()

    def along(k):
        return (k / k.norm(dim=1, keepdim=True)) @ u

    assert (along(own.moved(keys)) > along(keys)).all()


def test_a_key_that_does_not_hear_its_edit_is_refused():
    model = shared_model("llama")
    key = model.keys([model.locate(PROMPT, SUBJECT)], [1])[1][0]
    u = torch.randn(model.d_ff)
    u -= (u @ key) / (key @ key) * key
    with pytest.raises(DegenerateKey, match="does not hear"):
        refine(model, LESSONS, [LowRank(1, u[None], torch.randn(model.d_model, 1))], config=QUICK)


def test_refining_can_be_stopped_and_says_where_it_is():
    model, told = shared_model("llama"), []
    refine(model, LESSONS, rome(model), config=replace(QUICK, steps=2), progress=lambda f, text: told.append((f, text)))
    assert told[0][1] == "REP: keys of layer 1" and "the gate learns" in told[-1][1]
    with pytest.raises(Cancelled):
        refine(model, LESSONS, rome(model), config=QUICK, cancel=lambda: True)


# Lessons of a case


def test_a_case_teaches_its_in_domain_half_and_nothing_of_what_is_judged():
    model = shared_model("llama")
    names = tuple(f"name number {n}" for n in range(6))
    relation = Relation("P30", "continent", (PROMPT, "{} lies in"))
    subjects = (SUBJECT, "New France", "New Brazil", "Kenya", "Japan", "Korea")
    facts = FactBase(tuple(Fact(s, "P30", "Europe") for s in subjects), {"P30": relation}, {})
    case = EditCase(
        EditRequest(PROMPT, SUBJECT, "Antarctica", "Europe"),
        "case",
        "P30",
        rephrases=names,
        neighbours=(Expectation("Kenya lies in", "Africa", "Kenya"),),
        same_subject=(Expectation(f"{SUBJECT} lies in", "Europe", SUBJECT),),
    )
    taught = lessons(model, case, Passages(("inside",), ("outside",)), facts)
    assert set(names[:3]) < set(taught.names) and not set(names[3:]) & set(taught.names)
    assert taught.passages == ("inside",)
    assert SUBJECT not in taught.others and "Kenya" not in taught.others
    assert taught.others[:2] == ("New France", "New Brazil")
    assert "{} lies in" not in taught.prompts
    assert taught == lessons(model, case, Passages(("inside",), ("outside",)), facts)
    assert "Antarctica" not in repr(taught)
