"""What happens inside, in its details: the question, planted attention and contributions, masks by hand, many edits."""

import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from tiny_models import TEXTS, shared_model, tiny_model

from editlab import methods
from editlab.errors import BadRequest, Cancelled
from editlab.facts import EditRequest
from editlab.insight import Question, attention, concentration, contributions, logit_lens, loudness, mask_structure
from editlab.insight.loudness import Loudness, keys, loud, rows, summary
from editlab.insight.site import locate_subject
from editlab.insight.stream import MOST_TOKENS
from editlab.insight.tracing import Traced
from editlab.methods.mask import ReversalMask
from editlab.patches import BASE, Dense, Mask, View

REQUEST = EditRequest("The river runs to {} and then", "Slovenia", "people", "with")
PROSE = (TEXTS / "chapter1.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def model():
    return shared_model("llama")


# --- the question ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2"])
def test_the_objects_are_read_at_their_first_token_after_the_text_and_never_alone(kind):
    model = shared_model(kind)
    question = Question.of(model, REQUEST)
    ids = model.tok.encode(f"{REQUEST.text} people")
    assert question.new == ids[len(model.tok.encode(REQUEST.text))]
    assert question.objects == {"new": question.new, "true": question.true}
    assert question.new != model.tok.encode("people")[0] or kind == "mistral"


def test_places_are_counted_from_the_end(model):
    question = Question.of(model, REQUEST)
    ids = model.tok.encode(REQUEST.text)
    located = model.locate(REQUEST.prompt, REQUEST.subject)
    assert len(ids) - question.subject == located.index
    assert (question.at, question.token) == (1, "␣then")
    assert question.looked_at(question.subject).token == "a"
    assert question.tokens == tuple(model.tok.decode([i]).replace(" ", "␣") for i in ids)


def test_behind_a_space_the_token_is_looked_at_behind_which_the_object_begins(model):
    spaced = replace(REQUEST, prompt=f"{REQUEST.prompt} ")
    question, plain = Question.of(model, spaced), Question.of(model, REQUEST)
    assert (question.at, question.token, question.objects) == (2, plain.token, plain.objects)
    said, lens = (logit_lens(model, {"base": BASE}, own) for own in (plain, question))
    assert lens[lens["back"] == 2]["p_true"].tolist() == pytest.approx(said[said["back"] == 1]["p_true"].tolist(), rel=1e-4)
    assert Traced.of(model, spaced) == Traced.of(model, REQUEST)


def test_a_subject_is_not_found_within_a_longer_word(model):
    request = EditRequest("{} lies north of Nigeria and", "Niger", "people")
    ids, own = model.tok.encode(request.text), model.locate(request.prompt, request.subject)
    assert len(ids) - Question.of(model, request).subject == own.index
    assert locate_subject(model, "In Nigeria", "Niger").index == model.tok.locate("In Nigeria", 3, 8).index, "nothing else"


@pytest.mark.parametrize("at", [0, -1, 65, 1000])
def test_a_token_that_is_not_there_is_refused(model, at):
    with pytest.raises(BadRequest, match="Choose one of the last"):
        Question.of(model, REQUEST, at=at)


def test_of_a_long_text_the_last_tokens_are_looked_at_and_the_subject_is_found_all_the_same(model):
    text = f"{REQUEST.text} {PROSE[:400]}"
    question = Question.of(model, REQUEST, text)
    assert len(question.tokens) == MOST_TOKENS and question.subject > MOST_TOKENS
    frame = logit_lens(model, {"base": BASE}, question)
    assert len(frame) == MOST_TOKENS * (model.n_layers + 1)
    assert set(frame["back"]) == set(range(1, MOST_TOKENS + 1))
    assert len(attention(model, {"base": BASE}, question)) == 16


def test_without_a_true_object_its_columns_are_unknown_and_the_rest_stands(model):
    question = Question.of(model, EditRequest(REQUEST.prompt, REQUEST.subject, REQUEST.target_new))
    lens, parts = logit_lens(model, {"base": BASE}, question), contributions(model, {"base": BASE}, question)
    assert lens["p_true"].isna().all() and lens["logit_true"].isna().all() and lens["p_new"].notna().all()
    assert parts["true"].isna().all() and parts["raw_true"].isna().all()
    assert parts["new"].sum() == pytest.approx(model.logits([REQUEST.text])[0, question.new].item(), abs=1e-3)


def test_attention_needs_a_subject_before_the_token_that_is_looked_at(model):
    with pytest.raises(BadRequest, match="does not name Slovenia"):
        attention(model, {"base": BASE}, Question.of(model, REQUEST, "The river runs to"))
    question = Question.of(model, REQUEST)
    with pytest.raises(BadRequest, match="stands behind the token"):
        attention(model, {"base": BASE}, question.looked_at(question.subject + 1))
    own = attention(model, {"base": BASE}, question.looked_at(question.subject))
    assert (own["weight"] > 0).all(), "a token looks at itself"


def test_attention_of_many_views_in_small_batches_is_the_same(model, monkeypatch):
    views = {f"view {n}": View((Dense(1, 0.1 * n * torch.ones(model.d_model, model.d_ff)),)) for n in range(3)}
    together = attention(model, views, Question.of(model, REQUEST))
    monkeypatch.setattr(sys.modules["editlab.insight.attention"], "WEIGHTS_AT_ONCE", 1)
    pd.testing.assert_frame_equal(together, attention(model, views, Question.of(model, REQUEST)), rtol=1e-4)


def test_logits_in_pieces_are_the_same(model, monkeypatch):
    together = logit_lens(model, {"base": BASE}, Question.of(model, REQUEST))
    monkeypatch.setattr(sys.modules["editlab.insight.logit_lens"], "LOGITS_AT_ONCE", 1)
    pd.testing.assert_frame_equal(together, logit_lens(model, {"base": BASE}, Question.of(model, REQUEST)), rtol=1e-4)


def test_what_is_planted_in_an_mlp_is_found_in_its_row_alone(model):
    """A patch of the last layer reaches nothing but its own MLP's output, and the scale of the final norm."""
    question = Question.of(model, REQUEST)
    last = model.n_layers - 1
    direction = model.hf.get_output_embeddings().weight[question.new]
    patch = Dense(last, 5.0 * direction[:, None] * torch.ones(1, model.d_ff) / model.d_ff)
    frame = contributions(model, {"base": BASE, "edited": View((patch,))}, question).set_index(["view", "part", "layer"])
    raw = frame["raw_new"].unstack("view")
    moved = (raw["edited"] - raw["base"]).abs()
    assert moved.idxmax() == ("mlp", last) and moved[("mlp", last)] > 1e-2
    assert (moved.drop(index=("mlp", last)) < 1e-5).all()


# --- the mask -------------------------------------------------------------------------------------------------------


def test_the_structure_of_a_mask_by_hand():
    kept = torch.ones(4, 10, dtype=torch.bool)
    kept[2, :8] = False
    kept[0, 9] = False
    frame = mask_structure([Mask(3, kept)])
    output, key = frame[frame["axis"] == "output"], frame[frame["axis"] == "key"]
    assert output["dimension"].tolist() == [2, 0, 1, 3]
    assert output["pruned"].tolist() == pytest.approx([0.8, 0.1, 0.0, 0.0])
    assert key["pruned"].tolist() == pytest.approx([0.25] * 9 + [0.0]) and key["dimension"].iloc[-1] == 8
    assert set(frame["layer"]) == {3} and set(output["entries"]) == {10} and set(key["entries"]) == {4}
    uneven = concentration(frame).set_index("axis")
    p, spread = 9 / 40, torch.tensor([0.8, 0.1, 0.0, 0.0]).std(correction=0).item()
    assert uneven.loc["output", "pruned"] == pytest.approx(p)
    assert uneven.loc["output", "spread"] == pytest.approx(spread / math.sqrt(p * (1 - p) / 10))
    assert uneven.loc["output", "dimension"] == 2 and uneven.loc["output", "most"] == pytest.approx(0.8)
    assert uneven.loc["output", "tenth"] == pytest.approx(0.8 / 0.9) and uneven.loc["key", "spread"] < 1


def test_a_random_mask_is_spread_as_chance_has_it_and_its_most_pruned_dimension_is_near_what_is_told():
    generator = torch.Generator().manual_seed(0)
    uneven = concentration(mask_structure([Mask(0, torch.rand(256, 1024, generator=generator) > 0.1)]))
    for row in uneven.to_dict("records"):
        assert row["spread"] == pytest.approx(1, abs=0.1)
        assert row["most"] == pytest.approx(row["chance"], rel=0.15)
        assert row["tenth"] < 0.2


def test_a_mask_that_prunes_nothing_has_no_spread():
    uneven = concentration(mask_structure([Mask(0, torch.ones(4, 6, dtype=torch.bool))]))
    assert uneven["spread"].isna().all() and (uneven["pruned"] == 0).all()


# --- many edits -----------------------------------------------------------------------------------------------------

REQUESTS = [EditRequest("The river runs to {}", name, "people", "with") for name in ("Slovenia", "Rome", "Ana")]


@pytest.fixture(scope="module")
def found():
    model = tiny_model("llama")
    model.preset = {"rome": {"layers": [1], "steps": 3, "kl": 0.0, "clamp": 20.0}}
    generator = torch.Generator().manual_seed(0)
    mask = ReversalMask("rome", (Mask(1, torch.rand(model.d_model, model.d_ff, generator=generator) > 0.1),), {})
    return model, mask, list(rows(model, REQUESTS, "rome", mask))


def test_a_row_holds_a_case_in_all_its_views(found):
    model, mask, cases = found
    assert [case.subject for case in cases] == ["Slovenia", "Rome", "Ana"]
    edited = View(tuple(methods.get("rome").edit(model, REQUESTS[1:2])))
    case, masked = cases[1], edited.with_patches(mask.masks)
    views = {"base": BASE, "edited": edited, "masked": masked, "base_masked": View(mask.masks)}
    assert case.p_new.keys() == views.keys()
    for view, patches in views.items():
        new, true = model.score([REQUESTS[1].text] * 2, ["people", "with"], patches)
        assert (case.p_new[view], case.p_true[view]) == (pytest.approx(new.p, rel=1e-3), pytest.approx(true.p, rel=1e-3))
    parts = pd.DataFrame(case.parts, columns=["view", "part", "layer", "new", "true"])
    question = Question.of(model, REQUESTS[1])
    logits = model.logits([REQUESTS[1].text], masked)[0]
    assert parts.loc[parts["view"] == "masked", "new"].sum() == pytest.approx(logits[question.new].item(), abs=1e-2)


def test_rows_are_kept_as_lines_and_gone_on_with(found):
    model, mask, cases = found
    assert [Loudness.from_json(case.as_json()) for case in cases] == cases
    done = {cases[0].key, cases[2].key}
    assert [case.key for case in rows(model, REQUESTS, "rome", mask, done)] == [cases[1].key]
    others = {case.key for case in rows(model, REQUESTS[:1], "rome", None)}
    turned = ReversalMask("rome", (Mask(1, mask.masks[0].kept.flip(0)),), {})
    others |= {case.key for case in rows(model, REQUESTS[:1], "rome", turned)}
    assert len(others) == 2 and not others & {case.key for case in cases}, "another mask makes another row"


def test_a_case_that_cannot_be_edited_says_why_and_is_not_counted(found):
    model, mask, cases = found
    broken = EditRequest("The river runs to {}", "Slovenia", "x" * 900, "with")
    (row,) = rows(model, [broken], "rome", mask)
    assert row.skipped and not row.parts
    pd.testing.assert_frame_equal(loud([*cases, row]), loud(cases))
    pd.testing.assert_frame_equal(summary([*cases, row]), summary(cases))
    assert loud([row]).empty and summary([row]).empty
    with pytest.raises(BadRequest, match="no true object"):
        next(rows(model, [EditRequest("The river runs to {}", "Rome", "people")]))
    with pytest.raises(Cancelled):
        next(rows(model, REQUESTS, "rome", mask, cancel=lambda: True))


def case(before, after, parts=(), **views):
    p_new, p_true = {"base": 0.0, "edited": after}, {"base": before, "edited": 0.0}
    return Loudness("k", "S", "N", "T", p_new | views.get("new", {}), p_true | views.get("true", {}), list(parts))


def test_what_shapes_an_edit_is_in_the_keys_of_its_row(found, monkeypatch):
    model, mask, cases = found
    own = keys(model, REQUESTS, "rome", mask)
    assert own == [case.key for case in cases]
    monkeypatch.setattr(loudness.statistics, "find", lambda model, layer: SimpleNamespace(sha256="measured"))
    assert not {*own} & {*keys(model, REQUESTS, "rome", mask)}


def test_loudness_by_hand():
    frame = loud([case(0.1, 0.9), case(0.2, 0.7), case(0.6, 0.5)])
    (row,) = frame.to_dict("records")
    assert row["what"] == "edited" and row["n"] == 3
    assert (row["mean"], row["mean_before"]) == (pytest.approx(0.7), pytest.approx(0.3))
    assert row["louder"] == pytest.approx(2 / 3)
    difference = torch.tensor([0.8, 0.5, -0.1])
    assert row["d"] == pytest.approx((difference.mean() / difference.std()).item())
    masked = {"new": {"masked": 0.1}, "true": {"masked": 0.6}}
    assert loud([case(0.1, 0.9, **masked)])["what"].tolist() == ["edited", "masked", "returned"]
    masked = {"new": {"masked": 0.1, "base_masked": 0.0}, "true": {"masked": 0.6, "base_masked": 0.05}}
    control = loud([case(0.1, 0.9, **masked)]).iloc[-1]
    assert (control["what"], control["mean"], control["mean_before"]) == ("control", 0.05, 0.1)
    assert loud([case(0.1, 0.9)])["d"].isna().all()


def test_the_summary_is_mean_and_standard_error_of_each_part():
    one, two = ([["edited", "mlp", 2, new, 1.0], ["base", "mlp", 2, 0.0, true]] for new, true in ((1.0, 3.0), (4.0, 5.0)))
    frame = summary([case(0, 0, one), case(0, 0, two)]).set_index(["view", "part", "layer"])
    own = frame.loc[("edited", "mlp", 2)]
    assert (own["n"], own["new"], own["new_se"]) == (2, 2.5, pytest.approx(1.5))
    assert (frame.loc[("base", "mlp", 2), "true"], frame.loc[("base", "mlp", 2), "true_se"]) == (4.0, pytest.approx(1.0))


def test_a_case_whose_objects_begin_alike_is_left_out_and_says_why(model):
    request = EditRequest("The river runs to {}", "Slovenia", "the house", "the people")
    (row,) = rows(model, [request])
    assert "begin with the same token" in row.skipped
