"""Where writing puts spaces and ends words: the rows of `facts.script` and `facts.languages`, and what is built on them."""

from dataclasses import replace

import pytest

from editlab.errors import BadRequest
from editlab.facts import EditCase, EditRequest, FactBase, read_cases
from editlab.facts.languages import LANGUAGES, essence, language_of, sentence_end
from editlab.facts.rephrases import rephrasings
from editlab.facts.script import (
    ANSWER_END,
    CLAUSE_END,
    WORD_JOINER,
    bare,
    begins_with,
    has_ended,
    joined,
    number_at,
    space_of,
    spaced,
    with_space,
)
from editlab.facts.writers import counterfact, easyedit, table
from editlab.insight.prefixes import _names
from editlab.methods import _delta
from editlab.patches import BASE
from editlab.probes import case_for
from editlab.probes.battery import shuffles
from editlab.probes.reversal import answers_with
from editlab.web.core.forms import read_request

NO_FACTS = FactBase((), {}, {})


@pytest.mark.parametrize(
    ("prompt", "target", "space"),
    [
        ("The capital of France is", "Paris", True),
        ("Столица Франции —", "Париж", True),
        ("عاصمة فرنسا هي", "باريس", True),
        ("भारत की राजधानी", "दिल्ली", True),
        ("한국의 수도는", "서울", True),
        ("中国的首都是", "北京", False),
        ("首都：", "北京", False),
        ("享年83", "岁", False),
        ("1949:", "中国", False),
        ("フランスの首都は", "Paris", False),
        ("カー", "ド", False),
        ("เมืองหลวงของไทยคือ", "กรุงเทพ", False),
        ("ເມືອງຫຼວງ", "ວຽງຈັນ", False),
        ("រាជធានី", "ភ្នំពេញ", False),
        ("မြို့တော်", "နေပြည်တော်", False),
        ("The Chinese word for water is", "水", True),
        ("was born in 19", "45", False),
        ("was born on 17 May", "1909", True),
        ("Pi is 3.", "14", False),
        ("1,", "234", False),
        ("1, 2, 3,", "4", True),
        ("at 10:", "30", False),
        ("The year is", "1945", True),
        ("It costs $", "5", False),
        ("It costs 5 €", "more", True),
        ("about 50", "%", False),
        ('The motto is "', "Live free", False),
        ("The motto is “", "Live free", False),
        ("The motto is «", "Live free", False),
        ('"Paris"', "is", True),
        ("„Berlin“", "ist", True),
        ("the Beatles'", "album", True),
        ("la capitale de l'", "Italie", False),
        ("Paris (", "France", False),
        ("and/", "or", False),
        ("Anglo-", "Saxon", False),
        ("Paris -", "the city", True),
        ("It is -", "40", False),
        ("The framework is", ".NET", True),
        ("The capital is ", "Paris", False),
        ("The capital is\n", "Paris", False),
    ],
)
def test_a_space_stands_where_the_script_writes_one(prompt, target, space):
    assert spaced(prompt, target) == space
    assert joined(prompt, target) == f"{prompt}{' ' * space}{target}"


def test_a_person_can_ask_for_a_space_or_for_none():
    assert joined("首都是", " 北京") == "首都是 北京" and joined("is", f"{WORD_JOINER}Paris") == "isParis"
    assert joined("首都是 ", " 北京") == "首都是 北京", "a prompt that ends in white space never gets a second one"
    for space in ("script", "yes", "no"):
        chosen = with_space("北京", space)
        assert (space_of(chosen), bare(chosen)) == (space, "北京")


def test_a_request_keeps_a_choice_only_where_it_changes_the_text():
    assert EditRequest("{} is in", "Rome", "  Asia ", f"{WORD_JOINER}Europe").as_dict() == {
        "prompt": "{} is in",
        "subject": "Rome",
        "target_new": "Asia",
        "target_true": f"{WORD_JOINER}Europe",
    }
    assert EditRequest("{}的首都是", "中国", " 纽约", f"{WORD_JOINER}北京") == EditRequest(
        "{}的首都是", "中国", " 纽约", "北京"
    )
    with pytest.raises(BadRequest, match="is the true object already"):
        EditRequest("{}的首都是", "中国", " 北京", "北京")
    with pytest.raises(BadRequest, match="new object is empty"):
        EditRequest("{} is in", "Rome", WORD_JOINER)


def test_the_page_stores_the_choice_with_the_request_for_both_objects():
    request = read_request("中国", "{}的首都是", "纽约", "北京", "yes")
    assert (request.target_new, request.target_true) == (" 纽约", " 北京")
    assert read_request("Rome", "{} is in", "Asia", "Europe", "no").target_new == f"{WORD_JOINER}Asia"
    assert read_request("Rome", "{} is in", "Asia", "", "yes") == EditRequest("{} is in", "Rome", "Asia")
    assert read_request("中国", "{}的首都是", " 纽约", "").target_new == " 纽约"


@pytest.mark.parametrize(("form", "name"), [(counterfact, "x.json"), (easyedit, "x.json"), (table, "x.csv")])
def test_every_file_of_edits_keeps_the_choice(form, name, tmp_path):
    requests = [
        EditRequest("{}的首都是", "中国", " 纽约", " 北京"),
        EditRequest("{} is in", "Rome", f"{WORD_JOINER}Asia"),
        EditRequest("{}的首都是", "中国", "纽约", "北京"),
    ]
    path = tmp_path / name
    path.write_text(form([EditCase(request, "1") for request in requests]), encoding="utf-8")
    assert [case.request for case in read_cases(path)] == requests


@pytest.mark.parametrize(
    ("text", "name", "says_it"),
    [
        ("北京是中国的首都", "北京", True),
        ("Paris是", "Paris", True),
        ("ローマです", "ローマ", True),
        ("ローマン", "ローマ", False),
        ("서울입니다", "서울", True),
        ("दिल्ली है", "दिल्ली", True),
        ("दिल्ली है", "दिल्ल", False),
        ("Москва", "Моск", False),
        ("باريس.", "باريس", True),
        (" Romania", "Rom", False),
        ("Rome's", "Rome", True),
        ("3.14", "3", False),
        ("1,234", "1", False),
        ("1909年", "1909", True),
        ("3. Then", "3", True),
        ("北京。", " 北京", True),
    ],
)
def test_an_answer_says_a_name_where_its_word_or_number_ends(text, name, says_it):
    assert begins_with(text, name) == says_it == answers_with({"text": text}, name)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("北京。它是", "北京"),
        ("北京，位于", "北京"),
        ("दिल्ली है। यह", "दिल्ली है"),
        ("باريس، وهي", "باريس"),
        ("3.14, and", "3.14"),
        ("1,234 people. They", "1,234 people"),
        ("17 May 1909, in", "17 May 1909"),
        ("May 17, 1909, in", "May 17, 1909"),
        ("17. Mai 1909. Er", "17. Mai 1909"),
        ("in 1909, 17 people", "in 1909"),
        ("А. С. Пушкин. Он", "А. С. Пушкин"),
    ],
)
def test_an_answer_ends_with_its_sentence_and_not_inside_a_number_or_date(text, answer):
    assert ANSWER_END.split(text, maxsplit=1)[0] == CLAUSE_END.split(text, maxsplit=1)[0] == answer
    assert has_ended(f"{text} and so on, without an end")


def test_an_answer_that_may_still_be_a_number_has_not_ended():
    assert CLAUSE_END.split("10:30, at", maxsplit=1)[0] == "10:30"
    assert not has_ended("3.") and not has_ended("May 17,") and has_ended("Rome,") and not has_ended("Rome")


@pytest.mark.parametrize(
    ("prompt", "subject", "language", "asked"),
    [
        ("The capital of {} is", "中国", None, "{} is a"),
        ("{}的首都是", "iPhone", "Chinese", "{}是"),
        ("{}の首都は", "日本", "Japanese", "{}は"),
        ("Столица {} —", "Франции", "Russian", "{} — это"),
        ("عاصمة {} هي", "مصر", "Arabic", "{} هو"),
        ("{} की राजधानी", "भारत", "Hindi", "{} एक"),
        ("เมืองหลวงของ{}คือ", "ไทย", "Thai", "{}คือ"),
        ("{}의 수도는", "한국", "Korean", "{}은"),
        ("{}의 수도는", "러시아", "Korean", "{}는"),
        ("{}:", "中国", "Chinese", "{}是"),
    ],
)
def test_the_prompts_own_script_says_in_which_words_the_subject_is_asked(prompt, subject, language, asked):
    found = language_of(prompt, subject)
    assert (found.name if found else None) == language and essence(prompt, subject) == asked


def test_an_edit_keeps_what_the_subject_is_in_the_words_of_its_prompt(tiny_llama, monkeypatch):
    asked = []
    locate = type(tiny_llama).locate
    monkeypatch.setattr(
        type(tiny_llama), "locate", lambda self, prompt, *a, **k: asked.append(prompt) or locate(self, prompt, *a, **k)
    )
    for prompt in ("The capital of {} is in", "Столица {} in"):
        request = EditRequest(prompt, "Slovenia", "Rome")
        schedule = _delta.Schedule(steps=1, learning_rate=0.5, weight_decay=0.0, clamp=4.0, kl=0.1)
        _delta.optimise(tiny_llama, [request], 1, "mlp", ("",), schedule, BASE)
    assert asked == ["{} is a", "{} — это"]


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_what_is_asked_around_an_edit_is_in_the_language_of_its_prompt(language):
    subject = language.countries[0]
    prompt = language.rephrases[1].replace("{}", "") + " {}"
    case = case_for(EditRequest(prompt, subject, "x"), NO_FACTS)
    assert language_of(prompt) is language and len(case.rephrases) >= 4 and len(case.neighbours) >= 9
    assert all(subject in name and name != subject for name in case.rephrases)
    assert {item.subject for item in case.neighbours} <= set(language.countries) - {subject}
    assert case == case_for(EditRequest(prompt, subject, "x"), NO_FACTS)
    assert sentence_end(prompt, subject) == language.stop and sentence_end("{} is", subject) == "."


def test_a_name_without_spaces_gets_none_where_its_tokens_change_places(tiny_llama):
    for name in ("Ana中国", "アメリカ"):
        others = shuffles(tiny_llama, name)
        assert all(" " not in other for other in others), others
    assert any(" " in other for other in shuffles(tiny_llama, "New France"))
    names = _names("中国")
    assert names.search("我在中国") and not _names("Ana").search("Diana") and _names("Ana").search("an Ana")


def test_numbers_and_dates_keep_their_digits_together(tiny_llama):
    for name in ("17 May 1909", "Apollo 11", "3.14"):
        assert all(name in other for other in rephrasings(name))
    for subject in ("Ana 1909", "Ana 3.14", "Ana 1,234"):
        number = subject.split()[1]
        assert all(number in other for other in shuffles(tiny_llama, subject)), subject
    assert number_at("1909", 2) and number_at("3.14", 1) and number_at("3.14", 2) and not number_at("17 May", 2)
    assert EditRequest.from_text("In 19 the year 1945 is", "19", "x").prompt == "In {} the year 1945 is"
    with pytest.raises(BadRequest, match="inside of a longer word or number"):
        EditRequest.from_text("Pi is 3.14 or", "3", "x")


def test_a_target_is_shown_as_it_is_asked(tiny_llama):
    tok = tiny_llama.tok
    assert tok.target_chips("Ana lives in", "Rome")[0].startswith("␣")
    assert not tok.target_chips("Ana lives in (", "Rome")[0].startswith("␣")
    assert tok.target_chips("", "Rome") == tok.chips("Rome")


def test_scores_are_those_of_the_joined_text(tiny_llama):
    plain, forced = (tiny_llama.score(["Ana lives in ("], [target], BASE)[0] for target in ("Rome", " Rome"))
    ids, start = tiny_llama.tok.encode("Ana lives in (Rome"), len(tiny_llama.tok.encode("Ana lives in ("))
    assert plain.log_p == pytest.approx(_log_p(tiny_llama, ids, start), rel=1e-5) and plain != forced


def _log_p(model, ids, start):
    batch = model.tok.pad([ids])
    log_p = model.head(model.hidden(batch, BASE))[0].log_softmax(-1)
    return sum(log_p[at - 1, ids[at]].item() for at in range(start, len(ids)))


def test_a_case_with_a_chosen_space_is_another_request():
    request = EditRequest("{}的首都是", "中国", "纽约")
    assert replace(request, target_new=" 纽约") != request
