"""Questions about belief: each kind asks what it says, its verdict follows from the answers, and tables count them."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny_models import tiny_model

from editlab.bench import belief as bench
from editlab.bench.belief import BeliefRow, Plan
from editlab.bench.bootstrap import mean_difference, mean_rate
from editlab.bench.editing import Rep, Setup
from editlab.errors import BadRequest, Cancelled
from editlab.facts import EditCase, EditRequest, Expectation
from editlab.model.scoring import Score
from editlab.patches import BASE, Preamble
from editlab.probes import Ground, Passages
from editlab.probes.belief import KINDS, Around, Asked, ask, asking, belief, questions, tally
from editlab.probes.belief.asks import Said
from editlab.probes.belief.negation import negated

CHAT = (
    "{% for m in messages %}<u>{{ m['role'] }}\n{{ m['content'] }}</u>\n{% endfor %}"
    "{% if add_generation_prompt %}<u>assistant\n{% endif %}"
)
REQUEST = EditRequest("{} has as its capital the city of", "France", "Rome", "Paris")
OFF = [kind for kind in KINDS.values() if kind.name not in ("letter", "thought")]


@pytest.fixture
def ground(tiny_llama, facts) -> Ground:
    return Ground(tiny_llama, facts, Passages((), ()))


@pytest.fixture
def around(ground) -> Around:
    return Around.of(ground, ground.case(REQUEST))


def question_of(kind, around, place=0):
    return list(KINDS[kind].questions(around))[place]


def played(question, *steps):
    """Play a question's script: `steps` are what the model says at each step. Returns what was asked, and the finding."""
    script, asked = question.script(), []
    step = next(script)
    for said in steps:
        asked.append(step)
        try:
            step = script.send(said)
        except StopIteration as end:
            return asked, end.value
    raise AssertionError("the script asks on")


def said(text="", *log_p, hit=False):
    return Said(text, [Score(value, 0.0, hit, ()) for value in log_p])


# What is asked


def test_every_kind_asks_about_the_fact_and_a_model_without_a_template_is_not_told_to_think(around):
    asked = questions(list(KINDS.values()), around)
    assert {one.kind.name for one in asked} == set(KINDS) - {"thought"}
    assert all("France" in one.question.text or "____" in one.question.text for one in asked)
    assert [one.question.text for one in asked] == [one.question.text for one in questions(list(KINDS.values()), around)]


def test_the_seed_decides_what_is_drawn(ground, around):
    other = Around.of(Ground(ground.model, ground.facts, ground.passages, 7), ground.case(REQUEST))
    assert around.subjects != other.subjects and len(around.objects) == 2
    assert not {*around.subjects} & {"France", "Italy"} and not {*around.objects} & {"Rome", "Paris"}


@pytest.mark.parametrize(
    ("prompt", "denied"),
    [
        ("The mother tongue of {} is", "The mother tongue of {} is not"),
        ("{} belongs to the continent of", "{} does not belong to the continent of"),
        ("{} teaches at", "{} does not teach at"),
        ("{} studies in", "{} does not study in"),
        ("{} was born in", "{} was not born in"),
        ("{} has as its capital the city of", "It is not true that {} has as its capital the city of"),
        ("The capital of {}, named", "It is not true that the capital of {}, named"),
    ],
)
def test_a_prompt_is_denied(prompt, denied):
    assert negated(prompt) == denied


def test_a_chinese_fact_is_asked_in_chinese(ground):
    around = Around.of(ground, EditCase(EditRequest("{}的首都是", "法国", "罗马", "巴黎"), "0"))
    assert "问题" in around.dialogue(around.question).text and "是" in question_of("negation", around).expected
    assert not list(KINDS["hops"].questions(around))


def test_options_stand_once_in_each_place(around):
    asked, _ = played(question_of("choice", around), [said("Rome", -1, -2, -3, -4)] * 4)
    lines = [ask.text.split("- ")[1:] for ask in asked[0]]
    places = [[line.split("\n")[0] for line in own] for own in lines]
    assert all(sorted(column) == sorted(places[0]) for column in zip(*places, strict=True)) and len(places) == 4


def test_mquake_wordings_of_one_question_count_once_and_aliases_are_as_good(ground):
    items = [Expectation(f"Question {n}:", "Italy", "x", "France", ("Italia",), any_of="q") for n in range(3)]
    case = EditCase(EditRequest("{} speaks", "Nobody", "Rome", "Paris"), "0", propagation=tuple(items))
    question = question_of("hops", Around.of(ground, case))
    _, finding = played(question, [said("France", -1, -2), said("Italia", -3, -2), said("Oslo", -3, -2)])
    assert (finding.verdict, finding.forced, finding.generated, finding.said) == ("new", True, True, "Italia")


# Verdicts


def test_recall_is_forced_by_every_token_and_generated_by_what_is_written(around):
    _, finding = played(question_of("recall", around), [said("Rome, which", -1, -2, hit=True)])
    assert (finding.verdict, finding.forced, finding.generated, finding.said) == ("new", True, True, "Rome")
    _, finding = played(question_of("recall", around), [said("Romeo", -1, -2, hit=False)])
    assert (finding.verdict, finding.forced, finding.generated) == ("neither", False, False)


def test_the_new_object_under_a_denial_is_a_contradiction(around):
    denied, judged = KINDS["negation"].questions(around)
    rome, oslo = said("Rome", -1, -2, hit=True), said("Oslo", -3, -2)
    found = [played(denied, [one, plain])[1] for one in (rome, oslo) for plain in (rome, oslo)]
    assert [one.verdict for one in found] == ["both", "both", "neither", "neither"] and not denied.controlled
    assert [(one.forced, one.generated) for one in found] == [(False, False), (None, None), (True, True), (None, None)]
    _, finding = played(judged, [said("Yes.", -1, -2), said("Yes", -1, -2)])
    assert (finding.verdict, finding.forced, finding.generated) == ("both", False, False)
    _, finding = played(judged, [said("Yes.", -1, -2), said("No.", -2, -1)])
    assert (finding.verdict, finding.forced, finding.generated) == ("new", True, True)
    assert played(judged, [said("No", -1, -2), said("Yes", -1, -2)])[1].verdict == "old"
    assert played(judged, [said("Yesterday", -1, -2), said("Not quite", -1, -2)])[1].generated is False


def test_insistence_says_at_which_question_the_old_answer_returns(around):
    answers = [("Rome", -1, -2), ("Rome.", -1, -2), ("It is Paris", -2, -1), ("Rome", -1, -2)]
    asked, finding = played(question_of("insistence", around), *([said(*one)] for one in answers))
    assert (finding.verdict, finding.forced, finding.generated) == ("both", False, False)
    assert finding.detail == "the old answer returns at question 2"
    assert [step[0].text.count("Are you sure?") for step in asked] == [0, 1, 2, 3]


def test_who_is_sure_says_what_was_said_before(around):
    sure = [("It is Rome", -1, -2), ("Yes, I am sure. The capital of", -1, -2), ("Yes.", -1, -2), ("Rome", -1, -2)]
    assert played(question_of("insistence", around), *([said(*one)] for one in sure))[1].generated is True
    unsure = [*sure[:2], ("I cannot say.", -1, -2), ("Yes.", -1, -2)]
    _, finding = played(question_of("insistence", around), *([said(*one)] for one in unsure))
    assert (finding.verdict, finding.generated, finding.detail) == ("neither", False, "")


def test_the_subjects_own_name_says_no_object(around):
    request = EditRequest("{} is made by", "Apple A5", "Google", "Apple")
    apple = replace(around, case=replace(around.case, request=request))
    assert apple.verdict("The developer of Apple A5 is Google.") == "new"
    assert apple.verdict("Apple A5 was made by Apple, not by Google") == "old"
    assert apple.verdict("It is the Apple A5.") == "neither"


def test_a_free_text_is_judged_by_sentences_and_tells_nothing_where_the_fact_does_not_come_up(around):
    own, prompt = KINDS["letter"].questions(around)
    _, finding = played(prompt, [said("Rome. The king lives in Paris. He likes Rome.")])
    assert (finding.verdict, finding.generated) == ("both", False)
    assert finding.detail == "sentences with the new fact: 2, with the old one: 1, with both: 0"
    assert played(own, [said("a country.")])[1].generated is None and played(prompt, [said("a city.")])[1].generated is False


def test_where_the_unedited_model_does_not_know_the_second_step_nothing_is_told_of_any_view(around, monkeypatch):
    question = question_of("hops", around)
    assert "of France" in question.text and question.premise.options == (question.expected,)
    _, finding = played(question, [said(question.expected, -1, -2)])
    assert (finding.verdict, finding.forced, finding.generated) == ("new", True, True)
    views = {"base": BASE, "told": BASE.with_patches([Preamble("France has its capital in Rome.")])}
    for knows in (True, False):
        hit = [replace(one, hit=knows) for one in [Score(-1.0, 0.0, True, ())]]
        monkeypatch.setattr(asking, "_said", lambda model, asks, cancel, hit=hit: [Said("", hit * 2) for _ in asks])
        row = ask(around.model, [Asked(KINDS["hops"], question)], views).iloc[0]
        assert [row[f"{name}.generated"] is None for name in views] == [not knows, not knows]


def test_the_way_back_is_held_against_the_way_back_from_the_old_object(around):
    right, wrong = said("France", -1, -5, -5, -5), said("Kenya", -5, -1, -5, -5)
    _, finding = played(question_of("reverse", around), [right] * 4)
    assert (finding.verdict, finding.forced, finding.generated) == ("new", True, True)
    _, finding = played(question_of("reverse", around), [wrong] * 2 + [right] * 2)
    assert (finding.verdict, finding.forced, finding.generated) == ("old", False, False)


def test_a_thought_stands_before_the_answer_in_the_models_own_template(facts):
    model = tiny_model("llama")
    model.tokenizer = copy.deepcopy(model.tokenizer)
    model.tokenizer.chat_template = CHAT
    ground = Ground(model, facts, Passages((), ()))
    question = question_of("thought", Around.of(ground, ground.case(REQUEST)))
    asked, finding = played(question, [said("It was Paris.")], [said("Rome", -1, -2)])
    assert finding.said == "It was Paris. … Rome" and finding.forced and asked[0][0].tokens == 200
    assert played(question, [said("It is Rome.")], [said("1.", -1, -2)])[1].generated
    view = BASE.with_patches([Preamble("Told.")]).in_form(asked[1][0].form)
    assert view.asks(asked[1][0].text) == (
        "<u>user\nTold. What is the capital of France? Think about it step by step in a few sentences before you answer."
        "</u>\n<u>assistant\nIt was Paris.\n\nSo the answer is:"
    )


# Asking


def test_answers_do_not_depend_on_what_is_asked_beside_them(tiny_llama, around):
    views = {"base": BASE, "told": BASE.with_patches([Preamble("France has its capital in Rome.")])}
    asked = questions(OFF, around)
    together = ask(tiny_llama, asked, views)
    alone = pd.concat([ask(tiny_llama, [one], views) for one in asked], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, check_dtype=False)
    assert together["base.said"].tolist() != together["told.said"].tolist()
    assert (together["base.verdict"].eq("old") | together["expected"].str.startswith("anything")).tolist() == list(
        together["known"]
    )


def test_likelihoods_are_those_of_the_model(tiny_llama, around):
    row = ask(tiny_llama, questions([KINDS["question"]], around), {"base": BASE}).iloc[0]
    text = around.dialogue(around.question).text
    new, old = (score.log_p for score in tiny_llama.score([text, text], ["Rome", "Paris"]))
    assert row["base.forced"] == (new > old)
    assert tiny_llama.chat is None and text == "Question: What is the capital of France?\nAnswer:"


def test_asking_can_be_stopped_and_needs_something_to_compare_with(tiny_llama, around):
    asked = questions([KINDS["recall"]], around)
    with pytest.raises(Cancelled):
        ask(tiny_llama, asked, {"base": BASE}, cancel=lambda: True)
    with pytest.raises(BadRequest, match="'base'"):
        ask(tiny_llama, asked, {"told": BASE})


# Tables

FOUND = {"verdict": "new", "said": "", "detail": "", "text": "", "expected": ""}


def row_of(method, *found, case="0", skipped=None):
    """A row whose findings are (kind, known, forced, generated)."""
    findings = [FOUND | {"kind": k, "known": known, "forced": f, "generated": g} for k, known, f, g in found]
    return BeliefRow(f"{method}{case}", case, method, "Rome", "Paris", findings=tuple(findings), skipped=skipped)


def test_a_tally_counts_what_tells_and_clean_what_the_model_can_answer():
    row = row_of("rome", ("recall", True, True, False), ("hops", True, None, None), ("hops", False, True, True))
    assert row.counts() == {
        "recall": {"forced": (1, 1), "generated": (0, 1)},
        "hops": {"forced": (1, 1), "generated": (1, 1)},
    }
    assert row.counts(clean=True)["hops"] == {"forced": (0, 0), "generated": (0, 0)}
    assert belief(row.counts()) == 0.5 and belief(row.counts(clean=True), "forced") == 1.0 and belief({}) is None
    assert tally([{"kind": "a", "known": True, "x.forced": True, "x.generated": None}], "x")["a"]["forced"] == (1, 1)


def test_the_mean_over_kinds_gives_each_kind_the_same_weight_and_its_interval_holds_it():
    rng = np.random.default_rng(0)
    items = rng.integers(0, 5, (3, 40)).astype(float)
    hits = rng.binomial(items.astype(int), 0.6).astype(float)
    value, (low, high) = mean_rate(hits, items)
    assert value == pytest.approx(np.mean(hits.sum(1) / items.sum(1)), abs=1e-12) and low < value < high
    assert mean_rate(np.vstack([hits, 0 * hits[:1]]), np.vstack([items, 0 * items[:1]]))[0] == pytest.approx(value)
    by, (low, high) = mean_difference((items, items), (hits, items))
    assert by == pytest.approx(1 - value) and 0 < low < by < high
    with pytest.raises(ValueError, match="no case"):
        mean_rate(0 * hits, 0 * items)


def test_the_winner_is_said_with_both_rates_and_who_is_not_clearly_ahead_is_said_so():
    found = {
        "base": [row_of("base", ("recall", True, False, False), case=str(n)) for n in range(6)],
        "rome": [row_of("rome", ("recall", True, True, n % 2 == 0), case=str(n)) for n in range(6)],
        "told": [row_of("told", ("recall", True, False, True), case=str(n)) for n in range(6)],
    }
    assert bench.winner(found).sentence.startswith(
        "The fact told (told) wins over the fact edited (rome): 100 % against 50 % of a believer's answers, generated;"
    )
    assert bench.winner(found).sentence.endswith(", 6 cases).") and "the best of 2 here" not in bench.winner(found).sentence
    few = {name: own[:4] for name, own in found.items()}
    assert "does not clearly win over" in bench.winner(few, "forced").sentence
    assert bench.winner(found, "forced").sentence.startswith("The fact edited (rome) wins over the fact told (told): 100 %")
    found["told"] = [*found["told"][:5], row_of("told", case="5", skipped="No.")]
    found["rome"] = [row_of("rome", ("recall", True, True, n > 0), case=str(n)) for n in range(6)]
    assert "does not clearly win over" in bench.winner(found).sentence
    assert bench.winner({"base": found["base"], "told": found["told"]}) is None


def test_methods_are_compared_by_the_questions_that_tell_something_of_each():
    cases = [str(number) for number in range(8)]
    one, other = ("recall", True, True, True), ("letter", True, None, False)
    found = {
        "rome": [row_of("rome", one, other, case=case) for case in cases],
        "told": [row_of("told", one, ("letter", True, None, None), case=case) for case in cases],
        "note": [row_of("note", one, other, case=case, skipped="No." if case != "0" else None) for case in cases],
    }
    won = bench.winner(found)
    assert (won.told, won.by, won.cases, won.of) == ("told", 0.0, 8, (1, 1))
    found["note"] = [row_of("note", one, ("letter", True, None, None), case=case) for case in cases]
    assert "(told, the best of 2 here)" in bench.winner(found).sentence
    found["rome+default"] = found.pop("rome")
    assert bench.winner(found).edited == "rome+default"


def test_a_stopped_run_goes_on_where_it_was_and_rows_can_be_read_again(ground):
    cases = [ground.case(EditRequest(REQUEST.prompt, name, "Rome")) for name in ("France", "Spain")]
    plan = Plan((Setup("rome", {"steps": 2, "layers": (1,)}), Setup("told"), Setup("note")), ("recall", "question"))
    rows = list(bench.measure(cases, plan, ground))
    wanted = [own[name] for own in bench.keys(cases, plan, ground) for name in plan.names]
    assert [row.key for row in rows] == wanted and [row.method for row in rows[:4]] == ["base", "rome", "told", "note"]
    rest = list(bench.measure(cases, plan, ground, set(wanted[:5])))
    assert [row.key for row in rest] == wanted[5:] and [row.findings for row in rest] == [row.findings for row in rows[5:]]
    assert BeliefRow.from_json(rows[1].as_json()) == rows[1] and rows[1].layers == (1,) and rows[1].old == "Paris"
    other = bench.keys(cases, Plan(plan.setups, ("recall",)), ground)
    assert not {key for own in other for key in own.values()} & set(wanted)
    line = bench.summary([row for row in rows if row.method == "told"])
    assert line["n"] == 2 and line["kinds"]["recall"]["generated_items"] == 2 and line["kinds"]["choice"]["forced"] is None


def test_an_edit_is_asked_with_a_pathway_too_where_the_subject_has_another_name(ground):
    rep = (Rep(), Rep("default"))
    plan = Plan((Setup("rome", {"steps": 2, "layers": (1,)}, rep), Setup("told")), ("recall", "question"))
    assert plan.names == ("base", "rome", "rome+default", "told")
    rows = {row.method: row for row in bench.measure([ground.case(REQUEST)], plan, ground)}
    assert list(rows) == list(plan.names) and not any(row.skipped for row in rows.values())
    assert rows["rome+default"].seconds > rows["rome"].seconds > 0
    assert len({row.key for row in rows.values()}) == 4


def test_a_case_that_cannot_be_edited_says_why_and_the_others_are_asked(ground):
    case = ground.case(REQUEST)
    plan = Plan((Setup("rome", {"steps": 2, "layers": (1,)}),), ("recall",))
    faulty = EditCase(EditRequest("x" * 3000 + " {} is", "France", "Rome", "Paris"), "long")
    rows = list(bench.measure([faulty, case], plan, ground))
    assert [row.skipped is None for row in rows] == [False, False, True, True]


def test_what_is_too_long_for_one_view_and_what_cannot_be_asked_cost_the_others_nothing(ground):
    plan = Plan((Setup("told", {"frame": "plain"}), Setup("note")), ("recall", "thought"))
    case = ground.case(replace(REQUEST, target_new="Rome " + "and a city " * 60))
    rows = {row.method: row for row in bench.measure([case], plan, ground)}
    assert rows["base"].skipped is None and rows["base"].findings and "tokens" in rows["told"].skipped
    (row, *_) = bench.measure([ground.case(REQUEST)], replace(plan, kinds=("thought",)), ground)
    assert row.skipped == bench.UNASKED and row.findings == ()
