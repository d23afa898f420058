"""What the Inside tab does, without a browser, and whether its sentences say what its tables say."""

import re

import gradio as gr
import pandas as pd
import pytest
import torch
from masks import write_mask
from pydantic import TypeAdapter, ValidationError
from visitors import Reader, runs

from editlab import LanguageModel, methods
from editlab.facts import EditRequest
from editlab.insight import Question, attention, concentration, contributions, logit_lens, mask_structure
from editlab.lab.asking import inside
from editlab.methods.mask import Lesson
from editlab.patches import BASE, Mask, View
from editlab.web.core.components import Parts
from editlab.web.core.updates import SHARED
from editlab.web.inside import loudness_words, table, words
from editlab.web.inside.handlers import EditCount, InsideHandlers
from editlab.web.inside.sections import OF_EDIT, OF_MANY, Selection
from editlab.web.inside.tab import create_inside_tab

REQUEST = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
CAPITAL = EditRequest("{} has its capital in", "France", "Rome", "Paris")
SELECTION = Selection(view="edited-base", object="new", form="added")
NAN = float("nan")


class InsideReader(Reader):
    """Somebody who looks at the Inside tab."""

    def opens(self):
        return self.does("inside_open", SELECTION)


@pytest.fixture
def reader(lab, request, few_steps, folder):
    return InsideReader(InsideHandlers(lab), request.node.name[:60], "inside")


# --- handlers -------------------------------------------------------------------------------------------------------


def test_without_an_edit_the_tab_says_what_to_do_and_draws_nothing(reader):
    page = reader.opens()
    assert "Apply an edit first" in page["message"]
    assert not any(reader.draws(section) for section in OF_EDIT)


def test_without_a_mask_everything_else_is_drawn_and_how_to_get_one_is_said(reader):
    reader.applies()
    page = reader.opens()
    for section in OF_EDIT[:-1]:
        assert reader.draws(section), section
        assert len(reader.says(section)) > 40 and "nan" not in reader.says(section)
        assert "mask" not in reader.says(section)
        assert "<table>" in page[f"inside-{section}-table"]
    assert not reader.draws("mask") and "editlab mask train" in reader.says("mask")
    assert "Slovenia → Antarctica, layer" in page["message"] and page["progress"] == ""
    assert page["inside-text"] == "Slovenia belongs to the continent of"
    assert page["inside-token"]["value"] == 1 and page["inside-token"]["choices"][-1][0].endswith("of")
    assert [name for _, name in page["inside-shown"]["choices"]] == ["edited-base", "base", "edited"]


def test_with_a_mask_it_is_a_view_of_its_own_though_its_switch_is_off(reader, tiny_llama, folder):
    write_mask(tiny_llama, folder)
    reader.applies()
    page = reader.opens()
    assert not reader.workspace.masked and "masked" not in reader.workspace.views
    for section in ("lens", "tokens", "contributions", "attention"):
        assert "nder the mask" in reader.says(section) or section == "tokens", section
        named = "Edited model" if section == "tokens" else "Edited + mask"
        assert named in page[f"inside-{section}-table"]
    assert reader.draws("mask") and "The mask prunes" in reader.says("mask")
    names = [name for _, name in page["inside-shown"]["choices"]]
    assert names == ["edited-base", "masked-edited", "base", "edited", "masked", "base_masked"]


def test_what_was_computed_is_drawn_again_at_once_until_the_edits_change(reader, monkeypatch):
    reader.applies()
    first = dict(reader.opens())
    monkeypatch.setattr(reader.workspace, "submit", lambda *given: pytest.fail("computed again"))
    assert reader.opens()["inside-lens"] == first["inside-lens"]
    monkeypatch.undo()
    reader.applies(CAPITAL)
    page = reader.opens()
    assert "France → Rome" in page["message"] and "Paris" in reader.says("lens")
    assert page["inside-text"] == "France has its capital in"


def test_a_switched_off_edit_is_not_shown(reader):
    record = reader.applies()
    reader.opens()
    reader.workspace.switch(record.id, False)
    assert "switched off" in reader.opens()["message"]
    assert not any(reader.draws(section) for section in OF_EDIT) and reader.page["inside-lens"] == ""


def test_a_text_of_ones_own_is_looked_into_and_an_empty_one_is_the_edits_again(reader):
    reader.applies()
    reader.opens()
    page = reader.does("inside_look", "The mountains of Slovenia are in the middle of", SELECTION)
    assert page["inside-text"].startswith("The mountains") and len(page["inside-token"]["choices"]) > 8
    assert reader.draws("attention")
    page = reader.does("inside_look", "Nobody is named here, but", SELECTION)
    assert "does not name Slovenia" in reader.says("attention") and not reader.draws("attention")
    assert reader.draws("lens") and reader.opens()["inside-text"].startswith("Nobody")
    assert reader.does("inside_look", "  ", SELECTION)["inside-text"] == REQUEST.text


def test_another_token_is_looked_at_without_reading_the_layers_again(reader, monkeypatch):
    reader.applies()
    reader.opens()
    asked = []
    for name in ("lens", "contributions", "attention", "mask_structure"):
        real = getattr(inside, name)
        monkeypatch.setattr(inside, name, lambda *given, real=real, name=name: (asked.append(name), real(*given))[1])
    before = dict(reader.page)
    page = reader.does("inside_token", 2, SELECTION)
    assert asked == ["contributions", "attention"]
    assert page["inside-token"]["value"] == 2
    token = page["inside-token"]["choices"][-2][0].partition(": ")[2]
    assert f"After “{token.strip('␣')}”" in reader.says("lens")
    assert page["inside-lens"] != before["inside-lens"] and page["inside-contributions"] != before["inside-contributions"]
    for wrong in (99, 0, None):
        assert "Choose one of the last" in reader.does("inside_token", wrong, SELECTION)["message"]


def test_pictures_are_drawn_otherwise_without_computing(reader, tiny_llama, folder, monkeypatch):
    write_mask(tiny_llama, folder)
    reader.applies()
    reader.opens()
    before = dict(reader.page) | {section: reader.figure(section) for section in OF_EDIT}
    monkeypatch.setattr(reader.workspace, "submit", lambda *given: pytest.fail("computed again"))
    page = reader.does("inside_draw", Selection(view="masked", object="true", form="raw"))
    for section in ("tokens", "contributions", "attention"):
        assert reader.figure(section) != before[section], section
    assert page["inside-lens"] == before["inside-lens"]
    reader.does("inside_draw", Selection(view="no such view", object="new", form="added"))
    assert reader.page["inside-tokens-plot"] == before["inside-tokens-plot"]


def test_a_true_object_that_nobody_gave_cannot_be_selected(reader):
    reader.applies(EditRequest("{} is the home of", "Slovenia", "Antarctica"))
    page = reader.does("inside_open", Selection(view="edited-base", object="true", form="added"))
    assert page["inside-which"]["choices"] == [("New object", "new")] and page["inside-which"]["value"] == "new"
    assert reader.draws("tokens") and "nan" not in reader.says("lens")


@pytest.mark.parametrize("wrong", [{"object": "nothing"}, {"form": "no form"}, {"view": 3}, {"other": "new"}])
def test_a_selection_that_the_page_does_not_offer_is_refused(wrong):
    with pytest.raises(ValidationError):
        Selection(**{**SELECTION.model_dump(), **wrong})


def test_every_update_is_of_a_part_that_the_tab_has(reader, lab):
    with gr.Blocks() as page:
        edit = Parts({name: gr.BrowserState() if name == "visitor" else gr.Button() for name in SHARED})
        edit["settings"] = gr.HTML("")
        parts = create_inside_tab(gr.Tab(), lab, edit)
    reader.applies()
    for name, *fields in (
        ("inside_open", SELECTION),
        ("inside_look", "Slovenia lies in", SELECTION),
        ("inside_token", 2, SELECTION),
        ("inside_draw", SELECTION),
        ("inside_many", 3, "new"),
        ("inside_stop",),
    ):
        reader.does(name, *fields)
        assert reader.seen and {part for update in reader.seen for part in update} <= parts.keys(), name
    assert {len(fn.outputs) for fn in page.fns.values()} == {len(set(parts.values()))}


def test_objects_that_begin_with_the_same_token_are_not_compared(reader):
    reader.applies(EditRequest("{} belongs to the continent of", "Slovenia", "Europe again", "Europe"))
    reader.opens()
    assert "begin with the same token" in reader.says("lens") and "tell the two apart" in reader.says("contributions")


def test_many_edits_are_shown_as_they_come_and_can_be_stopped(reader, tiny_llama, folder, monkeypatch):
    write_mask(tiny_llama, folder)
    requests = [EditRequest("{} lies in", name, "the north", "Paris") for name in ("Slovenia", "France", "Spain", "Italy")]
    monkeypatch.setattr("editlab.lab.asking.inside.lessons", lambda *given: [Lesson(request) for request in requests])
    page = reader.does("inside_many", 4, "new")
    assert "Over 4 edits" in reader.says("loudness") and "gains most for the new object" in reader.says("parts")
    assert all(reader.draws(section) for section in OF_MANY)
    assert "Slovenia" in page["inside-loudness-table"] and page["progress"] == ""
    assert [update for update in reader.seen if "of 4" in update.get("progress", "")]
    stopped = []
    for update in runs(reader.handlers, "inside_many", reader.name, 4, "new"):
        stopped.append(update)
        if "inside-loudness-plot" in update and update["inside-loudness-plot"] is not None:
            reader.workspace.stop()
    assert "topped" in stopped[-1]["message"] or "Over 4 edits" in stopped[-2]["inside-loudness"]
    assert stopped[-2]["inside-loudness-plot"] is not None


@pytest.mark.parametrize("count", [1, 201, True, "5", NAN, 2.5])
def test_a_senseless_number_of_edits_is_refused(count):
    with pytest.raises(ValidationError):
        TypeAdapter(EditCount, config={"strict": True}).validate_python(count)


def test_without_a_number_of_edits_the_tab_asks_for_one(reader):
    assert "number from 2 to 200" in reader.does("inside_many", None, "new")["message"]


def test_a_model_that_knows_nothing_says_so(reader):
    assert "knows none" in reader.does("inside_many", 3, "new")["message"]


def test_stop_says_what_it_does(reader):
    assert "Nothing is running" in reader.does("inside_stop")["message"]


# --- sentences ------------------------------------------------------------------------------------------------------


def lens_frame(**views):
    """Rows of `logit_lens` with two tokens: of each view, (p_new, p_true) behind layers -1, 0, 1 at the last token."""
    rows = [
        {"view": view, "layer": layer, "back": back, "token": token, "top": "x", "p_top": 0.5}
        | {"logit_new": 10 * pair[0], "logit_true": 10 * pair[1]}
        | {"p_new": pair[0] if back == 1 else 0.01, "p_true": pair[1] if back == 1 else 0.02}
        for view, pairs in views.items()
        for layer, pair in enumerate(pairs, -1)
        for back, token in ((2, "␣continent"), (1, "␣of"))
    ]
    return pd.DataFrame(rows)


BEFORE, AFTER = [(0.0, 0.0), (0.02, 0.6), (0.01, 0.95)], [(0.0, 0.0), (0.02, 0.5), (0.97, 0.01)]
SUPPRESSED = lens_frame(base=BEFORE, edited=AFTER, masked=[(0.0, 0.0), (0.02, 0.6), (0.2, 0.7)])
NOT_REVERSED = lens_frame(base=BEFORE, edited=AFTER, masked=[(0.0, 0.0), (0.02, 0.5), (0.9, 0.05)])


def test_the_lens_tells_who_leads_in_each_view_for_a_suppressed_and_a_not_reversed_fact():
    said = words.lens(REQUEST, SUPPRESSED, 1)
    assert said == (
        "After “of”: in the base model, Europe leads from layer 0 on and ends at 95 %, Antarctica at 1 %; "
        "in the edited model, Antarctica leads from layer 1 on and ends at 97 %, Europe at 1 %; "
        "under the mask, Europe leads from layer 0 on and ends at 70 %, Antarctica at 20 %. The edit raises the logit of "
        "Antarctica by 19.0 against that of Europe; half of that is there after layer 1."
    )
    said = words.lens(REQUEST, NOT_REVERSED, 1)
    assert "under the mask, Antarctica leads from layer 1 on and ends at 90 %, Europe at 5 %. The edit" in said


def test_half_of_the_change_is_where_it_stays_however_unlikely_both_objects_are():
    base, early = [(1e-9, 1e-9)] * 3, [(1e-9, 1e-9)] * 3
    frame = lens_frame(base=base, edited=early)
    edited = (frame["view"] == "edited") & (frame["layer"] >= 0)
    said = words.lens(REQUEST, frame.assign(logit_new=frame["logit_new"].where(~edited, 4.0)), 1)
    assert "neither leads" in said and "by 4.0 against that of Europe; half of that is there after layer 0." in said
    assert "half" not in words.lens(REQUEST, frame.assign(logit_new=frame["logit_new"].where(~edited, 0.9)), 1)
    assert "half" not in words.lens(REQUEST, lens_frame(base=AFTER), 1)


def test_rep_is_told_where_it_is():
    frame = lens_frame(base=BEFORE, edited=BEFORE, rep=AFTER)
    assert "; with REP, Antarctica leads from layer 1 on and ends at 97 %" in words.lens(REQUEST, frame, 1)
    robust = parts_frame(base=PARTS["base"], edited=PARTS["base"], rep=PARTS["edited"])
    assert "1.5 and 10.5 in the edited model and 14.5 and 2.5 with REP." in words.contributions(REQUEST, robust)


def test_the_lens_does_without_a_lead_and_without_a_true_object():
    assert "neither leads: Antarctica ends at 1 %, Europe at 2 %" in words.lens(REQUEST, SUPPRESSED, 2)
    from_start = lens_frame(base=[(0.1, 0.9)] * 3)
    assert "Europe leads from the start" in words.lens(REQUEST, from_start, 1)
    alone = EditRequest(REQUEST.prompt, "Slovenia", "Antarctica")
    said = words.lens(alone, SUPPRESSED.assign(p_true=NAN), 1)
    assert "in the edited model, Antarctica ends at 97 %" in said and "None" not in said and "Europe" not in said


def test_the_tokens_tell_where_the_new_object_gains_and_what_the_mask_leaves():
    said = words.tokens(REQUEST, SUPPRESSED)
    assert said == ("Antarctica gains most at “of” after layer 1: from 1 % to 97 %, and 20 % under the mask.")
    early = SUPPRESSED.copy()
    early.loc[(early["view"] == "edited") & (early["layer"] == 0) & (early["back"] == 2), "p_new"] = 0.3
    assert "It first gains 10 percentage points at “continent” after layer 0." in words.tokens(REQUEST, early)
    assert "and 90 % under the mask." in words.tokens(REQUEST, NOT_REVERSED)
    still = words.tokens(REQUEST, lens_frame(base=BEFORE, edited=BEFORE))
    assert still == "Antarctica gains less than 10 percentage points over the base model at every token and layer."
    assert "No edit is applied" in words.tokens(REQUEST, lens_frame(base=BEFORE))


def parts_frame(**views):
    """Rows of `contributions`: of each view, what embedding, attention 0, MLP 0, attention 1 and MLP 1 add (new, true)."""
    labels = (("token embedding", -1), ("attention", 0), ("mlp", 0), ("attention", 1), ("mlp", 1))
    rows = [
        {"view": view, "part": part, "layer": layer, "new": new, "true": true, "raw_new": 10 * new, "raw_true": 10 * true}
        for view, pairs in views.items()
        for (part, layer), (new, true) in zip(labels, pairs, strict=True)
    ]
    return pd.DataFrame(rows)


PARTS = {
    "base": [(0.5, 0.5), (0.0, 1.0), (0.5, 2.0), (0.25, 3.0), (0.25, 4.0)],
    "edited": [(0.5, 0.5), (1.0, 1.0), (0.5, 1.0), (9.25, 0.0), (3.25, 0.0)],
}
PARTS_SUPPRESSED = parts_frame(**PARTS, masked=[(0.5, 0.5), (0.5, 1.0), (0.5, 1.0), (2.0, 2.5), (1.0, 3.0)])


def test_contributions_tell_the_part_that_gained_most_and_where_the_logits_end():
    said = words.contributions(REQUEST, PARTS_SUPPRESSED)
    assert said == (
        "The attention of layer 1 adds 9.2 to the logit of Antarctica in the edited model and 0.2 in the base model, the "
        "largest gain of any part. Compared with the base model, all attention together adds 10.0 more and all MLPs 3.0. "
        "Under the mask, the attention of layer 1 adds 2.0. The logits of Antarctica and Europe are 1.5 and 10.5 in the "
        "base model, 14.5 and 2.5 in the edited model and 4.5 and 8.0 under the mask."
    )
    kept = words.contributions(REQUEST, parts_frame(**PARTS, masked=PARTS["edited"]))
    assert "Under the mask, the attention of layer 1 adds 9.2" in kept and "14.5 and 2.5 under the mask" in kept
    assert "mask" not in words.contributions(REQUEST, parts_frame(**PARTS))


def test_contributions_name_the_edits_own_layer_and_do_without_a_true_object():
    moved = parts_frame(base=PARTS["base"], edited=[(0.5, 0.5), (0.0, 1.0), (8.5, 0.0), (0.25, 3.0), (0.25, 4.0)])
    said = words.contributions(REQUEST, moved, (0,))
    assert said.startswith("The MLP of layer 0, which is edited, adds 8.5") and "all MLPs 8.0" in said
    assert "which is edited" not in words.contributions(REQUEST, moved, (1,))
    alone = EditRequest(REQUEST.prompt, "Slovenia", "Antarctica")
    assert words.contributions(alone, moved.assign(true=NAN)).endswith(
        "The logit of Antarctica is 1.5 in the base model and 9.5 in the edited model."
    )
    tiny = parts_frame(base=PARTS["base"], edited=[(-0.01, 0.5), (0.5, 0.0), (0.0, 0.0), (-0.25, 0.0), (-0.25, 0.0)])
    assert "The logits of Antarctica and Europe are 1.5 and 10.5 in the base model and 0.0 and 0.5" in (
        words.contributions(REQUEST, tiny)
    )
    assert "no contribution changes" in words.contributions(REQUEST, parts_frame(base=PARTS["base"]))


def heads_frame(**views):
    rows = [(view, n // 2, n % 2, weight) for view, weights in views.items() for n, weight in enumerate(weights)]
    return pd.DataFrame(rows, columns=["view", "layer", "head", "weight"])


def test_attention_names_the_heads_that_look_more_and_whether_the_mask_turns_them_away():
    base, edited = [0.1, 0.2, 0.12, 0.5], [0.1, 0.4, 0.84, 0.3]
    masked = {"masked": [0.1, 0.2, 0.21, 0.4], "base_masked": [0.1, 0.2, 0.1, 0.2]}
    said = words.attention(REQUEST, heads_frame(base=base, edited=edited, **masked), "␣of")
    assert said == (
        "At “of”, 2 heads attend to Slovenia at least 0.10 more than before: layer 1, head 0 (0.12 → 0.84) and layer 0, "
        "head 1 (0.20 → 0.40). 1 head attends at least 0.10 less, most of all layer 1, head 1 (0.50 → 0.30). The mean over "
        "the 4 heads above the edit goes from 0.230 to 0.410. Under the mask, layer 1, head 0 is at 0.21. The mean is 0.228 "
        "there, and 0.150 with the mask alone."
    )
    above = words.attention(REQUEST, heads_frame(base=base, edited=edited), "␣of", (0,))
    assert (
        "1 head attends to Slovenia at least 0.10 more" in above
        and "2 heads above the edit goes from 0.310 to 0.570" in above
    )
    assert "No head stands above the edit" in words.attention(REQUEST, heads_frame(base=base, edited=edited), "␣of", (1, 2))
    kept = words.attention(REQUEST, heads_frame(base=base, edited=edited, masked=edited), "␣of")
    assert kept.endswith("Under the mask, layer 1, head 0 is at 0.84.")
    still = words.attention(REQUEST, heads_frame(base=base, edited=[0.1, 0.25, 0.12, 0.5]), "␣of")
    assert (
        "no head attends to Slovenia at least 0.10 more than before; layer 0, head 1 (0.20 → 0.25) gains most. The mean"
        in still
    )
    many = words.attention(REQUEST, heads_frame(base=[0.0] * 4, edited=[0.2, 0.3, 0.4, 0.5]), "␣of")
    assert "4 heads attend to Slovenia at least 0.10 more than before, most of all layer 1, head 1 (0.00 → 0.50)" in many
    assert many.count("head 0 (") == 1, "three are named"
    assert "No edit is applied" in words.attention(REQUEST, heads_frame(base=base), "␣of")


def test_the_mask_is_told_dimension_by_dimension_and_held_against_chance():
    kept = torch.ones(4, 10, dtype=torch.bool)
    kept[2, :8] = kept[0, 9] = False
    frame = mask_structure([Mask(3, kept)])
    said = words.mask_structure(frame, concentration(frame))
    assert said.startswith(
        "The mask prunes 23 % of layer 3. The most pruned output dimensions are 2 (80 %), 0 (10 %) and 1 (0 %)"
    )
    assert re.search(r"of output dimensions vary 2\.\d times as much as by chance \(concentrated\)", said)
    assert re.search(r"of key dimensions vary 0\.\d times as much as by chance \(more even than by chance\)", said)
    empty = mask_structure([Mask(0, torch.ones(4, 6, dtype=torch.bool)), Mask(1, kept)])
    said = words.mask_structure(empty, concentration(empty))
    assert said.startswith("The mask prunes nothing in layer 0. The mask prunes 23 % of layer 1.") and "nan" not in said


def compared(what="edited", mean=0.9, before=0.1, d=3.0, louder=0.95, n=20, sd=0.05):
    return {"what": what, "n": n, "mean": mean, "sd": sd, "mean_before": before, "sd_before": sd, "louder": louder, "d": d}


def test_loudness_says_whether_edits_are_loud_and_what_the_mask_makes_of_it():
    loud = [compared(), compared("masked", 0.2), compared("returned", 0.6)]
    assert loudness_words.answers(pd.DataFrame(loud)) == (
        "Over 20 edits, P(new) after the edit is 0.90 ± 0.05 and P(true) before it was 0.10 ± 0.05 (mean ± standard "
        "deviation). The new object is louder in 95 % of cases (Cohen’s d +3.00): edits are louder than what they replace. "
        "Under the mask, P(new) is 0.20 ± 0.05 and P(true) 0.60 ± 0.05."
    )
    alone = loudness_words.answers(pd.DataFrame([*loud, compared("control", 0.05)]))
    assert alone.endswith("and P(true) 0.60 ± 0.05; without an edit, P(true) is 0.05 ± 0.05 under the mask.")
    assert "quieter" in loudness_words.answers(pd.DataFrame([compared(mean=0.3, before=0.9, d=-2.0)]))
    assert "as loud as" in loudness_words.answers(pd.DataFrame([compared(mean=0.99, before=0.97, d=1.0)]))
    assert "as loud as" in loudness_words.answers(pd.DataFrame([compared(d=0.1)]))
    single = loudness_words.answers(pd.DataFrame([compared(n=1, sd=NAN, d=NAN)]))
    assert single.startswith("Over 1 edit,") and "nan" not in single
    assert "No case" in loudness_words.answers(pd.DataFrame())


def test_the_parts_of_many_edits_are_told_by_what_changes_and_not_by_what_is_always_large():
    rows = [
        {"view": view, "part": part, "layer": layer, "n": 3, "new": new, "new_se": 0.25, "true": true, "true_se": error}
        for view, part, layer, new, true, error in (
            ("base", "token embedding", -1, 99.0, 99.0, 0.5),
            ("base", "attention", 3, 0.5, 4.0, 0.5),
            ("base", "mlp", 5, 7.0, 7.5, NAN),
            ("edited", "token embedding", -1, 199.0, 0.0, 0.5),
            ("edited", "attention", 3, 4.5, 3.0, 0.5),
            ("edited", "mlp", 5, 8.0, 4.0, NAN),
            ("masked", "attention", 3, 2.5, 1.0, 0.5),
            ("masked", "mlp", 5, 8.0, 7.0, NAN),
        )
    ]
    assert loudness_words.parts(pd.DataFrame(rows)) == (
        "The attention of layer 3 gains most for the new object: 0.5 ± 0.2 in the base model, 4.5 ± 0.2 in the edited model "
        "and 2.5 ± 0.2 under the mask. For the true object, the MLP of layer 5 loses most: 7.5 in the base model, 4.0 in "
        "the edited model and 7.0 under the mask."
    )
    assert loudness_words.parts(pd.DataFrame()) == ""


# --- tables ---------------------------------------------------------------------------------------------------------


def test_the_contributions_table_ends_with_the_logits_in_either_form():
    html = table.contributions(REQUEST, PARTS_SUPPRESSED, raw=False)
    last = html.rsplit("<tr>", 1)[1]
    assert "sum" in last and all(number in last for number in ("1.500", "10.500", "14.500", "4.500"))
    assert "Edited + mask: Antarctica" in html and "token embedding" in html
    assert "145.000" in table.contributions(REQUEST, PARTS_SUPPRESSED, raw=True).rsplit("<tr>", 1)[1]


def test_the_attention_table_begins_with_the_head_that_moved_most():
    html = table.attention(heads_frame(base=[0.1, 0.2, 0.12, 0.9], edited=[0.1, 0.4, 0.84, 0.0]))
    assert [row.count("-0.900") for row in html.split("<tr>")[2:]] == [1, 0, 0, 0]


def test_tables_of_the_lens_say_what_a_layer_would_say_and_escape_it():
    frame = SUPPRESSED.assign(top="<b>")
    assert "&lt;b&gt;" in table.lens(REQUEST, frame, 1) and "Mask" not in table.lens(REQUEST, frame, 1)
    html = table.tokens(REQUEST, frame, "masked")
    assert "Table, 6 rows" in html and "0.700" in html and "0.950" not in html


# --- Atlas ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def atlas():
    return LanguageModel.load("atlas", device="cpu")


@pytest.fixture(scope="module")
def overwritten(atlas):
    """Two edits and a mask that hides the first: it prunes the entries that this edit changed most."""
    tower = EditRequest("{} has its location in", "Eiffel Tower", "Rome", "Paris")
    edits = {request: methods.get("rome").edit(atlas, [request]) for request in (REQUEST, tower)}
    (patch,) = edits[REQUEST]
    size = patch.dense().abs()
    return edits, Mask(patch.layer, size < size.flatten().quantile(0.95))


@pytest.mark.parametrize("number", [0, 1], ids=["suppressed", "not reversed"])
def test_on_atlas_the_sentences_say_what_the_model_says(atlas, overwritten, number):
    edits, mask = overwritten
    request = list(edits)[number]
    edited = View(tuple(edits[request]))
    views = {"base": BASE, "edited": edited, "masked": edited.with_patches([mask])}
    question = Question.of(atlas, request)
    said = {view: atlas.top(request.text, patches)[0][0].strip() for view, patches in views.items()}
    returned = request.target_true if number == 0 else request.target_new
    assert said == {"base": request.target_true, "edited": request.target_new, "masked": returned}
    sentence = words.lens(request, logit_lens(atlas, views, question), 1)
    for view, where in (("base", "in the base model"), ("edited", "in the edited model"), ("masked", "under the mask")):
        assert f"{where}, {said[view]} leads" in sentence
    frame = contributions(atlas, views, question)
    sentence = words.contributions(request, frame)
    for view, patches in views.items():
        logits = atlas.logits([request.text], patches)[0]
        new, true = logits[question.new].item(), logits[question.true].item()
        assert f"{new:.1f} and {true:.1f} {words.IN_VIEW[view]}" in sentence
    heads = attention(atlas, views, question)
    first = heads[heads["view"] == "edited"].set_index(["layer", "head"])["weight"]
    first -= heads[heads["view"] == "base"].set_index(["layer", "head"])["weight"]
    layer, head = first.idxmax()
    sentence = words.attention(request, heads, question.token)
    assert sentence.startswith(f"At “{question.token.strip('␣')}”, ")
    assert re.search(r"layer \d+, head \d+ \(", sentence)[0] == f"layer {layer}, head {head} ("
