"""A check-up's figures against the same ones worked out on a copy of the model with the edits in its weights, in float64."""

import copy
import itertools
import math
from dataclasses import replace

import pytest
import torch
from tiny_models import TEXTS, hooks_of, precise_model, random_view

from editlab.errors import Cancelled
from editlab.facts import EditRequest
from editlab.insight import Question, attention
from editlab.insight.checkup import LOOKS, METRICS, PASSAGES, PROMPTS, Ability, Checkup, Reference, checkup
from editlab.insight.holding import CONTEXT, Watched, held
from editlab.lab.workspaces.alarms import AlarmLimits, table_of
from editlab.patches import BASE, LowRank, View
from editlab.probes import ability, matching
from editlab.probes.matching import trimmed

PROSE = (TEXTS / "chapter1.txt").read_text(encoding="utf-8")
TEXT = tuple(PROSE[start : start + 240] for start in (0, 500, 1000))
ASKED = ("{} belongs to the continent of", "The capital of {} is", "{} is a country in", "People in {} speak")
SUBJECTS = ("Slovenia", "France", "Japan", "Brazil", "Kenya", "Peru", "Ghana", "Norway", "Egypt")
NEAR = 1e-5


@pytest.fixture(scope="module")
def model():
    return precise_model("llama")


def says(model, text, view=BASE):
    """What the model says next, where the tokenizer cuts that word as one token again; else None."""
    for token, _ in model.top(text, view, 1):
        return token.strip() if token.strip() and model.score([text], [token.strip()], view)[0].hit else None


@pytest.fixture(scope="module")
def known(model):
    """(prompt, object, subject) that the random model says all by itself."""
    asked = [(prompt.replace("{}", subject), subject) for prompt in ASKED for subject in SUBJECTS]
    found = [(text, said, subject) for text, subject in asked if (said := says(model, text))]
    assert len(found) >= 6
    return tuple(found)


@pytest.fixture(scope="module")
def reference(model, facts, known):
    return replace(Reference.of(model, facts, TEXT), facts=known)


@pytest.fixture(scope="module")
def watched():
    requests = [EditRequest(ASKED[0], subject, "Antarctica") for subject in SUBJECTS[:3]]
    return [Watched(str(n), own, (own.text, f"{CONTEXT} {own.text}", f"So {own.text}")) for n, own in enumerate(requests)]


@pytest.fixture(scope="module")
def view(model):
    return random_view(model, 3)


@pytest.fixture(scope="module")
def found(model, watched, view, reference):
    return checkup(model, watched, view, reference)


@pytest.fixture(scope="module")
def edited(model, view):
    """A copy of the network with the view's patches in its weights."""
    hf = copy.deepcopy(model.hf)
    with torch.no_grad():
        for layer, delta in deltas(view).items():
            hf.model.layers[layer].mlp.down_proj.weight += delta
    return hf


def deltas(view):
    """{layer: dW} of all patches, each as a whole matrix."""
    sums = {}
    for patch in view.patches:
        own = patch.B.double() @ patch.A.double() if isinstance(patch, LowRank) else patch.D.double()
        sums[patch.layer] = sums.get(patch.layer, 0) + own
    return sums


@torch.no_grad()
def log_p(hf, ids):
    return hf(torch.tensor([ids])).logits[0].double().log_softmax(-1)


# --- the formulas ---------------------------------------------------------------------------------------------------


def test_kl_is_that_from_the_model_without_edits_to_this_one(model, edited, reference, found):
    ids = [model.tok.encode(text) for text, _, who in reference.prompts if who not in SUBJECTS[:3]][:PROMPTS]
    pairs = [(log_p(model.hf, row)[-1], log_p(edited, row)[-1]) for row in ids]
    expected = sum((base.exp() * (base - now)).sum().item() for base, now in pairs) / len(pairs)
    assert found.kl == pytest.approx(expected, rel=NEAR) and found.kl > 0.1 and len(pairs) == PROMPTS


def test_what_the_edits_are_about_does_not_count_in_kl(model, reference):
    """A model is not worn by saying what it was told to say."""
    text, said, who = reference.prompts[0]
    request = EditRequest(text.replace(who, "{}"), who, "Antarctica", said)
    own = replace(reference, prompts=reference.prompts[:2], log_p=reference.log_p[:2])
    edited = [Watched("a", request, (text, text, text))]
    loud = View((random_view(model, 3).patches[0],))
    alone = replace(own, prompts=own.prompts[1:], log_p=own.log_p[1:])
    assert checkup(model, edited, loud, own).kl == checkup(model, edited, loud, alone).kl
    nothing = replace(own, prompts=own.prompts[:1], log_p=own.log_p[:1])
    assert checkup(model, edited, loud, nothing).kl is None


def test_loss_is_nats_a_token_on_the_rest_of_each_passage(model, edited, reference, found):
    for hf, loss in ((model.hf, found.loss_base), (edited, found.loss)):
        total, count = 0.0, 0
        for begin, rest in reference.passages:
            ids, start = model.tok.with_target(begin, rest)
            table = log_p(hf, ids)
            total -= sum(table[place - 1, ids[place]].item() for place in range(start, len(ids)))
            count += len(ids) - start
        assert loss == pytest.approx(total / count, rel=NEAR)
    assert [f"{begin} {rest}" for begin, rest in reference.passages] == [" ".join(text.split()) for text in TEXT]
    assert len(TEXT) <= PASSAGES


def test_relative_norm_is_that_of_the_whole_matrix_where_it_is_largest(model, view, found):
    ratios = {layer: (own.norm() / model.weight(layer).double().norm()).item() for layer, own in deltas(view).items()}
    assert found.relative_norm == pytest.approx(max(ratios.values()), rel=NEAR) and len(set(ratios.values())) == 3


def test_relative_norm_of_low_ranks_needs_no_matrix_and_is_the_same(model, watched, reference):
    generator = torch.Generator().manual_seed(1)
    patches = [
        LowRank(2, torch.randn(1, model.d_ff, generator=generator), torch.randn(model.d_model, 1, generator=generator))
        for _ in range(7)
    ]
    view = View(tuple(patches))
    expected = (deltas(view)[2].norm() / model.weight(2).double().norm()).item()
    assert checkup(model, watched, view, reference).relative_norm == pytest.approx(expected, rel=NEAR)


def test_value_norm_is_how_loud_the_edits_are_at_their_own_subjects(model, edited, view, watched, found):
    loudest, keys = [], {}

    def keep(layer):
        return lambda _module, inputs: keys.update({layer: inputs[0][0]})

    for layer in deltas(view):
        edited.model.layers[layer].mlp.down_proj.register_forward_pre_hook(keep(layer))
    for own in watched:
        end = len(model.tok.encode(own.request.subject))  # the prompt begins with it
        log_p(edited, model.tok.encode(own.request.text))
        ratios = []
        for layer, delta in deltas(view).items():
            key = keys[layer][end - 1].double()
            ratios.append(((delta @ key).norm() / (model.weight(layer).double() @ key).norm()).item())
        loudest.append(max(ratios))
    assert found.value_norm == pytest.approx(sorted(loudest)[1], rel=NEAR)


def test_attention_is_how_much_more_the_layers_above_look_at_the_subjects(model, view, watched, found):
    more = []
    for own in watched:
        table = attention(model, {"base": BASE, "now": view}, Question.of(model, own.request))
        above = table[table["layer"] > min(view.laid)].pivot(index=["layer", "head"], columns="view", values="weight")
        more.append((above["now"] - above["base"]).mean())
    assert len(watched) <= LOOKS and found.attention == pytest.approx(sum(more) / len(more), rel=NEAR)


# --- what is asked --------------------------------------------------------------------------------------------------


def test_an_edit_holds_by_its_own_question_and_a_batch_by_the_share_of_its_own(model, view, reference):
    asked = [subject for subject in SUBJECTS if says(model, f"{subject} is", view)]
    assert len(asked) >= 3
    requests = [EditRequest("{} is", subject, says(model, f"{subject} is", view)) for subject in asked[:3]]
    wrong = replace(requests[2], target_new="Antarctica")
    rows = [("one", requests[0]), ("batch", requests[1]), ("batch", wrong), ("wrong", wrong)]
    found = checkup(model, [Watched(id, own, (own.text,) * 3) for id, own in rows], view, reference)
    assert found.edits == {"one": (1.0, 1.0), "batch": (0.5, 0.5), "wrong": (0.0, 0.0)}
    assert found.holds == found.retention == 0.5  # of four requests


def test_what_is_written_is_what_the_model_goes_on_with_by_itself(model, view, reference):
    """A hit whose word goes on is none when it is written."""
    rows, expected = [], []
    for prompt, subject in itertools.product((*ASKED, "{} is", "{} and"), SUBJECTS):
        if name := says(model, prompt.replace("{}", subject), view):
            request = EditRequest(prompt, subject, name)
            *_, (written,) = model.generate([request.text], view, 6)
            rows.append(Watched(f"{len(rows)}", request, (request.text,) * 3))
            expected.append(matching.says(trimmed(written, [name]), [name]))
    right = rows[expected.index(True)]
    wrong = replace(right, request=replace(right.request, target_new="Antarctica"))
    alias = replace(wrong, aliases=right.names)
    found = held(model, [*rows, wrong, alias], view, lambda: None)
    assert [one.written for one in found] == [*expected, False, True] and set(expected) == {True, False}
    assert [one.said[0] for one in found] == [True] * len(rows) + [False, False]
    assert checkup(model, [*rows, wrong], view, reference).generated == pytest.approx(sum(expected) / (len(rows) + 1))


def test_facts_of_the_edited_subjects_are_not_counted_as_those_of_others(model, watched, view, reference):
    edited = {own.request.subject for own in watched}
    others = [(text, said) for text, said, who in reference.facts if who not in edited]
    hits = [score.hit for score in model.score(*map(list, zip(*others, strict=True)), view)]
    found = checkup(model, watched, view, reference)
    assert 0 < len(others) < len(reference.facts) and found.locality == pytest.approx(sum(hits) / len(hits))


def test_ability_is_what_became_of_the_right_answers(model, edited, watched, view, facts):
    choices = ability.without(ability.facts(), SUBJECTS)[:24]
    named = replace(choices[0], text="Slovenia is in")
    reference = Reference.of(model, facts, TEXT, choices=[*choices, named])

    def right(hf, choice):
        per_letter = []
        for option in choice.options:
            ids, start = model.tok.with_target(choice.text, f" {option}")
            table = log_p(hf, ids)
            per_letter.append(sum(table[at - 1, ids[at]].item() for at in range(start, len(ids))) / len(option))
        return per_letter.index(max(per_letter)) == choice.right

    pairs = [(right(model.hf, choice), right(edited, choice)) for choice in choices]
    found = checkup(model, watched, view, reference).ability
    lost, gained = pairs.count((True, False)), pairs.count((False, True))
    assert found == Ability(len(choices), sum(before for before, _ in pairs), lost, gained) and lost + gained > 0
    assert found.share == sum(now for _, now in pairs) / len(pairs)
    assert checkup(model, watched, BASE, reference).ability == Ability(len(choices), found.before, 0, 0)


def test_other_facts_of_an_edited_subject_count_where_they_were_known(model, watched, known, reference):
    text, said, _ = known[0]
    own = replace(watched[0], same_subject=((text, said, "Slovenia"), (text, "Antarctica", "Slovenia")))
    assert checkup(model, [own], BASE, reference).same_subject == 1.0
    lost = replace(own, same_subject=((text, "Antarctica", "Slovenia"),))
    assert checkup(model, [lost], BASE, reference).same_subject is None
    other = replace(watched[1], ended=frozenset({("Slovenia", said)}))
    assert checkup(model, [own, other], BASE, reference).same_subject is None


def test_a_fact_that_another_edit_means_to_end_is_none_that_stays(facts):
    capital = EditRequest("{} has its capital in", "Slovenia", "Rome")
    continent = EditRequest("{} belongs to the continent of", "Slovenija", "Antarctica")
    first, second = Watched.of("a", capital, facts), Watched.of("b", continent, facts)
    assert ("Slovenia", "Ljubljana") in first.ended and ("Slovenia", "Europe") in second.ended
    assert "Ljubljana" in {said for _, said, _ in second.same_subject}
    kept = {(who, said) for _, said, who in (*first.same_subject, *second.same_subject)} - first.ended - second.ended
    assert kept and not {said for _, said in kept} & {"Ljubljana", "Europe"}


def test_three_prompts_of_which_the_first_is_its_own(facts):
    known = Watched.of("a", EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica"), facts)
    assert known.prompts[0] == "Slovenia belongs to the continent of" and len(set(known.prompts)) == 3
    assert known.same_subject and not any(text.startswith(CONTEXT) for text in known.prompts)
    strange = Watched.of("b", EditRequest("{} eats", "Zyx", "stones"), facts)
    assert strange.prompts[0] == "Zyx eats" and len(set(strange.prompts)) == 3 and not strange.same_subject
    assert all(text.endswith("Zyx eats") for text in strange.prompts)


# --- what it is for -------------------------------------------------------------------------------------------------


def row_of(found: Checkup) -> dict[str, float | None]:
    """What the monitor keeps of it."""
    row = {name: getattr(found, name) for name in (*METRICS, "loss_base", "seconds")}
    return table_of([row | {"number": 1, "at": "", "count": 1}]).iloc[0].to_dict()


def test_without_edits_everything_is_as_it_was(model, watched, reference):
    found = checkup(model, watched, BASE, reference)
    assert (found.locality, found.kl, found.relative_norm, found.value_norm) == (1.0, pytest.approx(0, abs=1e-12), 0.0, None)
    assert found.loss == pytest.approx(found.loss_base, rel=1e-12) and found.attention == pytest.approx(0, abs=1e-12)


def test_a_broken_view_is_seen(model, watched, reference):
    generator = torch.Generator().manual_seed(2)
    loud = 300 * torch.randn(model.d_model, 8, generator=generator)
    broken = View((LowRank(1, torch.randn(8, model.d_ff, generator=generator), loud),))
    found = checkup(model, watched, broken, reference)
    assert {"locality", "kl", "holds"} <= set(AlarmLimits().exceeded(row_of(found)))
    assert found.relative_norm > 100 and found.value_norm > 10


def test_what_is_no_number_is_beyond_every_limit(model, watched, reference):
    broken = View((LowRank(1, torch.full((1, model.d_ff), math.nan), torch.ones(model.d_model, 1)),))
    found = checkup(model, watched, broken, reference)
    assert math.isnan(found.kl) and math.isnan(found.loss)
    assert {"locality", "loss", "kl", "holds"} <= set(AlarmLimits().exceeded(row_of(found)))


def test_the_same_is_found_again(model, watched, view, found, facts, known):
    anew = replace(Reference.of(model, facts, TEXT), facts=known)
    assert replace(checkup(model, watched, view, anew), seconds=found.seconds) == found


def test_it_stops_and_leaves_nothing_behind(model, watched, view, reference):
    calls = iter([False, False, True])
    with pytest.raises(Cancelled):
        checkup(model, watched, view, reference, cancel=lambda: next(calls, True))
    assert hooks_of(model) == 0 and model.hf.config._attn_implementation == "sdpa"


def test_progress_goes_forward(model, watched, view, reference):
    seen = []
    checkup(model, watched, view, reference, progress=lambda fraction, text: seen.append((fraction, text)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[0] == 0 and all(text.startswith("check-up: ") for _, text in seen)
