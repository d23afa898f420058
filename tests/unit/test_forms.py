"""Every published form of edits is read as it was meant, whatever program wrote it, and no file makes a reader fail."""

import copy
import json
import random
from pathlib import Path

import pytest
from paths import DATA

from editlab.errors import BadFile, BadRequest
from editlab.facts import EditRequest, Expectation, FactBase, forms, overlaps, read_file
from editlab.facts.forms.fields import Writer
from editlab.facts.records import OLD_NOTE, parsed

CASES = 1_000
FILES = {
    "counterfact.json": {"CounterFact": 20},
    "mask.json": {"CounterFact": 20},
    "rep.json": {"REP": 20},
    "rep_zsre.json": {"REP": 20},
    "zsre.json": {"zsRE": 20},
    "mzsre.json": {"zsRE (de)": 20, "zsRE (zh)": 20},
    "easyedit.json": {"EasyEdit or KnowEdit": 20},
    "knowedit.json": {"EasyEdit or KnowEdit": 18, "KnowEdit's WikiBio": 2},
    "fastedit.json": {"FastEdit": 20},
    "qaedit.json": {"QAEdit": 20},
    "mquake.json": {"MQuAKE": 20},
    "wikibigedit.jsonl": {"WikiBigEdit": 20},
    "tracing.json": {"counterfact-tracing": 20},
    "rippleedits.json": {"RippleEdits": 20},
    "ultraeditbench.jsonl": {"UltraEditBench": 20},
    "edits.csv": {"EditLab's table": 20},
    "excel.csv": {"EditLab's table": 20},
    "excel.txt": {"EditLab's table": 20},
}


def records_of(name: str) -> list[dict]:
    text = (DATA / name).read_text(encoding="utf-8")
    return [parsed(line) for line in text.splitlines()] if name.endswith("l") else parsed(text)


def cases_of(name: str):
    """The cases of a file, whose records must all be read, each beside its record."""
    reading = read_file(DATA / name)
    assert not reading.faults and len(reading.found) == 20
    return zip([placed.case for placed in reading.found], records_of(name), strict=True)


def written(folder: Path, content: object, name: str = "edits") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


# Recognised


@pytest.mark.parametrize(("name", "read"), FILES.items())
def test_a_file_is_recognised_by_its_keys(name, read):
    assert read_file(DATA / name).forms == read


def test_every_form_has_its_records():
    told = " ".join(title for read in FILES.values() for title in read)
    assert [form.title for form in (*forms.FORMS, forms.Table) if form.title not in told] == []


# Read as it was meant


def test_fastedits_queries_are_paraphrases():
    for case, record in cases_of("fastedit.json"):
        assert case.request == EditRequest(record["prompt"], record["subject"], record["target"])
        assert list(case.paraphrases) == record["queries"]


def test_qaedits_locality_is_a_list_and_its_numbers_are_texts():
    for case, record in cases_of("qaedit.json"):
        assert (case.request.text, case.request.target_new) == (record["prompt"], record["target"])
        assert case.paraphrases == (record["rephrase"],)
        assert case.neighbours == tuple(Expectation(item["loc"], item["loc_ans"]) for item in record["locality"])
    targets = [case.request.target_new for case, _ in cases_of("qaedit.json")]
    assert targets[3:7] == ["1971", "25 December 1842", "1,234", "3.10"]


def test_mquakes_edits_of_a_case_belong_together_and_its_last_one_asks_what_follows():
    found = [placed.case for placed in read_file(DATA / "mquake.json").found]
    for record in records_of("mquake.json"):
        rewrites = record["requested_rewrite"]
        own, found = found[: len(rewrites)], found[len(rewrites) :]
        assert [case.request.subject for case in own] == [rewrite["subject"] for rewrite in rewrites]
        assert {case.group for case in own} == {record["case_id"] if len(own) > 1 else ""}
        assert [case.paraphrases for case in own] == [(rewrite["question"],) for rewrite in rewrites]
        *before, last = own
        assert not any(case.propagation for case in before)
        assert [item.text for item in last.propagation] == record["questions"]
        for item in last.propagation:
            assert (item.expected, item.before) == (record["new_answer"], record["answer"])
            assert list(item.aliases) == record["new_answer_alias"] and item.any_of == record["case_id"]
    assert found == []


def test_wikibigedits_personas_are_paraphrases_and_its_second_step_follows():
    for case, record in cases_of("wikibigedit.jsonl"):
        assert (case.request.text, case.request.target_new) == (record["update"], record["ans"])
        assert case.paraphrases == (record["rephrase"], record["personas"])
        assert case.neighbours == (Expectation(record["loc"], record["loc_ans"]),)
        follows = (Expectation(record["mhop"], record["mhop_ans"]),) if record["mhop"] else ()
        assert case.propagation == follows


def test_tracings_false_object_is_written_without_its_space():
    for case, record in cases_of("tracing.json"):
        assert case.request.text == record["prompt"] and case.relation == record["relation_id"]
        assert f" {case.request.target_new}" == record["target_false"]
        assert f" {case.request.target_true}" == record["target_true"]


def test_rippleedits_sentences_are_taken_apart():
    for case, record in cases_of("rippleedits.json"):
        request, edit = case.request, record["edit"]
        assert f"{request.text} {request.target_new}." == edit["prompt"]
        if "original_fact" in edit:
            assert f"{request.text} {request.target_true}." == edit["original_fact"]["prompt"]
        tests = {name: [q for test in record[name] for q in test["test_queries"]] for name in record if name[0].isupper()}
        assert all(request.subject in query["prompt"] for query in tests["Relation_Specificity"])
        assert list(case.paraphrases) == [query["prompt"] for query in tests["Subject_Aliasing"]]
        assert [item.text for item in case.same_subject] == [query["prompt"] for query in tests["Relation_Specificity"]]
        follows = tests["Logical_Generalization"] + tests["Compositionality_I"]
        assert [item.text for item in case.propagation] == [query["prompt"] for query in follows]
        assert [list(item.aliases) for item in case.propagation] == [q["answers"][0]["aliases"] for q in follows]
        named = [bool(item.any_of) for item in case.propagation]
        assert named == [True] * len(tests["Logical_Generalization"]) + [False] * len(tests["Compositionality_I"])


def test_knowedits_groups_are_read():
    for case, record in cases_of("knowedit.json"):
        if "text" in record:
            assert (case.request.text, case.request.target_new) == (record["text"], record["labels"])
            assert case.request.subject == record["concept"]
            continue
        assert case.request.text == record["prompt"]
        assert [item.text for item in case.same_subject] == [q["prompt"] for q in record["locality"]["Relation_Specificity"]]
        assert list(case.paraphrases) == [q["prompt"] for q in record["portability"]["Subject_Aliasing"]]
        assert [item.expected for item in case.propagation] == [case.request.subject]


def test_without_a_subject_it_is_told_what_is_missing_and_the_whole_prompt_is_possible():
    reading = read_file(DATA / "ultraeditbench.jsonl")
    assert (len(reading.found), len(reading.faults)) == (10, 10)
    for fault in reading.faults:
        assert fault.column == "subject" and "names no subject" in fault.reason and "whole prompt" in fault.reason
    taken = read_file(DATA / "ultraeditbench.jsonl", proposals=True)
    assert not taken.faults and taken.notes == ["10 requests were taken as proposed."]
    for placed, record in zip(taken.found, records_of("ultraeditbench.jsonl"), strict=True):
        assert placed.case.request.text == record["prompt"]
        if "subject" not in record:
            assert (placed.case.request.prompt, placed.case.request.subject) == ("{}", record["prompt"])


def test_mzsres_languages_are_records_and_the_nearest_words_are_proposed():
    reading = read_file(DATA / "mzsre.json")
    assert (len(reading.found), len(reading.faults)) == (37, 3)
    assert [(str(fault.place), fault.proposal and fault.proposal.subject) for fault in reading.faults] == [
        ("record 8, de", None),
        ("record 12, de", "Italiens"),
        ("record 16, zh", "印度"),
    ]
    first = reading.found[0].case
    assert first.request == EditRequest("Was ist die Hauptstadt von {}?", "Slowenien", "Lissabon")
    assert [item.expected for item in first.propagation] == ["Portugal"]
    assert len(read_file(DATA / "mzsre.json", proposals=True).found) == 39


# Programs that write files

ROW = ("Köln", "Köln liegt an der", "Donau", "Rhein")
ENGLISH = ("Subject", "PROMPT", "Target New", "Target-True")


def table(separator: str, head=ENGLISH, before: str = "") -> str:
    return before + "".join(f"{separator.join(cells)}\r\n" for cells in (head, ROW))


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (table(";").encode(), None),
        (table("\t").encode(), None),
        (table("|").encode(), None),
        (table(",").encode("utf-8-sig"), None),
        (table(";", before="sep=;\r\n").encode(), None),
        (table(",", before='"sep=,"\r\n').encode(), None),
        (table(";").encode("cp1252"), OLD_NOTE),
        (b"\xff\xfe" + table("\t").encode("utf-16-le"), None),
        (b"\xfe\xff" + table(";").encode("utf-16-be"), None),
        (table(",", ("Subject", "Prompt", "New answer", "Original answer")).encode(), None),
        (table(",", ("subject", "prompt", "target", "ground_truth")).encode(), None),
        (table(",").replace("\r\n", "\n").encode(), None),
    ],
)
def test_a_table_is_read_as_spreadsheets_write_it(tmp_path, content, note):
    reading = read_file(written(tmp_path, content))
    assert [placed.case.request for placed in reading.found] == [EditRequest("{} liegt an der", "Köln", "Donau", "Rhein")]
    assert reading.notes == ([note] if note else []) and not reading.faults


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PK\x03\x04....", "an Excel workbook"),
        (b"\xd0\xcf\x11\xe0....", "an Excel workbook"),
        (b"PAR1....", "a Parquet file"),
        (b"\x1f\x8b....", "a gzip file"),
        (table(",").encode("utf-16-le"), "UTF-16 without its mark"),
        (b"subject,prompt,target_new\n\x81\x8d", "not UTF-8 text (byte 26)"),
    ],
)
def test_what_is_no_text_is_named_for_what_it_is(tmp_path, content, told):
    with pytest.raises(BadFile, match="edits, ") as caught:
        read_file(written(tmp_path, content))
    assert told in str(caught.value)


def test_other_forms_are_read_as_tables_too(tmp_path):
    text = "Subject;Update;Ans;Rephrase;Loc;Loc_ans\nKöln;An welchem Fluss liegt Köln?;Donau;;Wer schrieb Faust?;Goethe\n"
    reading = read_file(written(tmp_path, text.encode()))
    (placed,) = reading.found
    assert reading.forms == {"WikiBigEdit": 1} and str(placed.place) == "line 2"
    assert placed.case.request == EditRequest("An welchem Fluss liegt {}?", "Köln", "Donau")
    assert placed.case.neighbours == (Expectation("Wer schrieb Faust?", "Goethe"),)


def test_json_lines_are_read_line_by_line(tmp_path):
    good = {"prompt": "{} is in", "subject": "Peru", "target": "Asia"}
    lines = [json.dumps(good), "", json.dumps(good)[:-3], json.dumps([1]), json.dumps(good | {"subject": "Chile"})]
    reading = read_file(written(tmp_path, "\r\n".join(lines).encode()))
    assert [(str(placed.place), placed.case.request.subject) for placed in reading.found] == [
        ("line 1", "Peru"),
        ("line 5", "Chile"),
    ]
    assert [fault.place.row for fault in reading.faults] == [3, 4]
    assert "not valid JSON (column" in reading.faults[0].reason and "Mend it there" in reading.faults[0].reason


@pytest.mark.parametrize(
    "content",
    [
        {"prompt": "{} is in", "subject": "Peru", "target": "Asia"},
        {"0": {"prompt": "{} is in", "subject": "Peru", "target": "Asia"}},
        {"data": [{"prompt": "{} is in", "subject": "Peru", "target": "Asia"}]},
    ],
)
def test_an_object_is_a_record_or_holds_some(tmp_path, content):
    reading = read_file(written(tmp_path, content))
    assert [placed.case.request for placed in reading.found] == [EditRequest("{} is in", "Peru", "Asia")]
    assert reading.forms == {"FastEdit": 1}


@pytest.mark.parametrize(
    ("value", "target"),
    [("1909", "1909"), ("3.10", "3.10"), ("1e400", "1e400"), ("-40", "-40"), ("9" * 5000, "9" * 5000)],
)
def test_a_number_is_the_text_that_stands_there(tmp_path, value, target):
    (placed,) = read_file(written(tmp_path, b'[{"prompt":"{} is","subject":"x","target":%s}]' % value.encode())).found
    assert placed.case.request.target_new == target


# Rows that bear on each other


def rows_of(folder: Path, *rows: tuple[str, str, str], more: str = ""):
    text = f"subject,prompt,target_new{more}\n" + "".join(",".join(row) + "\n" for row in rows)
    return read_file(written(folder, text.encode())).found


def test_what_rows_do_to_each_other_is_told(tmp_path, facts):
    found = overlaps.overlaps(
        rows_of(
            tmp_path,
            ("Slovenia", "{} belongs to the continent of", "Asia"),
            ("Slovenija", "{} is a part of the continent of", "Asia"),
            ("Slovenia", "{} has its capital in", "Lima"),
            ("Peru", "{} has its capital in", "Rome"),
            ("peru", "{}'s capital is", "Oslo"),
            ("Chile", "{} has its capital in", "Rome"),
        ),
        facts,
    )
    assert [(overlap.kind, [place.row for place in overlap.places]) for overlap in found] == [
        ("contradiction", [5, 6]),
        ("same fact", [2, 3]),
        ("same subject", [2, 3, 4]),
    ]
    assert "“Rome” and “Oslo” for the same fact about Peru" in found[0].text
    assert found[2].text.startswith("3 facts about Slovenia (line 2; line 3; line 4): they share a key")


def test_other_names_in_a_row_are_the_same_subject(tmp_path):
    found = overlaps.overlaps(
        rows_of(
            tmp_path,
            ("Peru", "{} is in", "Asia", "Republic of Peru|the land of the Incas"),
            ("Republic of Peru", "{} lies in", "Asia", ""),
            more=",rephrases",
        )
    )
    assert [overlap.kind for overlap in found] == ["same fact"]


@pytest.mark.parametrize(("count", "told"), [(overlaps.MANY - 1, []), (overlaps.MANY, ["same object"])])
def test_many_subjects_with_one_object_are_told(tmp_path, count, told):
    found = overlaps.overlaps(rows_of(tmp_path, *((f"Place{n}", "{} is in", "Asia") for n in range(count))))
    assert [overlap.kind for overlap in found] == told
    assert all(f"{count} subjects get the new object “Asia”" in overlap.text for overlap in found)


def test_one_record_in_two_languages_is_no_fact_twice():
    assert not {overlap.kind for overlap in overlaps.overlaps(read_file(DATA / "mzsre.json").found)} & {"same fact"}


def test_a_new_object_that_differs_in_case_alone_is_told(tmp_path):
    (overlap,) = overlaps.overlaps(rows_of(tmp_path, ("x", "{} is", "eBay", "EBAY"), more=",target_true"))
    assert overlap.text == "line 2: “eBay” differs from the true object “EBAY” in upper and lower case alone."


# Whatever a file holds

SCRAPS = [None, True, False, "", " ", "{}", "{} {}", "\ud83d", "\x00", "a" * 3000, [], {}, [[]], [None], [{}], {"str": None},
          {"prompt": 1}, ["a", ["b", [None]]], {"a": {"b": {}}}, "1e999", "\u200b", "‮", "&amp;", "Ⅷ"]  # fmt: skip


def _mutated(value: object, rng: random.Random) -> object:
    """A copy of a record in which a few things are gone, swapped, or something else."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        inside = value
        while isinstance(inside, dict | list) and inside:
            key = rng.choice(list(inside)) if isinstance(inside, dict) else rng.randrange(len(inside))
            if rng.random() < 0.5 or not isinstance(inside[key], dict | list):
                kind = rng.random()
                if kind < 0.2:
                    del inside[key]
                elif kind < 0.4 and isinstance(inside[key], str):
                    text = list(inside[key])
                    rng.shuffle(text)
                    inside[key] = "".join(text)
                else:
                    inside[key] = copy.deepcopy(rng.choice(SCRAPS))
                break
            inside = inside[key]
    return value


@pytest.mark.parametrize("name", [name for name in FILES if "." in name and not name.endswith((".csv", ".txt"))])
def test_a_thousand_mutated_records_are_read_or_refused_with_a_sentence(name):
    rng, records = random.Random(name), records_of(name)
    refused = 0
    for number in range(CASES):
        record = _mutated(rng.choice(records), rng)
        layers = record.values() if name == "mzsre.json" and isinstance(record, dict) else [record]
        for layer in layers:
            if not isinstance(layer, dict):
                continue
            try:
                found = forms.read(layer).cases(str(number), Writer(proposals=number % 2 == 0))
            except BadRequest as error:
                refused += 1
                assert str(error).endswith(".")
            else:
                assert found and all(case.request.prompt.count("{}") == 1 for case in found)
    assert 0 < refused < 2 * CASES


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edits.csv", "excel.csv", "excel.txt", "wikibigedit.jsonl", "fastedit.json"])
def test_a_thousand_damaged_files_are_read_or_refused_with_a_sentence(name, tmp_path):
    rng, content = random.Random(name), (DATA / name).read_bytes()
    for _ in range(CASES):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 6)):
            at, size = rng.randrange(len(damaged)), rng.randint(0, 8)
            damaged[at : at + size] = rng.randbytes(rng.randint(0, 8))
        path = written(tmp_path, bytes(damaged))
        try:
            reading = read_file(path)
        except BadFile as error:
            assert str(error).startswith(str(path)) and len(str(error)) > len(str(path)) + 10
        else:
            assert reading.found or reading.faults
    assert path.read_bytes() == bytes(damaged)


@pytest.mark.parametrize("depth", [300, 600, 900, 990, 100_000])
@pytest.mark.parametrize("key", ["ground_truth", "locality", "target_new"])
def test_lists_in_lists_are_read_or_refused(tmp_path, depth, key):
    nested = "[" * depth + "]" * depth
    content = '[{"prompt":"{} is in","subject":"Peru","target_new":"Asia","%s":%s}]' % (key, nested)  # noqa: UP031
    try:
        reading = read_file(written(tmp_path, content.encode()))
    except BadFile as error:
        assert "not JSON that can be read" in str(error)
    else:
        assert len(reading.found) + len(reading.faults) == 1


def test_a_prompt_that_repeats_its_subject_a_hundred_thousand_times_is_refused_at_once(tmp_path):
    record = {"prompt": "Peru " * 100_000, "subject": "Peru", "target": "Asia"}
    (fault,) = read_file(written(tmp_path, [record])).faults
    assert "occurs 100 times in the prompt" in fault.reason


@pytest.fixture(scope="module")
def facts() -> FactBase:
    return FactBase.load(DATA.parents[1] / "presets" / "facts")
