"""What the Keys tab does when it is touched, without a browser, and what its sentences say."""

import math
import time

import gradio as gr
import pandas as pd
import pytest
from visitors import Reader, runs

from editlab.errors import BadFile
from editlab.facts import EditRequest
from editlab.insight import Lemma, Scan, Similarity
from editlab.web.core.components import Parts
from editlab.web.core.updates import SHARED
from editlab.web.core.uploads import read_text
from editlab.web.keys import table, words
from editlab.web.keys.handlers import SECTIONS, KeysHandlers
from editlab.web.keys.tab import create_keys_tab

REQUEST = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
NAN = float("nan")


@pytest.fixture
def reader(lab, request, few_steps):
    return Reader(KeysHandlers(lab), request.node.name[:60], "keys")


# --- handlers -------------------------------------------------------------------------------------------------------


def test_without_an_edit_the_tab_says_what_to_do_and_draws_nothing(reader):
    page = reader.does("keys_open")
    assert "Apply an edit first" in page["message"]
    assert not any(reader.draws(section) for section in SECTIONS)


def test_opening_the_tab_draws_every_picture_with_its_sentence_and_its_table(reader):
    reader.applies()
    page = reader.does("keys_open")
    for section in SECTIONS:
        assert reader.draws(section), section
        assert len(reader.says(section)) > 40 and "nan" not in reader.says(section)
        assert "<table>" in page[f"keys-{section}-table"]
    assert reader.draws("components") and "variance" in reader.says("components")
    assert "The lemma itself" in reader.says("lemma")
    assert "Slovenia → Antarctica, layer" in page["message"] and page["progress"] == ""
    assert page["keys-question"] == "Republic of Slovenia belongs to the continent of"
    assert "has no key statistics" in reader.says("similarity")


def test_the_picture_that_leads_is_drawn_once(reader):
    reader.applies()
    for _ in ("computed", "known"):
        page = reader.does("keys_open")
        own = {section: page[f"keys-{section}-plot"] for section in ("similarity", "bounds")}
        (leading,) = (section for section, figure in own.items() if figure is None)
        assert "large one of this tab" in page[f"keys-{leading}"] and page["keys-lead-plot"] is not None
        assert page["keys-lead-plot"] not in own.values()


def test_what_was_computed_is_drawn_again_at_once_until_the_edits_change(reader, monkeypatch):
    reader.applies()
    first = dict(reader.does("keys_open"))
    monkeypatch.setattr(reader.workspace, "submit", lambda work: pytest.fail("computed again"))
    assert reader.does("keys_open")["keys-bounds"] == first["keys-bounds"]
    monkeypatch.undo()
    reader.applies(EditRequest("{} has its capital in", "France", "Rome", "Paris"))
    assert "France → Rome" in reader.does("keys_open")["message"]
    assert reader.says("values").startswith("At the edited prompt about France")


def test_every_update_is_of_a_part_that_the_tab_has(reader, lab):
    with gr.Blocks() as page:
        edit = Parts({name: gr.BrowserState() if name == "visitor" else gr.Button() for name in SHARED})
        parts = create_keys_tab(gr.Tab(), lab, edit)
    reader.applies()
    for name in ("keys_open", "keys_again", "keys_stop", "keys_prose"):
        reader.does(name)
        assert {part for update in reader.seen for part in update} <= parts.keys(), name
    assert {len(fn.outputs) for fn in page.fns.values()} == {len(set(parts.values()))}


def test_compute_again_computes(reader):
    reader.applies()
    reader.does("keys_open")
    before = reader.workspace.context.worker._submitted
    reader.does("keys_again")
    assert reader.workspace.context.worker._submitted == before + len(SECTIONS)


def test_an_edit_that_is_switched_off_is_not_shown(reader):
    record = reader.applies()
    reader.does("keys_open")
    reader.workspace.switch(record.id, False)
    page = reader.does("keys_open")
    assert "switched off" in page["message"]
    assert not any(reader.draws(section) for section in SECTIONS) and page["keys-bounds"] == ""


def test_the_question_that_is_looked_at_decides_which_edit_is_shown(reader):
    reader.applies()
    reader.applies(EditRequest("{} has its capital in", "France", "Rome", "Paris"))
    reader.looks_at(REQUEST)
    assert "Slovenia → Antarctica" in reader.does("keys_open")["message"]
    reader.looks_at(EditRequest("{} has its capital in", "Spain", "Rome"))
    assert "Apply an edit first" in reader.does("keys_open")["message"]


def test_a_question_of_ones_own_is_listened_to(reader):
    reader.applies()
    page = reader.does("keys_discuss", "France belongs to the continent of")
    assert "At “France”" in reader.says("discussion") and reader.draws("discussion")
    assert "There is nothing to ask" in reader.does("keys_discuss", "  ")["message"]
    reader.does("keys_open")
    assert page["keys-question"] == "France belongs to the continent of" and "At “France”" in reader.says("discussion")


def test_a_text_of_ones_own_is_read_and_its_places_are_shown(reader, tmp_path):
    reader.applies()
    text = tmp_path / "own.txt"
    text.write_text("The mill by the river was sold in spring, and Slovenia won the match.", encoding="utf-8")
    page = reader.does("keys_scan", text)
    assert "mill" in page["keys-prefixes-table"] and "yes" in page["keys-prefixes-table"]
    assert "tokens" in reader.says("prefixes")
    reader.does("keys_prose")
    assert "mill by the river" not in reader.page["keys-prefixes-table"]


def test_a_file_that_is_no_text_is_refused(reader, tmp_path):
    reader.applies()
    torn, empty = tmp_path / "torn.txt", tmp_path / "empty.txt"
    torn.write_bytes(b"caf\xe9 \xff")
    empty.write_text("")
    assert "not UTF-8" in reader.does("keys_scan", torn)["message"]
    assert "empty" in reader.does("keys_scan", empty)["message"]
    assert not torn.exists() and not empty.exists(), "what was uploaded is read once and not kept"
    with pytest.raises(BadFile, match="No file"):
        read_text(None)
    with pytest.raises(BadFile, match="could not be read"):
        read_text(tmp_path / "missing.txt")


def test_a_long_scan_shows_what_it_finds_and_stops_when_it_is_told(reader, tmp_path):
    reader.applies()
    long = tmp_path / "long.txt"
    long.write_text("The mill by the river was sold in spring. " * 60_000, encoding="utf-8")
    seen = []
    for update in runs(reader.handlers, "keys_scan", reader.name, long):
        seen.append(update)
        if "tokens" in update.get("keys-prefixes", ""):
            reader.workspace.stop()
    assert any("per second" in update.get("progress", "") for update in seen)
    assert "Stopped before the whole text was read" in seen[-1]["message"]
    assert "mill" in seen[-2]["keys-prefixes-table"] and seen[-2]["keys-prefixes-plot"] is not None
    assert not reader.workspace.busy


def test_stop_ends_whatever_runs_and_says_so(reader):
    assert "Nothing is running" in reader.does("keys_stop")["message"]
    job = reader.workspace.submit(lambda progress, cancel: [time.sleep(0.01) for _ in iter(cancel, True)])
    reader.does("keys_stop")
    assert job.wait(30)


def test_a_text_beyond_all_measure_is_refused_before_it_is_read(reader, monkeypatch, tmp_path):
    monkeypatch.setattr("editlab.lab.asking.keys.LONGEST_TEXT", 10)
    reader.applies()
    text = tmp_path / "own.txt"
    text.write_text("more than ten characters")
    assert "can be read" in reader.does("keys_scan", text)["message"]


# --- sentences ------------------------------------------------------------------------------------------------------


def key(kind, before, after=NAN, subject="S", **more):
    own = {"kind": kind, "domain": "", "text": "t", "subject": subject, "before": before, "after": after}
    return own | {"share": before + 0.05} | more


def found(rows, whitened=True):
    return Similarity(pd.DataFrame(rows), (0.3, 0.1), whitened, 0)


FORMS = [key("success", 1.0, 1.0), key("rephrase", 0.4, 0.9), key("shuffle", 0.2, 0.8), key("long", 0.5, 1.0)]
REST = [key("locality", 0.1, 0.1, "Italy"), key("locality", 0.3, 0.2, "France"), key("random", 0.02, 0.02)]


def test_of_an_edit_over_several_layers_the_figures_are_of_the_lowest_and_say_so():
    assert words.edit(REQUEST, (3,), rep=True) == "Slovenia → Antarctica, layer 3, with REP."
    assert words.edit(REQUEST, (0, 1), rep=False) == (
        "Slovenia → Antarctica, layers 0 and 1. The figures are of layer 0, which makes only a part of the edit."
    )


def test_similarity_names_every_form_the_nearest_neighbour_and_what_rep_did():
    said = words.similarity(REQUEST, found(FORMS + REST))
    for part in (
        "0.40 under another name",
        "0.20 with its tokens",
        "0.50 after a long text",
        "where 45 %, 25 % and 55 % of the edit arrive",
        "France, reaches 0.30",
        "1 random word 0.02",
        "1 of these 3 keys of Slovenia is less similar than that subject’s.",
    ):
        assert part in said
    assert "REP moves 3 of these 3 keys, from 0.40 to 0.90 (medians), and 1 of 2 other subjects’, up to 0.20." in said


def test_several_names_are_told_with_their_range_and_only_keys_that_rep_moved_are_counted():
    rows = [FORMS[0], key("rephrase", 0.5, 0.9), key("rephrase", -0.004, -0.004), key("rephrase", 0.4, 1.1), *REST[::2]]
    said = words.similarity(REQUEST, found(rows))
    assert "is 0.40 (0.00 to 0.50) under another name (medians" in said
    nearer = words.similarity(REQUEST, found([*FORMS[:3], key("locality", 0.45, NAN, "Italy"), REST[2]]))
    assert "All 2 keys of Slovenia are less similar than that subject’s." in nearer
    assert "REP moves 2 of these 3 keys, from 0.45 to 1.00 (medians), and no other subject’s." in said


def test_a_gate_that_stays_shut_is_told():
    said = words.similarity(REQUEST, found([row | {"after": row["before"]} for row in FORMS + REST]))
    assert "REP moves none of these keys" in said


@pytest.mark.parametrize(
    ("rows", "there", "missing"),
    [
        ([*FORMS[:2], *REST], "another name", "order"),
        ([FORMS[0], REST[2]], "no other name", "other subject"),
        ([row | {"after": NAN} for row in FORMS + REST], "another name", "REP"),
    ],
)
def test_similarity_does_without_what_there_is_not(rows, there, missing):
    said = words.similarity(REQUEST, found(rows))
    assert there in said and "nan" not in said
    assert missing not in said.replace("no other order of its tokens", "")


def test_similarity_says_where_there_are_no_statistics():
    assert "plain products" in words.similarity(REQUEST, found(FORMS + REST, whitened=False))
    assert "plain products" not in words.similarity(REQUEST, found(FORMS + REST))


def test_components_tell_how_much_they_show():
    assert "40 %" in words.components(found(FORMS))


def places(*mentions):
    rows = [("it was a long winter", "winter", 0.4 - 0.1 * n, 0.25 - 0.1 * n, own) for n, own in enumerate(mentions)]
    return Scan(pd.DataFrame(rows, columns=["prefix", "token", "similarity", "share", "mentions"]), 1234, 0.5, 1.0)


def test_prefixes_name_the_unrelated_place_that_receives_most():
    said = words.prefixes(REQUEST, places(False, True))
    assert (
        "1,234 tokens" in said
        and "that receives most of the edit is after “… it was a long winter”: 25 %, at a similarity of 0.40." in said
    )
    assert said.endswith("Where the text mentions it, up to 15 % arrive.")
    assert "Where the text" not in words.prefixes(REQUEST, places(False))
    assert words.prefixes(REQUEST, places(True)) == "In 1,234 tokens, every place mentions Slovenia."


def test_values_tell_before_after_neighbours_and_rep():
    rows = [key("success", 1.2, 3.4, rep=NAN), key("locality", 1.0, 1.04, rep=NAN), key("random", 1.0, 1.0, rep=NAN)]
    said = words.values(REQUEST, pd.DataFrame(rows))
    assert "1.2 times" in said and "3.4 times as large" in said and "from 1.00 to 1.04" in said and "REP" not in said
    assert "The largest at 1 random word is 1.0 times as large" in said
    rows = [rows[0], key("rephrase", 1.1, 1.5, rep=3.0), rows[2]]
    said = words.values(REQUEST, pd.DataFrame(rows))
    assert "At rephrases where REP’s gate opens, it changes from 1.50 to 3.00" in said and "other subjects" not in said


def voices(edit=0.6, before=None, whitened=True, stored=0.5):
    rows = [("the edit: a → b", "edit", edit, 0), ("rest", "remainder", 0.1, 0)]
    if stored:
        rows.insert(1, ("France lies in", "stored", stored, 2))
    frame = pd.DataFrame(rows, columns=["voice", "kind", "loudness", "also"])
    frame.attrs |= {"at": "France", "text": "q", "whitened": whitened, "facts": 500, "before": before}
    return frame


def test_the_discussion_names_the_loudest_voice_and_what_has_no_name():
    said = words.discussion(voices())
    for part in (
        "At “France”",
        "60 % of the edit",
        "Of the 500 facts that are compared, “France lies in” (and 2 more with this key) has the largest part in the "
        "question’s key: 50 %",
        "Together they match 90 % of it",
    ):
        assert part in said
    assert "without REP" not in said and "statistics" not in said
    assert "(without REP, 20 %)" in words.discussion(voices(1.0, 0.2))
    assert "has no key statistics" in words.discussion(voices(whitened=False))
    assert "facts" not in words.discussion(voices(stored=0))
    assert " 0 % of the edit" in words.discussion(voices(-0.001))
    none = words.discussion(voices(stored=0.02))
    assert (
        "None of the 500 facts that are compared is as much as 10 % of the question’s key." in none
        and "France l" not in none
    )


def predicted(*rows, required=0.5, lemma="nobody gave the true object"):
    columns = ["kind", "happened", "agree", "lemma_agree"]
    frame = pd.DataFrame(rows, columns=columns)
    frame.attrs |= {"required": required, "lemma": lemma}
    return frame


def test_bounds_tell_the_agreement_beside_the_majority():
    frame = predicted(("rephrase", "hold", True, None), ("long", "fail", True, None), ("locality", "stay", False, None))
    said = words.bounds(frame)
    assert "from 50 % of its strength on." in said and "2 of 3 probes" in said
    assert "(67 %)" in said and "reaches 67 %" in said


def test_bounds_without_a_lead_or_without_probes_say_so():
    assert "never leads, at any strength" in words.bounds(predicted(required=math.inf))
    assert "from 120 % of its strength on, so as it is it does not lead there" in words.bounds(predicted(required=1.2))
    assert "nothing to predict" in words.bounds(predicted())


def test_the_lemma_is_told_or_why_there_is_none():
    assert "cannot be computed here: nobody gave the true object" in words.lemma(predicted())
    rows = [("rephrase", "hold", True, True), ("locality", "stay", True, False)]
    said = words.lemma(predicted(*rows, lemma=Lemma(5, 4.0, 3.0, None)))
    assert (
        "attention layer 5" in said
        and "4.0 logits" in said
        and "needs 5.2" in said
        and "so it should not hold at all, but it does." in said
    )
    weak = words.lemma(predicted(required=1.2, lemma=Lemma(5, 4.0, 3.0, None)))
    assert weak.endswith("so it should not hold at all.")
    assert words.lemma(predicted(required=1.2, lemma=Lemma(5, 9.0, 3.0, None))).endswith("it should hold, but it does not.")
    assert "50 % of 2 probes" in said
    assert "so it should hold" in words.lemma(predicted(lemma=Lemma(5, 9.0, 3.0, None)))


# --- tables ---------------------------------------------------------------------------------------------------------


def test_a_table_escapes_what_stands_in_it_and_leaves_out_what_nobody_knows():
    frame = pd.DataFrame([{"prefix": "a <b> c", "similarity": 0.12345, "share": NAN, "mentions": False}])
    html = table.table("prefixes", frame)
    assert "a &lt;b&gt; c" in html and "0.123" in html and "Share of the edit" not in html and ">no<" in html
    assert "Table, 1 row<" in html


def test_a_table_shows_the_end_of_a_long_text():
    frame = pd.DataFrame([key("long", 0.5, text="x" * 300 + " the end")]).assign(domain="out")
    html = table.table("similarity", frame)
    assert "the end<" in html and "x" * 120 not in html and "Long context (out)" in html
