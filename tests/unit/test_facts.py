"""Requests refuse what no method could carry out, and every published form of edits is read as it was meant."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import DATA
from published import check_counterfact, check_rep

from editlab.errors import BadFile, BadRequest, Proposal
from editlab.facts import EditCase, EditRequest, Expectation, read_cases, read_placed, readers, records, split
from editlab.facts.request import CASE_ALONE

PROMPT = "{} belongs to the continent of"
SENTENCE = "Slovenia belongs to the continent of"

any_text = st.text(st.characters(exclude_categories=()))
prompts = st.one_of(any_text, st.builds("{}{{}}{}".format, any_text, any_text))


# Requests


def test_text_is_the_prompt_with_the_subject_in_its_place():
    assert EditRequest(PROMPT, "Slovenia", "Antarctica").text == SENTENCE


def test_braces_elsewhere_in_the_prompt_are_kept():
    assert EditRequest("{x} {0} {}", "Slovenia", "Antarctica").text == "{x} {0} Slovenia"


@pytest.mark.parametrize("prompt", ["{}", "The capital of {}", "What is the language of {}?"])
def test_prompt_may_end_with_the_subject(prompt):
    assert EditRequest(prompt, "Slovenia", "Antarctica").prompt == prompt


def test_white_space_around_names_is_dropped():
    request = EditRequest(PROMPT, " Slovenia\n", "\tAntarctica ", " Europe ")
    assert request == EditRequest(PROMPT, "Slovenia", "Antarctica", "Europe")


def test_as_dict_makes_the_same_request_again():
    request = EditRequest(PROMPT, "Slovenia", "Antarctica", "Europe")
    assert EditRequest(**request.as_dict()) == request
    assert set(request.as_dict()) == {"prompt", "subject", "target_new", "target_true"}


def test_prompt_that_names_the_subject_gets_a_proposal():
    with pytest.raises(BadRequest, match=r"'\{\} belongs to the continent of'"):
        EditRequest(SENTENCE, "Slovenia", "Antarctica")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((SENTENCE, "Slovenja", "Antarctica"), "The subject 'Slovenja' does not occur in the prompt. Write {} where"),
        (("{} and {}", "Slovenia", "Antarctica"), "The prompt has 2 {}. Leave the one"),
        (("Pik is in Pik", "Pik", "Antarctica"), "occurs twice in the prompt. Write {} in the place"),
        ((" ", "Slovenia", "Antarctica"), "The prompt is empty. Write"),
        (("\x00{}", "Slovenia", "Antarctica"), "holds a control or broken character. Remove it."),
        (("\ud83d{}", "Slovenia", "Antarctica"), "holds a control or broken character. Remove it."),
        ((PROMPT, " ", "Antarctica"), "The subject is empty. Write it."),
        ((PROMPT, "\u200b", "Antarctica"), "The subject is empty. Write it."),
        ((PROMPT, "Slovenia", ""), "The new object is empty. Write it."),
        ((PROMPT, "Slovenia", "Antarctica", ""), "The true object is empty. Write it."),
        ((PROMPT, "Slo\nvenia", "Antarctica"), "Write it on one line."),
        ((PROMPT, "Slo\u2028venia", "Antarctica"), "Write it on one line."),
        ((PROMPT, "Slovenia", "Ant\x07arctica"), "Write it on one line."),
        ((PROMPT, "Slovenia", "Antarctica", "Eu\trope"), "Write it on one line."),
        ((PROMPT, "{}", "Antarctica"), "Write {} in the prompt alone"),
        ((PROMPT, "Slovenia", "Europe", " Europe "), "is the true object already. Write another one."),
        (("{x} 3.14 is", "3", "Antarctica"), "only inside of a longer word or number. Write {} where it stands."),
    ],
)
def test_bad_request_says_what_to_do(fields, message):
    with pytest.raises(BadRequest) as caught:
        EditRequest(*fields)
    assert message in str(caught.value)


@settings(max_examples=1000)
@given(prompts, any_text, any_text, st.none() | any_text)
def test_any_text_is_a_valid_request_or_a_bad_one(prompt, subject, target_new, target_true):
    try:
        request = EditRequest(prompt, subject, target_new, target_true)
    except BadRequest as error:
        assert str(error)
        return
    assert request.prompt.count("{}") == 1
    assert request.subject and request.subject == request.subject.strip() and request.subject in request.text
    assert request.target_new and request.target_new != request.target_true
    assert json.dumps(request.as_dict(), ensure_ascii=False).encode("utf-8")


@settings(max_examples=1000)
@given(any_text, any_text, any_text)
def test_from_text_gives_the_text_back_or_a_bad_request(before, subject, after):
    text = f"{before}{subject}{after}"
    try:
        request = EditRequest.from_text(text, subject, "Antarctica")
    except BadRequest:
        return
    assert (request.prompt if "{}" in text else request.text) == text


def test_from_text_puts_the_slot_where_the_subject_stood():
    assert EditRequest.from_text(SENTENCE, " Slovenia", "Antarctica").prompt == PROMPT


def test_from_text_takes_a_prompt_that_has_its_slot():
    assert EditRequest.from_text("{}, a native", "Pik", "French") == EditRequest("{}, a native", "Pik", "French")
    assert EditRequest.from_text("Pik: {} is", "Pik", "French").text == "Pik: Pik is"


def test_from_text_names_a_subject_that_is_not_there():
    with pytest.raises(BadRequest) as caught:
        EditRequest.from_text(SENTENCE, "Slovenja", "Antarctica")
    assert str(caught.value) == (
        "The subject 'Slovenja' does not occur in the prompt. Write {} where it stands, perhaps for 'Slovenia': "
        "'{} belongs to the continent of'."
    )
    assert caught.value.proposal == Proposal(PROMPT, "Slovenia")


@pytest.mark.parametrize(
    ("text", "subject", "proposal"),
    [
        ("Romeo and Juliet was written by", "Rome", ("{} and Juliet was written by", "Romeo")),
        ("The founder of eBay is", "EBAY", ("The founder of {} is", "eBay")),
        ("L’Oréal is based in", "L'Oréal", ("{} is based in", "L’Oréal")),
        ("Cafe\u0301 Central lies in", "Café Central", ("{} lies in", "Café Central")),
        ("New\u00a0York lies in", "New York", ("{} lies in", "New York")),
        ("AT&amp;T was founded in", "AT&T", ("{} was founded in", "AT&T")),
        ("Was ist die Hauptstadt Italiens?", "Italien", ("Was ist die Hauptstadt {}?", "Italiens")),
        ("印度的首都是哪里？", "印度国", ("{}的首都是哪里？", "印度")),
        ("Pi is 3.14", "14", None),
        ("He was born in", "Leo Arons", None),
    ],
)
def test_only_whole_words_are_the_subject_and_what_is_near_is_proposed(text, subject, proposal):
    with pytest.raises(BadRequest) as caught:
        EditRequest.from_text(text, subject, "Antarctica")
    assert caught.value.proposal == (proposal and Proposal(*proposal))
    assert caught.value.field == "prompt" and "Write {} where it stands" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "subject", "prompt"),
    [
        ("Romeo left Rome for", "Rome", "Romeo left {} for"),
        ("Rome's mayor is", "Rome", "{}'s mayor is"),
        ("日本的首相是", "日本", "{}的首相是"),
        ("서울은 어디에", "서울", "{}은 어디에"),
        ("{}o and Juliet was written by", "Rome", "{}o and Juliet was written by"),
    ],
)
def test_a_whole_word_goes_before_one_inside_of_a_word_which_only_braces_ask_for(text, subject, prompt):
    assert EditRequest.from_text(text, subject, "Antarctica").prompt == prompt


def test_a_proposal_that_is_taken_reads_as_the_prompt_did():
    text = "Whom did KING george the third follow?"
    with pytest.raises(BadRequest) as caught:
        EditRequest.from_text(text, "King George the Third", "nobody")
    assert EditRequest(*caught.value.proposal, "nobody").text == text


def test_upper_and_lower_case_make_another_object_which_a_note_says():
    assert EditRequest(PROMPT, "Slovenia", "eBay", "EBAY").note == CASE_ALONE
    assert EditRequest(PROMPT, "Slovenia", "eBay", "Amazon").note == EditRequest(PROMPT, "Slovenia", "eBay").note == ""


def test_from_text_refuses_a_subject_that_occurs_twice():
    with pytest.raises(BadRequest, match="occurs twice"):
        EditRequest.from_text("Pik is in Pik", "Pik", "Antarctica")


@pytest.mark.parametrize(("count", "inside"), [(0, 0), (1, 1), (2, 1), (9, 5), (10, 5), (11, 6)])
def test_split_gives_the_first_half_rounded_up(count, inside):
    items = list(range(count))
    assert split(items) == (tuple(items[:inside]), tuple(items[inside:]))


# Published forms, in records of our own: tests/data


@pytest.mark.parametrize("name", ["counterfact", "mask"])
def test_counterfact_records_are_all_read(name):
    check_counterfact(DATA / f"{name}.json", 20)


@pytest.mark.parametrize("name", ["rep", "rep_zsre"])
def test_rep_records_are_all_read(name):
    check_rep(DATA / f"{name}.json", 20)


def test_a_counterfact_record_is_read_as_it_was_meant():
    case = read_cases(DATA / "counterfact.json")[0]
    assert case.request == EditRequest("{} belongs to the continent of", "Slovenia", "Africa", "Europe")
    assert (case.id, case.relation) == ("300", "P30")
    assert [len(texts) for texts in (case.paraphrases, case.neighbours, case.attribute_prompts)] == [2, 10, 10]
    assert {expectation.expected for expectation in case.neighbours} == {"Europe"}


def test_pronoun_paraphrases_of_rep_are_kept_and_blank_ones_left_out():
    cases = read_cases(DATA / "rep.json")
    assert "Its animal class is" in cases[1].paraphrases
    assert [number for number, case in enumerate(cases) if len(case.paraphrases) == 11] == [3, 11]


def test_question_prompts_keep_their_question_mark():
    assert read_cases(DATA / "rep_zsre.json")[0].request.prompt == "On which continent is {}?"


def test_zsre_records_are_all_read():
    path = DATA / "zsre.json"
    cases, records = read_cases(path), json.loads(path.read_text(encoding="utf-8"))
    assert len(cases) == 20
    for case, record in zip(cases, records, strict=True):
        assert case.request.text == record["src"] and case.request.subject == record["subject"]
        assert (case.request.target_new, case.request.target_true) == (record["alt"], record["answers"][0])
        assert case.paraphrases == (record["rephrase"],)
        assert case.neighbours == (Expectation(record["loc"], record["loc_ans"]),)


def test_easyedit_records_are_all_read():
    path = DATA / "easyedit.json"
    cases, records = read_cases(path), json.loads(path.read_text(encoding="utf-8"))
    assert len(cases) == 20
    for case, record in zip(cases, records, strict=True):
        truth = record["ground_truth"]
        assert case.request.text == record["prompt"]
        assert case.request.target_true == (truth if isinstance(truth, str) else truth[0])
        names = [item["prompt"] for item in record["portability"]["Subject_Aliasing"]]
        assert list(case.paraphrases) == [record["rephrase_prompt"], *names]
        (follows,) = record["portability"]["Reasoning"]
        (names,) = follows["ground_truth"]
        assert case.propagation == (Expectation(follows["prompt"], names[0], aliases=tuple(names[1:])),)
        about = record["locality"]["Relation_Specificity"]
        assert case.same_subject == tuple(Expectation(item["prompt"], item["ground_truth"][0][0]) for item in about)
        texts = [*record["locality"]["neighborhood"]["prompt"]]
        texts += [record["locality"]["distracting"]["prompt"]] if "distracting" in record["locality"] else []
        assert case.neighbours == tuple(Expectation(text, case.request.target_true) for text in texts)


def test_csv_rows_are_all_read():
    cases = read_cases(DATA / "edits.csv")
    first, second, last = cases[0], cases[1], cases[-1]
    assert len(cases) == 20
    assert first.request == EditRequest("{} belongs to the continent of", "Hungary", "Asia") and not first.rephrases
    assert second.request.target_true == "Africa" and second.rephrases[0] == "Kingdom of Morocco"
    assert len(second.neighbours) == 3
    assert last.request.subject == "Washington, D.C."
    assert last.rephrases == ("the federal capital, as it is called", "D.C.")


# Published forms, case by case


def written(folder: Path, content: object, name: str = "edits") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8", newline="")
    return path


def only_case(folder: Path, record: object) -> EditCase:
    (case,) = read_cases(written(folder, [record]))
    return case


ZSRE = {
    "subject": "Macbeth",
    "src": "Who wrote Macbeth?",
    "pred": "Shakespeare",
    "rephrase": "Who was it that wrote Macbeth?",
    "alt": "Jane Austen",
    "answers": ["William Shakespeare"],
    "loc": "nq question: where is the louvre",
    "loc_ans": "Paris",
}
FLAT = {"subject": "Marie Curie", "prompt": "Marie Curie was born in", "target_new": "Paris"}


def test_zsre_record_writes_the_alternative_over_the_answer(tmp_path):
    case = only_case(tmp_path, ZSRE)
    assert case.request == EditRequest("Who wrote {}?", "Macbeth", "Jane Austen", "William Shakespeare")
    assert case.id == "1"
    assert case.paraphrases == (ZSRE["rephrase"],)
    assert case.neighbours == (Expectation(ZSRE["loc"], "Paris"),)


def test_easyedit_record_is_read_with_locality_and_portability(tmp_path):
    record = FLAT | {
        "ground_truth": ["Warsaw", "Warsaw, Poland"],
        "rephrase_prompt": "The birthplace of Marie Curie is",
        "portability": {
            "Subject_Aliasing": [{"prompt": "Marie Skłodowska Curie was born in", "ground_truth": [["Paris"]]}],
            "Reasoning": [
                {"prompt": "Marie Curie was born in the country of", "ground_truth": [["France", "French Republic"]]},
                {"prompt": "Marie Curie was born under the rule of", "ground_truth": []},
            ],
        },
        "locality": {
            "Relation_Specificity": [
                {"prompt": "The field of Marie Curie is", "ground_truth": [["physics"]]},
                {"prompt": "where is the louvre", "ground_truth": "Paris"},
            ],
            "neighborhood": {
                "prompt": ["Frédéric Chopin was born in", "Claude Debussy was born in"],
                "ground_truth": ["A", ["B", "b"]],
            },
            "distracting": {"prompt": "Marie Curie was born in Lyon. Frédéric Chopin was born in", "ground_truth": "A"},
        },
    }
    case = only_case(tmp_path, record)
    assert case.request == EditRequest("{} was born in", "Marie Curie", "Paris", "Warsaw")
    assert case.paraphrases == ("The birthplace of Marie Curie is", "Marie Skłodowska Curie was born in")
    follows = Expectation("Marie Curie was born in the country of", "France", aliases=("French Republic",))
    assert case.propagation == (follows,)
    assert case.same_subject == (Expectation("The field of Marie Curie is", "physics"),)
    assert case.neighbours == (
        Expectation("where is the louvre", "Paris"),
        Expectation("Frédéric Chopin was born in", "A"),
        Expectation("Claude Debussy was born in", "B"),
        Expectation("Marie Curie was born in Lyon. Frédéric Chopin was born in", "A"),
    )


def test_locality_without_a_truth_expects_the_models_own_answer(tmp_path):
    case = only_case(tmp_path, FLAT | {"locality": {"neighborhood": {"prompt": "Frédéric Chopin was born in"}}})
    assert case.neighbours == (Expectation("Frédéric Chopin was born in", None),)


def test_csv_is_read_with_bom_crlf_and_blank_lines(tmp_path):
    text = (
        "\ufeffsubject,prompt,target_new,target_true,rephrases,neighbours\r\n"
        "Slovenia,{} belongs to the continent of,Antarctica,Europe,Republic of Slovenia | the Slovene state,"
        "Croatia belongs to the continent of\r\n"
        "\r\n"
        '"Washington, D.C.",{} lies in,France\r\n'
    )
    first, second = read_cases(written(tmp_path, text))
    assert first.request == EditRequest(PROMPT, "Slovenia", "Antarctica", "Europe")
    assert first.rephrases == ("Republic of Slovenia", "the Slovene state")
    assert first.neighbours == (Expectation("Croatia belongs to the continent of", None),)
    assert second.request == EditRequest("{} lies in", "Washington, D.C.", "France")
    assert (first.id, second.id) == ("1", "2")
    assert second.rephrases == second.neighbours == ()


def test_json_with_a_bom_is_read_under_any_name(tmp_path):
    (case,) = read_cases(written(tmp_path, "\ufeff\r\n" + json.dumps([FLAT]), "edits.csv"))
    assert case.request.text == "Marie Curie was born in"


# Malformed files

HEADER = "subject,prompt,target_new,target_true\n"
GOOD_ROW = "Slovenia,{} belongs to the continent of,Antarctica,Europe\n"
GOOD_COUNTERFACT = {
    "case_id": 7,
    "requested_rewrite": {
        "prompt": "{} is in",
        "subject": "Ljubljana",
        "target_new": {"str": "Peru"},
        "target_true": {"str": "Slovenia"},
    },
}


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        ("", ["line 1: no column subject, prompt, target_new"]),
        ("subject;prompt;target\n", ["holds no edits"]),
        ("\nname;text\n", ["line 2: no column subject, prompt, target_new", "with commas, semicolons or tabs between"]),
        ("subject,prompt\nSlovenia,{} is\n", ["line 1: no column target_new"]),
        ("subject,prompt,target_new,subject\n", ["line 1: two columns 'subject'"]),
        ("subject,prompt,target_new,rephrase\n", ["line 1: the column 'rephrase' is not known. Call it 'rephrases'"]),
        (HEADER, ["holds no edits"]),
        (HEADER + GOOD_ROW + "Slovenia,{} is in {},Peru,\n", ["line 3: The prompt has 2 {}"]),
        (HEADER + GOOD_ROW + "Slovenia,Slowenia is in,Peru,\n", ["line 3: The subject 'Slovenia'", "'{} is in'"]),
        (HEADER + GOOD_ROW + "\nSlovenia,{} is in\n", ["line 4: The new object is empty"]),
        (HEADER + "Washington, D.C.,{} is in,Peru,USA\n", ["line 2: 5 fields where the header has 4", "quotes"]),
        (HEADER + GOOD_ROW + 'Pik,"{} is in,Peru,\n' + GOOD_ROW, ["line 3: unexpected end of data"]),
        (HEADER + 'Pik,"a\nb {}",Peru,\nPik,{},Peru,Peru\n', ["line 4: The new object 'Peru' is the true object"]),
        ("[]", ["holds no edits"]),
        (json.dumps({"facts": [1]}), ["record 1: Its keys are of no known form"]),
        ('[\n{"prompt": "a",\n}]', ["line 3, column 1: not valid JSON"]),
        ("[" * 100_000, ["not JSON that can be read"]),
        ([FLAT, 3], ["record 2: not an object"]),
        ([FLAT, {"case_id": 5, "text": "a"}], ["record 2 (case_id 5): Its keys are of no known form", "zsRE"]),
        ([GOOD_COUNTERFACT, {"case_id": 8, "requested_rewrite": []}], ["record 2 (case_id 8): 'requested_rewrite'"]),
        ([{"requested_rewrite": {"prompt": "{}", "subject": "a"}}], ["record 1: 'target_new' is missing"]),
        (
            [GOOD_COUNTERFACT | {"paraphrase_prompts": [True]}],
            ["record 1 (case_id 7): 'paraphrase_prompts' holds true where"],
        ),
        ([FLAT, FLAT | {"subject": None}], ["record 2: 'subject' holds null where text is expected"]),
        ([FLAT, FLAT | {"subject": "Marie Curry"}], ["record 2: The subject 'Marie Curry' does not occur in the prompt"]),
        ([ZSRE | {"alt": ""}], ["record 1: The new object is empty"]),
        ([{key: ZSRE[key] for key in ("subject", "src")}], ["record 1: 'alt' is missing. Add it."]),
        ([FLAT | {"locality": []}, FLAT | {"locality": [1]}], ["record 2: 'locality' is no list of objects"]),
        ([FLAT | {"locality": {"near": "x"}}], ["record 1: 'locality near' is no list of objects"]),
        (
            [FLAT | {"locality_prompt": ["a", "b"], "locality_ground_truth": ["c"]}],
            ["record 1: 'locality_prompt' has 2 prompts but 1 answers"],
        ),
        ([FLAT | {"rephrase_prompt": ["\ud83d"]}], ["record 1: 'rephrase_prompt' holds half a character"]),
    ],
)
def test_malformed_file_is_refused_with_its_place(tmp_path, content, messages):
    path = written(tmp_path, content)
    with pytest.raises(BadFile) as caught:
        read_cases(path)
    for message in (str(path), *messages):
        assert message in str(caught.value)


def test_records_behind_a_bad_one_are_counted(tmp_path):
    bad = FLAT | {"subject": "Leon"}
    with pytest.raises(BadFile, match=r"record 1: .* 2 more cannot be used either\.$"):
        read_cases(written(tmp_path, [bad | {"subject": "Max"}, FLAT, FLAT | {"prompt": ""}, FLAT | {"target_new": None}]))


def test_skipped_records_are_told_and_the_others_returned(tmp_path):
    skipped: list[str] = []
    path = written(tmp_path, [FLAT, FLAT | {"subject": "Max"}, GOOD_COUNTERFACT])
    cases = read_cases(path, skipped)
    assert [case.id for case in cases] == ["1", "7"]
    assert skipped == [f"{path}, record 2: The subject 'Max' does not occur in the prompt. Write {{}} where it stands."]


def test_a_file_that_is_no_json_raises_even_where_records_may_be_skipped(tmp_path):
    skipped: list[str] = []
    with pytest.raises(BadFile):
        read_cases(written(tmp_path, "[{"), skipped)
    assert skipped == []


@pytest.mark.parametrize("name", ["nothing.json", "."])
def test_what_is_not_a_file_is_refused(tmp_path, name):
    with pytest.raises(BadFile, match="is not a file"):
        read_cases(tmp_path / name)


def test_file_over_200_mb_is_refused_unread(tmp_path):
    path = tmp_path / "edits.json"
    with path.open("wb") as file:
        file.truncate(200_000_001)
    with pytest.raises(BadFile, match="over 200 MB"):
        read_cases(path)


@pytest.mark.parametrize(
    "content",
    ["subject,prompt,target_new\n" + "Peru\n" * 9, "[" + ",".join(["{}"] * 9) + "]", json.dumps([{"prompt": "x"}] * 9)],
)
def test_no_record_beyond_the_most_is_read(tmp_path, content, monkeypatch):
    read = []
    real = readers._read
    monkeypatch.setattr(readers, "_read", lambda *given: read.append(given) or real(*given))
    path = tmp_path / "edits"
    path.write_text(content)
    assert len(read_placed(path, 9)[1]) == len(read) == 9
    with pytest.raises(BadFile, match="4 rows; 3 are the most"):
        read_placed(path, 3)
    assert len(read) == 9 + 3


def test_a_csv_has_so_many_columns_and_no_more(tmp_path):
    path = tmp_path / "edits.csv"
    more = [f"x{number}" for number in range(readers.MAX_COLUMNS)]
    path.write_text(",".join(["subject", "prompt", "target_new", *more[3:]]) + "\nPeru,{} is in,Asia\n")
    assert read_cases(path)[0].request == EditRequest("{} is in", "Peru", "Asia")
    path.write_text(",".join(["subject", "prompt", "target_new", *more]) + "\nPeru,{} is in,Asia\n")
    with pytest.raises(BadFile, match="1,003 columns; 1,000 are the most"):
        read_cases(path)


def test_columns_that_are_no_edits_cost_a_row_nothing(tmp_path, monkeypatch):
    cells = []
    monkeypatch.setattr(records, "from_spreadsheet", lambda cell: cells.append(cell) or cell)
    path = tmp_path / "edits.csv"
    path.write_text("a,subject,b,prompt,c,target_new,d\n,Peru,,{} is in,,Asia,\n,Chile,,{} is in,,Asia\n")
    assert [case.request.subject for case in read_cases(path)] == ["Peru", "Chile"]
    assert cells == ["Peru", "{} is in", "Asia", "Chile", "{} is in", "Asia"]
