"""Edits of one visitor: stacked, taken back, stopped, and never seen by another."""

import json
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from visitors import TIMEOUT, wait_until

from editlab import methods
from editlab.errors import BadRequest, Cancelled, TooLong
from editlab.facts import EditRequest
from editlab.lab import Lab, OwnProbe
from editlab.lab.asking import answers
from editlab.lab.asking.suggestions import suggestions
from editlab.lab.job import JobProgress
from editlab.lab.workspaces import edits
from editlab.lab.workspaces import rep as refining
from editlab.methods import Edited
from editlab.methods.rep import Refined, threshold_of
from editlab.patches import LowRank, Pathway
from editlab.probes import Passages, scores, summaries

CONTINENT = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
CAPITAL = EditRequest("The capital of {} is", "Japan", "Berlin", "Tokyo")


@pytest.fixture
def workspace(lab, request):
    return lab.workspace(request.node.name)


def probed(workspace, **options):
    """The probes around an edit, asked again."""
    return answers.ask(workspace, CONTINENT, probes_alone=True, **options).result(TIMEOUT).probes


def logits(workspace, request=CONTINENT):
    return workspace.context.model.logits([request.text], workspace.view)


def test_an_edit_makes_the_new_object_likelier_and_its_record_says_how(workspace):
    before = answers.look(workspace, CONTINENT).result(TIMEOUT)
    record = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    after = answers.look(workspace, CONTINENT).result(TIMEOUT)
    assert set(before) == {"base"} and set(after) == {"base", "edited"}
    assert after["base"]["p_new"] == pytest.approx(before["base"]["p_new"], rel=1e-4)
    assert after["edited"]["p_new"] > after["base"]["p_new"]
    assert record.request == CONTINENT and record.method == "rome" and len(record.solves) == 1
    assert record.health["p_new"] == pytest.approx(after["edited"]["p_new"], rel=1e-3)
    assert {"divisor", "share", "relative_norm", "loss", "steps", "seconds"} <= set(record.health)


def test_undo_and_redo_are_exact(workspace, few_steps):
    base = logits(workspace)
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    first = logits(workspace)
    edits.apply(workspace, CAPITAL).result(TIMEOUT)
    both = logits(workspace)
    assert not torch.equal(first, base) and not torch.equal(both, first)
    assert workspace.undo() == "applied Japan → Berlin" and workspace.request == CAPITAL
    assert torch.equal(logits(workspace), first)
    workspace.undo()
    assert torch.equal(logits(workspace), base)
    workspace.redo()
    assert torch.equal(logits(workspace), first)
    workspace.redo()
    assert torch.equal(logits(workspace), both)


def test_a_later_edit_is_computed_under_the_earlier_ones(lab, few_steps):
    stacked, alone = lab.workspace("stacked"), lab.workspace("alone")
    edits.apply(stacked, CONTINENT).result(TIMEOUT)
    second = edits.apply(stacked, CAPITAL).result(TIMEOUT)
    single = edits.apply(alone, CAPITAL).result(TIMEOUT)
    (a,), (b,) = second.patches, single.patches
    assert not torch.equal(a.B, b.B)


def test_a_new_edit_forgets_what_was_undone(workspace, few_steps):
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    workspace.undo()
    assert workspace.can_redo and not workspace.can_undo
    edits.apply(workspace, CAPITAL).result(TIMEOUT)
    assert workspace.can_undo and not workspace.can_redo
    with pytest.raises(BadRequest, match="nothing to redo"):
        workspace.redo()


def test_visitors_do_not_see_each_other(lab, few_steps):
    one, other = lab.workspace("one"), lab.workspace("other")
    untouched = logits(other)
    edits.apply(one, CONTINENT).result(TIMEOUT)
    assert torch.equal(logits(other), untouched)
    assert other.records == () and other.views.keys() == {"base"}
    assert lab.workspace("one") is one


def test_stop_ends_a_running_edit_at_once_and_keeps_the_state(workspace, few_steps, request):
    kept = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    request.getfixturevalue("endless")
    job = edits.apply(workspace, CAPITAL)
    wait_until(lambda: "step" in job.text)
    began = time.perf_counter()
    assert workspace.stop()
    with pytest.raises(Cancelled):
        job.result(TIMEOUT)
    assert time.perf_counter() - began < 5
    assert workspace.records == (kept,) and not workspace.busy
    assert workspace.switch(kept.id, False) is not kept and workspace.views.keys() == {"base"}
    assert not workspace.stop()


def test_while_an_edit_is_computed_nothing_else_changes_the_stack(workspace, few_steps, request):
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    request.getfixturevalue("endless")
    job = edits.apply(workspace, CAPITAL)
    for change in (workspace.undo, workspace.redo, workspace.clear, lambda: edits.apply(workspace, CONTINENT)):
        with pytest.raises(BadRequest, match="press Stop"):
            change()
    assert workspace.editing is job
    workspace.stop()
    job.wait(TIMEOUT)
    assert workspace.editing is None and len(workspace.records) == 1


def test_what_fails_leaves_the_stack_alone(workspace, few_steps):
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    stack = workspace.records
    too_long = EditRequest("{} belongs to" + " the" * 3000, "Slovenia", "Antarctica")
    with pytest.raises(Exception, match="context holds"):
        edits.apply(workspace, too_long).result(TIMEOUT)
    with pytest.raises(BadRequest, match="no method"):
        edits.apply(workspace, CONTINENT, "magic")
    assert workspace.records is stack


def test_the_old_object_is_filled_in_where_the_facts_know_it(workspace, few_steps):
    record = edits.apply(workspace, EditRequest("The capital of {} is", "Japan", "Berlin")).result(TIMEOUT)
    assert record.request.target_true == "Tokyo"


def test_probes_ask_every_kind_under_both_views(workspace, few_steps):
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    frame = probed(workspace, most=2)
    assert set(frame["kind"]) == {
        "success", "rephrase", "shuffle", "long", "paraphrase", "locality", "same_subject", "propagation"
    }  # fmt: skip
    assert {"base.answer", "edited.answer", "base.p_new", "edited.p_new", "edited.same"} <= set(frame.columns)
    assert len(probed(workspace)) > len(frame)


def test_asking_continues_a_text_under_both_views(workspace):
    text = "Slovenia belongs to the continent of"
    before = answers.live(workspace, text).result(TIMEOUT)
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    after = answers.live(workspace, text).result(TIMEOUT)
    assert before.keys() == {"base"} and after["base"]["text"] == before["base"]["text"]
    assert after["edited"]["text"] != after["base"]["text"]


def test_so_many_workspaces_are_in_memory_and_the_others_come_back(tiny_llama, facts, monkeypatch):
    monkeypatch.setattr("editlab.lab.workspaces.open.MOST_OPEN", 3)
    lab = Lab(tiny_llama, facts, Passages((), ()))
    try:
        first = lab.workspace("first")
        answers.look(first, CONTINENT).result(TIMEOUT)
        for number in range(10):
            lab.workspace(f"w{number}")
        assert len(lab.workspaces) <= 4
        assert lab.workspace("first") is not first and lab.workspace("first").request == CONTINENT
    finally:
        lab.close()


def test_forgotten_workspaces_go_and_those_in_use_stay(tiny_llama, facts):
    lab = Lab(tiny_llama, facts, Passages((), ()), kept_seconds=0.2)
    release = threading.Event()
    try:
        old, working = lab.workspace("old"), lab.workspace("working")
        working.submit(lambda progress, cancel: release.wait(TIMEOUT))
        time.sleep(0.3)
        assert lab.workspace("working") is working
        assert lab.workspace("old") is not old
    finally:
        release.set()
        lab.close()


def test_nothing_is_written_into_the_model(lab, workspace, few_steps):
    before = lab.model.weights_hash()
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    edits.apply(workspace, CAPITAL).result(TIMEOUT)
    workspace.undo()
    probed(workspace, most=1)
    assert lab.model.weights_hash() == before


def test_an_edit_is_switched_off_and_on_in_its_place(workspace, few_steps):
    base = logits(workspace)
    first = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    alone = logits(workspace)
    second = edits.apply(workspace, CAPITAL).result(TIMEOUT)
    both = logits(workspace)
    assert not workspace.switch(second.id, False).on
    assert torch.equal(logits(workspace), alone)
    workspace.switch(first.id, False)
    assert torch.equal(logits(workspace), base) and workspace.views.keys() == {"base"}
    workspace.switch(first.id, True), workspace.switch(second.id, True)
    assert torch.equal(logits(workspace), both)
    assert [workspace.undo() for _ in range(2)] == ["switched on Japan → Berlin", "switched on Slovenia → Antarctica"]
    assert torch.equal(logits(workspace), base)
    assert workspace.redo() == "switched on Slovenia → Antarctica"
    assert torch.equal(logits(workspace), alone)


def test_an_edit_is_removed_the_others_stay_as_they_were_and_it_comes_back(workspace, few_steps):
    first = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    second = edits.apply(workspace, CAPITAL).result(TIMEOUT)
    both = logits(workspace)
    assert workspace.remove(first.id) is first
    assert workspace.records == (second,)
    assert workspace.undo() == "removed Slovenia → Antarctica"
    assert workspace.records == (first, second) and torch.equal(logits(workspace), both)
    workspace.clear()
    assert workspace.records == () and workspace.undo() == "removed all 2 edits"
    for change in (workspace.remove, lambda id: workspace.switch(id, True)):
        with pytest.raises(BadRequest, match="does not exist any more"):
            change("nothing")


def test_a_chain_is_re_made_without_what_is_off(workspace, lab, few_steps):
    first = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    second = edits.apply(workspace, CAPITAL, config={"steps": 3}).result(TIMEOUT)
    workspace.switch(first.id, False)
    before = logits(workspace)
    off, again = edits.remake(workspace).result(TIMEOUT)
    assert off.solves == first.solves and not off.on and again.id == second.id and again.config == second.config
    alone = edits.apply(lab.workspace("recomputed, alone"), CAPITAL, config={"steps": 3}).result(TIMEOUT)
    (a,), (b,) = again.patches, alone.patches
    assert torch.equal(a.B, b.B) and not torch.equal(a.B, second.patches[0].B)
    assert workspace.undo() == "recomputed 1 edit"
    assert torch.equal(logits(workspace), before)


def test_a_chain_whose_re_making_is_stopped_stays(workspace, few_steps, request):
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    edits.apply(workspace, CAPITAL).result(TIMEOUT)
    records = workspace.records
    request.getfixturevalue("endless")
    job = edits.remake(workspace)
    wait_until(lambda: "edit 1 of 2, value: step" in job.text)
    assert workspace.editing is job
    workspace.stop()
    with pytest.raises(Cancelled):
        job.result(TIMEOUT)
    assert workspace.records is records and workspace.undo() == "applied Japan → Berlin"


def test_nothing_to_re_make_is_a_sentence(workspace, few_steps):
    with pytest.raises(BadRequest, match="no edit to recompute"):
        edits.remake(workspace)


@pytest.mark.parametrize(
    "config",
    [
        {"steps": 0}, {"steps": -1}, {"steps": 2.5}, {"steps": "many"}, {"steps": 10**6}, {"steps": True}, {"steps": None},
        {"learning_rate": "nan"}, {"learning_rate": "inf"}, {"clamp": 0}, {"kl": -1e-9}, {"weight_decay": "1e999"},
        {"keys": "magic"}, {"keys": ["original"]}, {"whiten": "perhaps"}, {"seed": -1}, {"seed": 2**40},
        {"layers": "one"}, {"layers": ""}, {"layers": "99"}, {"layers": 3}, {"layers": [None]}, {"layers": "9" * 5000},
        {"magic": 1}, {"spread": 2},
    ],
    ids=str,
)  # fmt: skip
def test_a_setting_that_does_not_fit_is_a_sentence_and_changes_nothing(workspace, config):
    with pytest.raises(BadRequest, match=r"\.$"):
        edits.apply(workspace, CONTINENT, config=config)
    assert workspace.records == () and workspace.request is None and not workspace.busy


def test_settings_may_come_as_text_and_stand_in_the_record(workspace):
    given = {"steps": "2", "layers": "2, 1", "keys": "original", "plain_below": "inf", "whiten": False}
    record = edits.apply(workspace, CONTINENT, config=given).result(TIMEOUT)
    assert record.config == {
        **{name: record.config[name] for name in ("learning_rate", "weight_decay", "clamp", "kl", "stop_below", "seed")},
        **{name: record.config[name] for name in ("spare", "project", "energy", "anchor", "after")},
        "contexts": record.config["contexts"], "form": "plain",
        "steps": 2, "layers": [1, 2], "keys": "original", "plain_below": "inf", "whiten": False,
    }  # fmt: skip
    assert record.layers == (1, 2) and json.loads(json.dumps(record.config, allow_nan=False)) == record.config


def test_an_edit_that_comes_out_infinite_is_not_kept(workspace, monkeypatch):
    infinite = LowRank(1, torch.full((1, 64), float("nan")), torch.ones(32, 1))
    monkeypatch.setattr(
        type(methods.get("rome")),
        "edit",
        lambda *_, **__: Edited("rome", (CONTINENT,), (1,), ((infinite,),), ({},), (), 0.1),
    )
    with pytest.raises(BadRequest, match="has infinite values"):
        edits.apply(workspace, CONTINENT).result(TIMEOUT)
    assert workspace.records == () and workspace.editing is None


def test_every_setting_of_every_method_is_described(lab):
    for method in lab.methods():
        assert method.title and {setting.name for setting in method.settings} >= {"form"}
        given = {setting.name: setting.default for setting in method.settings}
        assert methods.config_for(method.name, lab.model, **given) == methods.config_for(method.name, lab.model)
        assert all(setting.help for setting in method.settings)
    rome = {setting.name: setting for setting in lab.methods()[0].settings}
    assert rome["keys"].kind == "choice" and "original" in rome["keys"].choices
    assert [rome[name].kind for name in ("steps", "kl", "whiten", "layers")] == ["int", "float", "bool", "text"]


def test_what_one_types_is_answered_under_all_views_token_by_token(workspace, few_steps):
    text = "Slovenia belongs to the continent of"
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    seen = []
    show = JobProgress.show

    def keep(progress, partial):
        seen.append(partial)
        show(progress, partial)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobProgress, "show", keep)
        said = answers.live(workspace, text).result(TIMEOUT)
        looked = answers.look(workspace, CONTINENT).result(TIMEOUT)
    live, look = seen[: len(seen) - 21], seen[-21:]
    assert [answer["text"] for answer in live[0].values()] == ["", ""] and live[-1] == said
    assert all(len(answer["top"]) == 5 for partial in live for answer in partial.values())
    for before, after in pairwise(live):
        assert all(after[view]["text"].startswith(before[view]["text"]) for view in said)
    for name, view in workspace.views.items():
        tokens, probabilities = zip(*workspace.context.model.top(text, view), strict=True)
        assert tuple(token for token, _ in said[name]["top"]) == tokens
        assert [p for _, p in said[name]["top"]] == pytest.approx(probabilities, rel=1e-3)
    expected = summaries(workspace.context.model, CONTINENT, workspace.views)
    assert look[0]["edited"]["text"] == "" and look[-1] == looked
    for view, answer in expected.items():
        assert looked[view]["text"] == answer["text"] and looked[view].keys() == answer.keys()
        assert all(
            looked[view][key] == pytest.approx(answer[key], rel=1e-3)
            for key in ("p_new", "p_true", "first_new", "first_true")
        )


def test_a_new_key_cancels_the_answer_to_the_one_before(workspace, lab):
    release = threading.Event()
    lab.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
    jobs = [answers.live(workspace, "Slovenia"[:end]) for end in range(4, 9)]
    release.set()
    assert set(jobs[-1].result(TIMEOUT)) == {"base"}
    for job in jobs[:-1]:
        with pytest.raises(Cancelled):
            job.result(TIMEOUT)
    with pytest.raises(TooLong):
        answers.live(workspace, "the " * 3000).result(TIMEOUT)


def test_own_probes_come_first_of_their_kind(workspace, few_steps):
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    own = [
        OwnProbe("locality", "France belongs to the continent of", "France"),
        OwnProbe("rephrase", "Slovenija belongs to the continent of", "Slovenija"),
    ]
    frame = probed(workspace, most=1, own=own)
    for probe in own:
        first = frame[frame["kind"] == probe.kind].iloc[0]
        assert (first["text"], first["subject"], first["domain"]) == (probe.text, probe.subject, "")
    rephrase = frame[frame["kind"] == "rephrase"].iloc[0]
    assert rephrase["expected"] == "Antarctica"
    for wrong in (("success", "text"), ("rephrase", "  ")):
        with pytest.raises(BadRequest):
            OwnProbe(*wrong)


def test_tokens_and_suggestions_help_to_write_a_request(workspace):
    assert "".join(answers.tokens(workspace, "The capital of Slovenia is")).removeprefix("␣") == "The␣capital␣of␣Slovenia␣is"
    found = suggestions(workspace, "The capital of {} is", "Japan")
    assert len(found) == 8 and "Tokyo" not in found
    assert found == suggestions(workspace, CAPITAL, "Japan")
    assert suggestions(workspace, "The smell of {} is", "Japan") == ()
    assert suggestions(workspace, "no subject", "Japan") == ()


def test_rep_is_learnt_beside_the_edit_and_changes_nothing_of_it(workspace, lab):
    texts = []
    job = edits.apply(workspace, CONTINENT, recipe="default", names=("Slovenija mia",))
    while not job.wait(0.002):
        texts.append(job.text)
    record = job.result()
    alone = edits.apply(lab.workspace("without REP"), CONTINENT).result(TIMEOUT)
    assert torch.equal(record.patches[0].B, alone.patches[0].B)
    assert (record.rep, record.rep_on, record.names) == ("default", True, ("Slovenija mia",))
    assert [(p.subject, p.layer) for p in record.pathways] == [("Slovenia", record.layers[0])]
    assert any(text.startswith("REP") for text in texts)
    assert list(workspace.views) == ["base", "edited", "rep"] and workspace.view.pathways == ()
    assert workspace.views["rep"] is workspace.views["rep"], "what is laid is put together once"
    assert workspace.threshold == threshold_of("default")
    said = answers.look(workspace, CONTINENT).result(TIMEOUT)
    assert said.keys() == workspace.views.keys()


def test_rep_is_added_to_an_edit_switched_and_taken_back(workspace, few_steps):
    edit = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    assert workspace.robust is None
    with pytest.raises(BadRequest, match="no REP yet"):
        workspace.switch_rep(edit.id, True)
    refined = edits.refine(workspace, edit.id, "default").result(TIMEOUT)
    assert refined.id == edit.id and refined.solves == edit.solves and workspace.robust.pathways == refined.pathways
    assert refined.health.items() > edit.health.items() and refined.health["rep_seconds"] > 0
    assert not workspace.switch_rep(edit.id, False).rep_on and workspace.robust is None
    assert workspace.switch_rep(edit.id, True).rep_on and workspace.robust.pathways == refined.pathways
    workspace.switch(edit.id, False)
    assert workspace.views.keys() == {"base"}
    assert workspace.undo() == "switched off Slovenia → Antarctica"
    told = [workspace.undo() for _ in range(3)]
    assert told[-1] == "added REP to Slovenia → Antarctica" and workspace.robust is None
    assert workspace.redo() == told[-1] and workspace.robust.pathways == refined.pathways


def test_a_second_edit_of_the_subject_shares_the_pathway(workspace, few_steps):
    first = edits.apply(workspace, CONTINENT, recipe="default").result(TIMEOUT)
    second = edits.apply(workspace, EditRequest("{}'s capital is", "Slovenia", "Berlin"), recipe="default").result(TIMEOUT)
    other = edits.apply(workspace, CAPITAL, recipe="default").result(TIMEOUT)
    assert second.pathways == first.pathways and other.pathways != first.pathways
    assert workspace.robust.pathways == (*first.pathways, *other.pathways)
    workspace.remove(first.id)
    assert workspace.robust.pathways == (*second.pathways, *other.pathways)


def test_re_making_learns_the_pathways_again(workspace, few_steps):
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    edit = edits.apply(workspace, CAPITAL, recipe="default", names=("Nihon koku",)).result(TIMEOUT)
    workspace.switch_rep(edit.id, False)
    workspace.switch(workspace.records[0].id, False)
    _, again = edits.remake(workspace).result(TIMEOUT)
    assert (again.rep, again.rep_on, again.names) == ("default", False, ("Nihon koku",)) and workspace.robust is None
    assert len(again.pathways) == 1 and again.pathways != edit.pathways


def test_a_threshold_moves_and_nothing_is_learnt(workspace, lab, few_steps):
    record = edits.apply(workspace, CONTINENT, recipe="default").result(TIMEOUT)
    weights = [p.H for p in record.pathways]
    assert workspace.set_threshold(1) == 1.0 and workspace.views["rep"].threshold == 1.0
    said = answers.look(workspace, CONTINENT).result(TIMEOUT)
    assert said["rep"]["top"] == said["edited"]["top"], "no gate is above 1"
    assert [p.H for p in workspace.robust.pathways] == weights and workspace.can_undo
    assert workspace.undo().startswith("applied") and workspace.threshold == 1.0, "undo is for edits"
    for wrong in (-0.1, 1.5, math.nan, "high", None, True):
        with pytest.raises(BadRequest, match="from 0 to 1"):
            workspace.set_threshold(wrong)


def test_the_curve_is_computed_once_for_the_edits_as_they_are(workspace, few_steps, monkeypatch):
    edits.apply(workspace, CONTINENT, recipe="default").result(TIMEOUT)
    result = answers.ask(workspace, CONTINENT).result(TIMEOUT)
    first = result.swept
    assert {"threshold", "firing", "success", "locality", "rephrase_in", "long_out"} <= set(first.columns)
    workspace.set_threshold(0.25)
    assert answers.ask(workspace, CONTINENT).result(TIMEOUT).swept is first
    plain = scores(result.probes, "edited")
    assert {name: first.iloc[-1][name] for name in plain} == plain, "above the last threshold no gate opens"
    edits.apply(workspace, CAPITAL).result(TIMEOUT)
    assert answers.ask(workspace, CONTINENT).result(TIMEOUT).swept is not first


def test_gates_are_told_for_any_text(workspace, few_steps):
    text = "The Republic of Slovenia belongs to"
    assert not answers.gates(workspace, text).result(TIMEOUT)["fires"].any()
    edits.apply(workspace, CONTINENT, recipe="default").result(TIMEOUT)
    frame = answers.gates(workspace, text).result(TIMEOUT)
    assert "".join(frame["token"]).replace("␣", " ").strip() == text and set(frame["subject"]) == {"Slovenia"}


def test_questions_say_the_subject_otherwise(workspace):
    found = answers.questions(workspace, CONTINENT)
    republic, name, order, after = found
    assert (republic, name) == ("The Republic of Slovenia", "Slovenija")
    assert sorted(order.replace(" ", "")) == sorted("Slovenia") and order != "Slovenia"
    for said in (republic, name, order):
        assert found[said] == f"{said} belongs to the continent of"
    assert found[after].endswith(CONTINENT.text) and len(found[after]) > 100


@pytest.mark.parametrize("rep", ["magic", "On", 3])
def test_a_recipe_that_nobody_knows_is_a_sentence(workspace, rep):
    with pytest.raises(BadRequest, match="default, published"):
        edits.apply(workspace, CONTINENT, recipe=rep)
    with pytest.raises(BadRequest, match="does not exist any more"):
        edits.refine(workspace, "nothing")
    assert workspace.records == () and not workspace.busy


def test_rep_that_fails_leaves_everything_as_it_was(workspace, few_steps, monkeypatch):
    def infinite(*_args, **_options):
        kind = Pathway(1, "Slovenia", *(torch.full((2,), math.inf) for _ in range(7)))
        return Refined((kind,), 0, {}, 0.1)

    kept = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    monkeypatch.setattr(refining, "refine", infinite)
    for begin in (lambda: edits.refine(workspace, kept.id), lambda: edits.apply(workspace, CAPITAL, recipe="default")):
        with pytest.raises(BadRequest, match="has infinite values"):
            begin().result(TIMEOUT)
        assert workspace.records == (kept,) and workspace.editing is None


def test_six_visitors_at_once_get_what_each_would_get_alone(tiny_llama, facts):
    names = ("Slovenia", "Japan", "France", "Brazil", "Kenya", "Canada")
    requests = [EditRequest("{} belongs to the continent of", name, "Antarctica") for name in names]

    def session(lab, request):
        workspace = lab.workspace(request.subject)
        said = []
        for new in ("Antarctica", "Asia"):
            edits.apply(workspace, replace(request, target_new=new), config={"steps": 4}).result(TIMEOUT)
            said.append(answers.look(workspace, request).result(TIMEOUT))
        workspace.undo()
        said.append(answers.live(workspace, request.text).result(TIMEOUT))
        frame = answers.ask(workspace, request, most=1, probes_alone=True).result(TIMEOUT).probes
        return said, frame

    def run(session_of):
        lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4)
        try:
            return session_of(lab)
        finally:
            lab.close()

    with ThreadPoolExecutor(len(requests)) as threads:
        together = run(lambda lab: list(threads.map(lambda request: session(lab, request), requests)))
    for request, (said, frame) in zip(requests, together, strict=True):
        alone, own = run(lambda lab, request=request: session(lab, request))
        for mine, private in zip(said, alone, strict=True):
            assert mine.keys() == private.keys() == {"base", "edited"}
            for view in mine:
                assert mine[view]["top"][0][0] == private[view]["top"][0][0]
                for (_, p), (_, q) in zip(mine[view]["top"], private[view]["top"], strict=True):
                    assert p == pytest.approx(q, abs=1e-3)
        assert frame["edited.answer"].tolist() == own["edited.answer"].tolist()
        assert frame["edited.p_new"].tolist() == pytest.approx(own["edited.p_new"].tolist(), abs=1e-3)
