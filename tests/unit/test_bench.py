"""Tables count what they say they count, a stopped run goes on where it was, and ratios compare equal work."""

import copy
import dataclasses
import json
import math
from functools import partial

import numpy as np
import pytest
import torch
from tiny_models import tiny_model

from editlab import methods
from editlab.bench import bounds, editing, growth, layers, peak, plain, precision, robustness, speed, timing, tracing
from editlab.bench.bootstrap import rate_interval
from editlab.bench.editing import Rep, Setup
from editlab.bench.robustness import CaseRow
from editlab.cli.bench import long_life
from editlab.errors import BadRequest, MissingStatistics
from editlab.facts import EditCase, EditRequest, Expectation, Fact, FactBase, Relation
from editlab.insight.tracing import Tracing
from editlab.lab.ledger.events import fold
from editlab.model import LanguageModel, measuring, plan
from editlab.patches import BASE
from editlab.probes import Ground, Passages, ask, tallies
from editlab.probes.matching import says

PROMPT = "{} belongs to the continent of"
LONG = Passages(("The garden was old and nobody went there",), ("A letter came late in the winter of that year",))
NAMES = ("Slovenia", "France", "Brazil", "Japan")
CASES = [
    EditCase(
        EditRequest(PROMPT, name, "Antarctica", "Europe"),
        name,
        rephrases=(f"the land of {name}", f"the Republic of {name}"),
        neighbours=(Expectation("Kenya belongs to the continent of", "Africa"),),
    )
    for name in NAMES
]
RELATION = Relation("P30", "continent", (PROMPT,))
QUICK = Setup("rome", {"steps": 3, "layers": (1,)})
SUBJECTS = (*NAMES, "Kenya", "New Korea")
FACTS = FactBase(tuple(Fact(name, "P30", "Europe") for name in SUBJECTS), {"P30": RELATION}, {})
REPS = (Rep(), Rep("default"), Rep("default", 0.0), Rep("published"))


@pytest.fixture
def facts() -> FactBase:
    continents = ("Europe", "Europe", "South America", "Asia")
    known = tuple(Fact(name, "P30", continent) for name, continent in zip(NAMES, continents, strict=True))
    return FactBase(known, {"P30": RELATION}, {})


@pytest.fixture
def ground(tiny_llama) -> Ground:
    return Ground(tiny_llama, FACTS, LONG, prose=("The garden was old.",))


# Intervals


def test_interval_contains_the_rate_and_is_reproducible():
    hits, items = [3, 0, 5, 2, 4], [5, 5, 5, 5, 5]
    low, high = rate_interval(hits, items, seed=3)
    assert 0 <= low < sum(hits) / sum(items) < high <= 1
    assert (low, high) == rate_interval(hits, items, seed=3)


def test_interval_of_a_rate_without_spread_is_a_point():
    assert rate_interval([2, 3], [2, 3]) == (1.0, 1.0)


def test_interval_is_wider_where_the_probes_of_a_case_stand_or_fall_together():
    apart = rate_interval([5] * 20, [10] * 20)
    together = rate_interval([10, 0] * 10, [10] * 20)
    assert apart == (0.5, 0.5)
    assert together[1] - together[0] > 0.3


def test_interval_agrees_with_drawing_cases_one_by_one():
    rng = np.random.default_rng(0)
    items = rng.integers(1, 9, 40)
    hits = rng.binomial(items, 0.7)
    draws = rng.integers(0, 40, (4000, 40))
    expected = np.quantile(hits[draws].sum(1) / items[draws].sum(1), [0.025, 0.975])
    assert rate_interval(hits, items) == pytest.approx(expected, abs=0.01)


def test_interval_needs_an_item():
    with pytest.raises(ValueError, match="no case"):
        rate_interval([0, 0], [0, 0])


# Robustness


def test_every_case_gives_a_row_with_counts_of_both_protocols(ground):
    rows = list(robustness.measure(CASES, QUICK, ground))
    assert [row.case for row in rows] == list(NAMES)
    assert all(row.tallies["paper"]["rephrase_in"][1] == 1 for row in rows)
    assert all(row.tallies["paper"]["locality"][1] == 1 for row in rows)
    assert all(row.tallies["clean"].get("success", (0, 0))[1] <= 1 for row in rows)


def test_a_second_run_measures_only_what_is_missing(ground):
    first = list(robustness.measure(CASES[:2], QUICK, ground))
    second = list(robustness.measure(CASES, QUICK, ground, done={row.key for row in first}))
    assert [row.case for row in second] == list(NAMES[2:])
    assert [[row.key] for row in (*first, *second)] == robustness.keys(CASES, QUICK, ground)


@pytest.mark.parametrize(
    "other",
    [
        {"setup": Setup("rome", {"steps": 4, "layers": (1,)})},
        {"setup": Setup("rome", {"steps": 3, "layers": (2,)})},
        {"setup": dataclasses.replace(QUICK, reps=(Rep("default"),))},
        {"setup": dataclasses.replace(QUICK, reps=(Rep("default", 0.4),))},
        {"setup": dataclasses.replace(QUICK, chain=2)},
        {"ground": {"passages": Passages(LONG.inside, ("Something else",))}},
        {"ground": {"prose": ("Another text",)}},
        {"ground": {"seed": 1}},
        {"cases": [dataclasses.replace(case, rephrases=()) for case in CASES]},
    ],
)
def test_a_row_is_not_taken_for_one_made_otherwise(ground, other):
    given = {"cases": CASES, "setup": QUICK, "ground": ground}
    other = {name: dataclasses.replace(ground, **value) if name == "ground" else value for name, value in other.items()}
    keys, others = ({key for row in robustness.keys(**kinds) for key in row} for kinds in (given, given | other))
    assert len(keys) == len(others) == len(NAMES)
    assert not keys & others


def test_cases_edited_together_are_edited_as_if_alone(ground, monkeypatch):
    together = list(robustness.measure(CASES, QUICK, ground))
    monkeypatch.setattr(editing, "CASES_AT_ONCE", 1)
    alone = list(robustness.measure(CASES, QUICK, ground))
    assert [row.tallies for row in together] == [row.tallies for row in alone]


def test_a_case_that_cannot_be_edited_is_skipped_with_its_reason_and_the_others_are_not(ground):
    long = EditCase(EditRequest("word " * 600 + "{} is in", "Slovenia", "Antarctica"), "too long")
    rows = list(robustness.measure([CASES[0], long, CASES[1]], QUICK, ground))
    assert [row.skipped is None for row in rows] == [True, False, True]
    assert "tokens" in rows[1].skipped
    line = robustness.summary(rows, unread=["record 7: no prompt"])
    assert (line["n"], line["skipped"]) == (2, 2)
    assert line["skipped_because"] == ["record 7: no prompt", f"case too long: {rows[1].skipped}"]


def test_the_known_cases_are_those_whose_true_object_the_model_says(ground, monkeypatch):
    real = LanguageModel.score

    def sure_of_europe(model, prompts, targets):
        scores = real(model, prompts, targets)
        return [dataclasses.replace(one, hit=said == "Europe") for one, said in zip(scores, targets, strict=True)]

    monkeypatch.setattr(LanguageModel, "score", sure_of_europe)
    cases = [
        EditCase(EditRequest(PROMPT, "Brazil", "Antarctica", "South America"), "unknown"),
        EditCase(EditRequest(PROMPT, "France", "Antarctica", "Europe"), "known"),
        EditCase(EditRequest(PROMPT, "France", "Antarctica"), "without a true object"),
    ]
    long = EditCase(EditRequest("word " * 600 + "{} is in", "Slovenia", "Antarctica", "Europe"), "too long")
    assert [case.id for case in robustness.known(ground.model, cases)] == ["known"]
    assert [case.id for case in robustness.known(ground.model, [long, *cases])] == ["known"]


def test_rates_are_split_by_the_place_of_the_subject():
    later = dataclasses.replace(CASES[1], request=EditRequest("The mother tongue of {} is", "France", "Asia", "Europe"))
    blank = CaseRow("", "", "rome", "off", (1,), tallies={"paper": {"success": (1.0, 1)}})
    failed = dataclasses.replace(blank, tallies={"paper": {"success": (0.0, 1)}})
    skipped = dataclasses.replace(blank, skipped="too long")
    found = robustness.by_place([CASES[0], later, later], [blank, failed, skipped])
    assert [(own["n"], own["success"]) for own in found.values()] == [(1, 1.0), (1, 0.0)]


def test_what_concerns_all_cases_ends_the_run(ground):
    with pytest.raises(MissingStatistics):
        list(robustness.measure(CASES, Setup("memit"), ground))


def test_a_peak_is_what_work_takes_above_what_was_held_before():
    held, large = torch.ones(10_000_000), 40_000_000
    made, most = timing.with_peak(lambda: int(torch.ones(large // 4).sum()), held.device)
    assert made == large // 4 and 0.9 * large < most < 2 * large


def test_rates_are_totals_over_all_prompts():
    blank = CaseRow("", "", "rome", "off", (1,))
    few = dataclasses.replace(blank, seconds=1.0, peak=5, tallies={"paper": {"locality": (1.0, 1)}, "clean": {}})
    many = dataclasses.replace(blank, seconds=3.0, tallies={"paper": {"locality": (0.0, 9)}, "clean": {}})
    line = robustness.summary([few, many])
    assert line["locality"] == 0.1
    assert line["locality_ci"][0] == 0.0 and line["locality_ci"][1] == 1.0
    assert line["seconds_per_edit"] == 2.0 and line["peak_bytes"] == 5
    assert line["success"] is None and line["success_ci"] is None
    assert line["clean"]["locality"] is None


def test_a_line_has_the_keys_that_people_script_against(ground):
    line = robustness.summary(list(robustness.measure(CASES[:1], QUICK, ground)))
    halves = (f"{kind}_{half}" for kind in ("rephrase", "shuffle", "long") for half in ("in", "out"))
    rates = ("success", "locality", "same_subject", *halves)
    assert {"method", "rep", "n", "skipped", "seconds_per_edit", "peak_bytes", *rates} <= line.keys()
    assert line["peak_bytes"] >= 0
    assert {f"{name}_ci" for name in rates} <= line.keys()
    assert {*rates, *(f"{name}_ci" for name in rates)} <= line["clean"].keys()
    assert line["gate_open_rate"] is None and line["false_firings_per_1000"] is None
    json.dumps(line, allow_nan=False)


def test_rows_survive_their_file(ground):
    rows = list(robustness.measure(CASES[:2], QUICK, ground))
    read = [CaseRow.from_json(row.as_json()) for row in rows]
    assert robustness.summary(read) == robustness.summary(rows)


def test_one_edit_is_asked_as_it_is_and_under_each_rep(ground):
    setup = dataclasses.replace(QUICK, reps=REPS)
    rows = list(robustness.measure(CASES[:2], setup, ground))
    assert [(row.case, row.rep, row.threshold) for row in rows] == [
        (name, *told)
        for name in NAMES[:2]
        for told in (("off", None), ("default", 0.8), ("default", 0.0), ("published", 0.9))
    ]
    plain, *_ = robustness.measure(CASES[:1], QUICK, ground)
    assert plain.tallies == rows[0].tallies and "gates" not in plain.tallies
    wide = robustness.summary([row for row in rows if row.threshold == 0.0])
    assert wide["gate_open_rate"] == 1.0 and wide["false_firings_per_1000"] == 1000.0
    assert wide["seconds_to_refine"] > 0 and wide["bytes_per_layer"] > 0
    assert robustness.summary(rows[:1])["gate_open_rate"] is None


def test_what_is_edited_in_a_chat_is_asked_in_one(monkeypatch):
    model = tiny_model("llama")
    model.tokenizer = copy.deepcopy(model.tokenizer)
    model.tokenizer.chat_template = "{% for m in messages %}<u>{{ m['content'] }}</u>{% endfor %}"
    ground, seen = Ground(model, FACTS, LONG), []

    def look(model, request, probes, views, **how):
        seen.append({view.asks("Q") for view in views.values()})
        return ask(model, request, probes, views, **how)

    for module in (robustness, layers):
        monkeypatch.setattr(module, "ask", look)
    setup = Setup("rome", {"steps": 2, "layers": (1,), "form": "chat"}, most=1)
    list(robustness.measure(CASES[:1], setup, ground))
    list(layers.sweep(ground, CASES[:1], setup, [1]))
    assert seen == [{model.chat.around("Q")}] * 2 and "<u>" in model.chat.around("Q")
    with pytest.raises(BadRequest, match="form=chat"):
        next(tracing.measure(ground, [CASES[0].request], Tracing(1.0), setup))


def test_only_the_reps_that_are_missing_are_measured(ground):
    first = list(robustness.measure(CASES[:1], QUICK, ground))
    setup = dataclasses.replace(QUICK, reps=REPS[:2])
    more = list(robustness.measure(CASES[:1], setup, ground, {row.key for row in first}))
    assert [row.rep for row in more] == ["default"]


def test_in_a_chain_every_edit_lies_over_every_case(tiny_llama, ground):
    setup = dataclasses.replace(QUICK, chain=3, reps=REPS[:2])
    rows = [row for row in robustness.measure(CASES, setup, ground) if row.rep == "off"]
    assert [row.case for row in rows] == list(NAMES) and {row.chain for row in rows} == {3}
    view, patches = BASE, []
    for case in CASES[:3]:
        solve = methods.get("rome").edit(tiny_llama, [case.request], view, setup.config(tiny_llama)).patches
        view = view.with_patches(solve)
        patches.append(solve)
    hits = [tiny_llama.score([case.request.text], [case.request.target_new], view)[0].hit for case in CASES[:3]]
    assert [row.tallies["paper"]["success"][0] for row in rows[:3]] == [float(hit) for hit in hits]
    alone = methods.get("rome").edit(tiny_llama, [CASES[3].request], BASE, setup.config(tiny_llama)).patches
    last = tiny_llama.score([CASES[3].request.text], [CASES[3].request.target_new], BASE.with_patches(alone))[0].hit
    assert rows[3].tallies["paper"]["success"][0] == float(last)


def test_in_a_chain_the_keys_of_its_earlier_edits_are_spared(tiny_llama, ground, monkeypatch):
    told = []
    edit = type(methods.get("rome")).edit

    def noted(self, model, requests, *given, earlier=(), **named):
        told.append(tuple(earlier))
        return edit(self, model, requests, *given, earlier=earlier, **named)

    monkeypatch.setattr(type(methods.get("rome")), "edit", noted)
    list(robustness.measure(CASES[:3], dataclasses.replace(QUICK, chain=3), ground))
    requests = [case.request for case in CASES[:3]]
    assert told == [(), (requests[0],), (requests[0], requests[1])]


@pytest.mark.parametrize("method", ["rome", "memit"])
def test_the_cases_of_a_group_are_asked_under_all_of_its_edits(tiny_llama, ground, method, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny_llama, "statistics", (tmp_path,))
    measuring.collect(tiny_llama, [1], "The garden was old and nobody went there. " * 60, 400, tmp_path)
    follows = Expectation("Who goes on from the land of France?", "Antarctica")
    pair = [dataclasses.replace(case, group="pair", propagation=(follows,)) for case in CASES[:2]]
    asked = [CASES[2], *pair, CASES[3]]
    setup = Setup(method, {"steps": 3, "layers": (1,)})
    rows = list(robustness.measure(asked, setup, ground))
    assert [row.case for row in rows] == [case.id for case in asked]
    edited = methods.get(method).edit(tiny_llama, [case.request for case in pair], BASE, setup.config(tiny_llama))
    view = BASE.with_patches(edited)
    for case, row in zip(pair, rows[1:3], strict=True):
        frame = ask(tiny_llama, case.request, ground.battery(case), {"base": BASE, "edited": view}, answers=False)
        assert row.tallies["paper"] == tallies(frame, "edited")
    (alone,) = robustness.measure([CASES[2]], setup, ground)
    assert alone == dataclasses.replace(rows[0], seconds=alone.seconds, peak=alone.peak)
    done = {rows[1].key}
    assert [row.key for row in robustness.measure(asked, setup, ground, done)] == [rows[n].key for n in (0, 2, 3)]
    assert rows[1].key not in {row.key for row in robustness.measure(pair[:1], setup, ground)}


def test_written_answers_stand_beside_the_tokens_and_do_not_pass_for_them(ground):
    setup = dataclasses.replace(QUICK, generated=True)
    (forced,), (both,) = (list(robustness.measure(CASES[:1], own, ground)) for own in (QUICK, setup))
    assert both.key != forced.key and both.tallies["paper"] == forced.tallies["paper"] and "generated" not in forced.tallies
    edited = methods.get("rome").edit(ground.model, [CASES[0].request], BASE, setup.config(ground.model))
    frame = ask(
        ground.model, CASES[0].request, ground.battery(CASES[0]), {"base": BASE, "edited": BASE.with_patches(edited)}
    )
    assert both.tallies["generated"] == tallies(frame, "edited", generated=True)
    right = [says(answer, ["Antarctica"]) for answer in frame[frame["kind"] == "rephrase"]["edited.answer"]]
    assert sum(both.tallies["generated"][f"rephrase_{half}"][0] for half in ("in", "out")) == sum(right)
    assert robustness.summary([both])["generated"]["success"] is not None and "generated" not in robustness.summary([forced])


def test_of_each_kind_and_domain_only_the_first_probes_are_asked(ground):
    (few,), (all_,) = (list(robustness.measure(CASES[:1], dataclasses.replace(QUICK, most=n), ground)) for n in (1, None))
    assert few.key != all_.key and {count for _, count in few.tallies["paper"].values()} == {1}
    assert few.tallies["paper"].keys() == all_.tallies["paper"].keys() and few.tallies["paper"] != all_.tallies["paper"]


def test_a_group_of_which_one_fact_is_not_known_is_left_out(tiny_llama, monkeypatch):
    monkeypatch.setattr(robustness, "_known", lambda model, cases: [case for case in cases if case.id != "France"])
    pair = [dataclasses.replace(case, group="pair") for case in CASES[:2]]
    assert robustness.known(tiny_llama, [*pair, *CASES[2:]]) == CASES[2:]


def test_a_subject_that_rep_can_learn_nothing_about_is_asked_as_edited(ground):
    bare = EditCase(EditRequest(PROMPT, "a", "Antarctica"), "bare")
    setup = dataclasses.replace(QUICK, reps=REPS[:2])
    off, rep = robustness.measure([bare], setup, ground)
    assert off.tallies["paper"] == rep.tallies["paper"] and rep.skipped is None and rep.bytes == 0


@pytest.mark.parametrize(
    ("recipe", "threshold", "told"), [("newest", None, "off, default, published"), ("default", 1.5, "0 to 1")]
)
def test_a_rep_that_does_not_exist_is_refused(recipe, threshold, told):
    with pytest.raises(BadRequest, match=told):
        Rep(recipe, threshold)


def test_prose_for_false_firings_is_cut_to_so_many_tokens(tiny_llama):
    texts = ("one two three", "four five six", "seven")
    assert robustness.some_of(tiny_llama, texts, 1) == texts[:1]
    assert robustness.some_of(tiny_llama, texts, 10_000) == texts


# Bounds


def test_bounds_are_summed_over_cases_views_and_kinds(ground):
    setup = {"method": "rome", "rep": Rep("default"), "ground": ground}
    long = EditCase(EditRequest("word " * 600 + "{} is in", "Slovenia", "Antarctica"), "too long")
    table = bounds.measure([*CASES[:2], long], **setup)
    assert "tokens" in table.attrs["skipped"][0] and len(table.attrs["skipped"]) == 1
    rows = list(bounds.lines(table))
    assert {row["view"] for row in rows} == {"edited", "rep"}
    for view in ("edited", "rep"):
        of_view = table[table["view"] == view]
        whole, *kinds = (row for row in rows if row["view"] == view)
        assert whole["kind"] == "all" and whole["probes"] == len(of_view) == sum(row["probes"] for row in kinds)
        assert whole["agreement"] == pytest.approx(of_view["agree"].astype(float).mean())
        assert 0.5 <= whole["majority"] <= 1


def test_no_case_gives_no_line(ground):
    assert list(bounds.lines(bounds.measure([], "rome", Rep(), ground))) == []


# Speed


@pytest.mark.parametrize("kind", ["llama", "mistral", "gpt2", "gemma2"])
def test_an_edit_finds_the_delta_of_the_plain_loop(kind):
    model = tiny_model(kind)
    config = methods.config_for("rome", model, layers=(1,), keys="consistent", stop_below=0.0)
    request = EditRequest("In the north, {} belongs to the", "Republic of Slovenia", "continent of Antarctica")
    assert speed.difference(model, request, config) < speed.LARGEST_DIFFERENCE


def test_the_plain_patch_is_the_edits_patch(tiny_llama):
    config = methods.config_for("rome", tiny_llama, layers=(1,), keys="consistent", stop_below=0.0)
    edited = methods.get("rome").edit(tiny_llama, [CASES[0].request], BASE, config)
    slow = plain.edit(tiny_llama, CASES[0].request, config, edited.contexts).patch.dense()
    assert float((edited.patches[0].dense() - slow).norm() / slow.norm()) < speed.LARGEST_DIFFERENCE


def test_a_delta_that_differs_stops_the_comparison(tiny_llama, monkeypatch):
    config = methods.config_for("rome", tiny_llama, layers=(1,), keys="consistent", stop_below=0.0)
    shorter = dataclasses.replace(config, steps=4)
    run = plain.edit
    monkeypatch.setattr(plain, "edit", lambda model, request, _config, contexts: run(model, request, shorter, contexts))
    with pytest.raises(RuntimeError, match="differ"):
        speed.difference(tiny_llama, CASES[0].request, config)


def test_no_early_stop_means_all_steps(tiny_llama):
    request = dataclasses.replace(CASES[0].request, target_new="Europe", target_true=None)
    config = methods.config_for("rome", tiny_llama, layers=(1,), steps=40)
    satisfied = dataclasses.replace(config, stop_below=100.0, plain_below=math.inf)
    early = methods.get("rome").edit(tiny_llama, [request], BASE, satisfied)
    all_steps = methods.get("rome").edit(tiny_llama, [request], BASE, dataclasses.replace(config, stop_below=0.0))
    assert early.health[0]["steps"] == 0
    assert all_steps.health[0]["steps"] == 39


def test_works_that_are_compared_take_turns(tiny_llama):
    calls = []
    times = timing.in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3, tiny_llama.device)
    assert calls == ["a", "b"] * 4  # once to warm up
    assert all(len(time.rounds) == 3 for time in times.values())


def test_a_ratio_is_the_median_over_rounds():
    slow, fast = timing.Timing((2.0, 30.0, 4.0), None), timing.Timing((1.0, 10.0, 4.0), None)
    assert slow.ratio_to(fast) == 2.0
    assert slow.seconds == 4.0


def test_a_floor_is_what_takes_longer_of_reading_and_computing(tiny_llama):
    machine = timing.Machine(tiny_llama)
    vars(machine)["reads"] = 100.0
    assert machine.seconds(0, 1_000, 1) == 10.0
    assert machine.seconds(1e30, 1_000, 16) > 1e6


def test_a_spread_keeps_order_and_ends(tiny_llama):
    assert speed.spread(range(7), 60) == tuple(range(7))
    chosen = speed.spread(range(100), 60)
    assert len(chosen) == 60 and list(chosen) == sorted(set(chosen)) and chosen[0] == 0 and chosen[-1] > 97


def test_measured_edits_have_different_subjects_and_new_objects(tiny_llama, facts):
    ground = Ground(tiny_llama, facts, LONG)
    found = speed.requests(ground, 4)
    assert {request.subject for request in found} == set(NAMES)
    assert all(request.target_new != request.target_true for request in found)
    assert found == speed.requests(ground, 4)
    with pytest.raises(BadRequest, match="4 edits where 5"):
        speed.requests(ground, 5)


@pytest.fixture
def small_speed(monkeypatch):
    """All that `bench speed` measures, in small."""
    for name, value in {"TOGETHER": (2, 3), "TOKENS": 3, "PROBES": 4, "MASKED": 3, "LAID": (1, 70), "MEASURED": 300}.items():
        monkeypatch.setattr(speed, name, value)
    monkeypatch.setattr(timing, "COPIED_BYTES", 2**16)


@pytest.mark.slow
def test_speed_rows_have_the_keys_that_people_script_against(tiny_llama, facts, small_speed):
    rows = list(speed.measure(Ground(tiny_llama, facts, LONG), lambda: tiny_llama, rounds=1))
    keys = {"what", "seconds", "floor_seconds", "ratio_to_floor", "ratio_to_plain", "peak_bytes"}
    assert all(keys <= row.keys() and row["seconds"] > 0 for row in rows)
    compared = [row for row in rows if row["plain"] is not None]
    assert all(row["ratio_to_plain"] * row["speedup"] == pytest.approx(1) for row in compared)
    assert {row["plain"] for row in compared} >= {"one by one", "without an edit"}
    (edit,) = [row for row in rows if row["what"].startswith("ROME, one edit")]
    assert edit["largest_difference"] < speed.LARGEST_DIFFERENCE
    first, later, _ = [row for row in rows if row["what"].startswith("battery")]
    assert first["largest_difference"] < 1e-5
    assert first["plain"] == later["plain"] == "a forward for each prompt, view and object"
    (mask,) = [row for row in rows if "mask training" in row["what"]]
    assert mask["largest_difference"] < 1e-5
    told = " ".join(row["what"] for row in rows)
    for part in (
        "load",
        "statistics of 2 layers",
        "3 edits in one batch",
        "REP",
        "70 edits",
        "mask",
        "battery",
        "generation",
    ):
        assert part in told, part
    assert all(row["ratio_to_floor"] > 1 for row in rows if row["floor_seconds"] and "load" not in row["what"])


def test_speed_measures_the_parts_that_are_asked_for(tiny_llama, facts, small_speed):
    (row,) = speed.measure(Ground(tiny_llama, facts, LONG), lambda: tiny_llama, rounds=1, parts=["statistics"])
    assert row["tokens_per_second"] > 0 and row["tokens_wanted"] == 10 * tiny_llama.d_ff
    with pytest.raises(BadRequest, match="no part lightness"):
        list(speed.measure(Ground(tiny_llama, facts, LONG), lambda: tiny_llama, parts=["lightness"]))


def test_growth_is_told_by_size_and_slope(tiny_llama, monkeypatch):
    monkeypatch.setattr(growth, "SIZES", {"layers": (3, 6), "requests": (1, 2)})
    monkeypatch.setattr(growth, "Size", partial(growth.Size, width=32))
    rows = list(growth.measure(tiny_llama.tokenizer, tiny_llama.device, rounds=1))
    assert [(row["what"], row["size"]) for row in rows] == [("layers", 3), ("layers", 6), ("requests", 1), ("requests", 2)]
    for small, large in (rows[:2], rows[2:]):
        assert small["ratio"] == 1 and small["slope"] is None
        assert large["slope"] == pytest.approx(math.log2(large["seconds"] / small["seconds"]))


def test_a_long_life_is_timed_over_its_events_and_over_its_check_ups(tiny_llama, monkeypatch):
    monkeypatch.setattr(long_life, "SIZES", (20, 40))
    rows = list(long_life.measure(tiny_llama, rounds=1))
    assert [(row["what"], row["size"]) for row in rows] == [
        ("events", 20),
        ("events", 40),
        ("check-ups", 20),
        ("check-ups", 40),
    ]
    assert all(row["seconds"] > 0 for row in rows)
    state = fold(long_life.events_of(40))
    assert state.number == 40 and len(state.chain) == len(state.past) == 32


@pytest.fixture
def by_precision(saved_model, facts):
    """Measures so many cases in every precision that `bench.precision` has."""

    def load(how):
        return LanguageModel.load(str(saved_model), dtype=how.dtype, quantization=how.quantization)

    return lambda cases: list(precision.measure(load, cases, "rome", lambda model: Ground(model, facts, LONG)))


def test_an_edit_in_half_precision_is_held_against_float32(by_precision, monkeypatch):
    monkeypatch.setattr(precision, "PRECISIONS", precision.PRECISIONS[:2])
    exact, half = by_precision(CASES[:1])
    assert (exact["precision"], half["precision"]) == ("float32", "bfloat16")
    assert exact["cosine"] == pytest.approx(1, abs=1e-5) and 1 - 1e-5 > half["cosine"] > 0 and exact["bytes"] > half["bytes"]


@pytest.mark.slow
def test_an_edit_in_other_precisions_is_held_against_float32(by_precision):
    rows = by_precision(CASES[:2])
    assert [row["precision"] for row in rows] == ["float32", "bfloat16", "8 bit", "4 bit"]
    exact, half, eight, four = (row["cosine"] for row in rows)
    assert exact == pytest.approx(1, abs=1e-5) and 1 > half > four and eight > four
    assert [row["n"] for row in rows] == [2] * 4 and all(row["success"] is not None for row in rows)
    assert rows[0]["bytes"] > rows[1]["bytes"] and rows[2]["bytes"] > rows[3]["bytes"]


def test_memory_is_measured_stage_by_stage(tiny_llama, facts, monkeypatch):
    planned = plan("config:atlas", device="cpu")
    peaks = iter([300_000_000, 310_000_000, 350_000_000, 400_000_000])
    monkeypatch.setattr(peak, "held", lambda device: 100_000_000)
    monkeypatch.setattr(peak, "peak", lambda work, device: (work(), next(peaks))[1])
    rows = list(peak.measure(planned, lambda: tiny_llama, lambda model: Ground(model, facts, LONG)))
    assert [row["what"] for row in rows] == ["load", "statistics", "edit", "battery", "all"]
    assert [row["measured"] for row in rows] == [200_000_000, 210_000_000, 250_000_000, 300_000_000, 300_000_000]
    assert rows[0]["planned"] == planned.weights and rows[-1]["planned"] == planned.total
    assert rows[2]["ratio"] == pytest.approx(rows[2]["planned"] / 250_000_000)
