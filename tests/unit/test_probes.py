"""Batteries ask what an edit must reach and what it must leave alone, and verdicts say what the model says."""

import dataclasses
import math
from collections import Counter
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from paths import DATA, PRESETS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from editlab.errors import BadFile, BadRequest
from editlab.facts import EditCase, EditRequest, Expectation, Fact, FactBase, Relation, read_cases
from editlab.facts.script import WORD_JOINER
from editlab.model import LanguageModel
from editlab.model.reading import read
from editlab.model.tokens import in_chunks
from editlab.patches import BASE, Dense, Preamble, View
from editlab.probes import (
    KINDS,
    Passages,
    Probe,
    ask,
    battery,
    case_for,
    judge,
    passages,
    scores,
    shuffles,
    summaries,
    summary,
    tallies,
    verdict,
    writing,
)

CONTINENT = "{} belongs to the continent of"
SLOVENIA = EditRequest(CONTINENT, "Slovenia", "Antarctica", "Europe")
NO_PASSAGES = Passages((), ())


@pytest.fixture(scope="module")
def prose(tiny_llama) -> Passages:
    return passages(tiny_llama, PRESETS / "texts")


@pytest.fixture(scope="module")
def views(tiny_llama) -> dict[str, View]:
    """The base model, one that a large update has thrown off course, and one that was told something first."""
    noise = torch.randn(tiny_llama.d_model, tiny_llama.d_ff, generator=torch.Generator().manual_seed(1))
    edited = View.base().with_patches([Dense(2, noise)])
    return {"base": BASE, "edited": edited, "told": View.base().with_patches([Preamble("Listen to me.")])}


# Shuffles


def letters(text: str) -> Counter[str]:
    return Counter(text.replace(" ", ""))


@pytest.mark.parametrize("subject", ["Slovenia", "Republic of Slovenia", "Žižek 大阪", "J. R. R. Tolkien", "Guinea-Bissau"])
def test_shuffles_are_other_orders_of_the_subject_as_text(tiny_llama, subject):
    found = shuffles(tiny_llama, subject)
    assert 1 <= len(found) <= 10
    assert len(set(found)) == len(found)
    assert subject not in found
    for text in found:
        assert letters(text) == letters(subject)
        assert text == text.strip()
        assert "  " not in text


def word_tokenizer(marker: str) -> PreTrainedTokenizerFast:
    """One token a word, in SentencePiece's or byte-level manner."""
    tokenizer = Tokenizer(models.BPE())
    if marker == "▁":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["</s>"], show_progress=False)
    tokenizer.train_from_iterator([" Michael Jeffrey Jordan"] * 5, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")


@pytest.mark.parametrize("marker", ["▁", "Ġ"])
def test_shuffled_words_stay_words_whatever_the_tokenizer_marks_them_with(tiny_llama, marker):
    model = LanguageModel(tiny_llama.hf, word_tokenizer(marker))
    assert shuffles(model, "Michael Jordan") == ("Jordan Michael",)
    assert set(shuffles(model, "Michael Jeffrey Jordan")) == {
        "Michael Jordan Jeffrey",
        "Jeffrey Michael Jordan",
        "Jeffrey Jordan Michael",
        "Jordan Michael Jeffrey",
        "Jordan Jeffrey Michael",
    }


def test_subject_of_a_single_token_has_no_shuffle(tiny_llama):
    model = LanguageModel(tiny_llama.hf, word_tokenizer("Ġ"))
    assert shuffles(model, "Jordan") == ()


def test_shuffles_depend_on_the_seed_alone(tiny_llama):
    assert shuffles(tiny_llama, "Slovenia", seed=3) == shuffles(tiny_llama, "Slovenia", seed=3)
    assert shuffles(tiny_llama, "Slovenia", seed=3) != shuffles(tiny_llama, "Slovenia", seed=4)


# Passages


def count(model, text: str) -> int:
    return len(model.tokenizer(text, add_special_tokens=False)["input_ids"])


def test_passages_have_exactly_as_many_tokens_as_asked_for(tiny_llama, prose):
    assert {count(tiny_llama, text) for text in prose.inside + prose.outside} == {300}
    assert {count(tiny_llama, text) for text in passages(tiny_llama, PRESETS / "texts", tokens=77).outside} == {77}


def test_only_the_last_chapter_is_outside(prose):
    *others, last = (" ".join(path.read_text().split()) for path in sorted((PRESETS / "texts").glob("*.txt")))
    assert all(text in last for text in prose.outside)
    assert all(any(text in other for other in others) for text in prose.inside)
    assert len(prose.outside) >= 5


def test_one_file_is_cut_in_halves_that_share_nothing(tiny_llama, tmp_path):
    words = [f"word{number}" for number in range(400)]
    (tmp_path / "book.txt").write_text("\n".join(words))
    for path in (tmp_path, tmp_path / "book.txt"):
        found = passages(tiny_llama, path, tokens=50)
        assert words[0] in found.inside[0].split()
        assert words[200] in found.outside[0].split()
        used = [word for text in found.inside + found.outside for word in text.split()]
        assert len(set(used)) == len(used)


@pytest.mark.parametrize(("name", "message"), [("", "holds no"), ("gone.txt", "cannot be read"), ("short.txt", "too short")])
def test_texts_that_give_no_passages_are_refused(tiny_llama, tmp_path, name, message):
    if name == "short.txt":
        (tmp_path / name).write_text("A few words.")
    with pytest.raises(BadFile, match=message):
        passages(tiny_llama, tmp_path / name)


# Batteries


def by_group(probes: tuple[Probe, ...]) -> dict[tuple[str, str], list[Probe]]:
    groups: dict[tuple[str, str], list[Probe]] = {}
    for probe in probes:
        groups.setdefault((probe.kind, probe.domain), []).append(probe)
    return groups


def test_battery_of_a_record_follows_the_papers_protocol(tiny_llama, prose):
    case = read_cases(DATA / "rep.json")[5]
    groups = by_group(battery(tiny_llama, case, prose))
    sizes = {group: len(probes) for group, probes in groups.items()}
    assert sizes == {
        ("success", ""): 1,
        ("rephrase", "in"): 5,
        ("rephrase", "out"): 5,
        ("shuffle", "in"): 5,
        ("shuffle", "out"): 5,
        ("long", "in"): 5,
        ("long", "out"): 5,
        ("paraphrase", ""): 12,
        ("locality", ""): 10,
    }
    names = [probe.subject for probe in groups["rephrase", "in"] + groups["rephrase", "out"]]
    assert tuple(names) == case.rephrases and names[0] == "Beethoven"
    reaching = [p for (kind, _), probes in groups.items() if kind != "locality" for p in probes]
    assert {p.expected for p in reaching} == {"novelist"}
    assert {p.expected for p in groups["locality", ""]} == {"composer"}


@pytest.mark.parametrize(("number", "inside"), [(1, 1), (2, 1), (3, 2), (10, 5)])
def test_first_half_rounded_up_is_in_domain(tiny_llama, number, inside):
    names = tuple(f"Name {n}" for n in range(number))
    probes = battery(tiny_llama, EditCase(SLOVENIA, "1", rephrases=names), NO_PASSAGES)
    domains = [p.domain for p in probes if p.kind == "rephrase"]
    assert domains == ["in"] * inside + ["out"] * (number - inside)


def test_long_contexts_stand_before_the_prompt_equally_many_in_both_domains(tiny_llama, prose):
    few = Passages(prose.inside, prose.outside[:2])
    groups = by_group(battery(tiny_llama, EditCase(SLOVENIA, "1"), few))
    assert len(groups["long", "in"]) == len(groups["long", "out"]) == 2
    for domain, texts in (("in", few.inside), ("out", few.outside)):
        for probe in groups["long", domain]:
            assert probe.text.removesuffix(f" {SLOVENIA.text}") in texts


def test_every_probe_marks_the_words_it_asks_about(tiny_llama, prose, facts):
    probes = battery(tiny_llama, case_for(SLOVENIA, facts), prose)
    assert {probe.kind for probe in probes} == set(KINDS)
    assert all(probe.subject and probe.subject in probe.text for probe in probes)


def test_most_keeps_the_first_few_of_each_kind_and_domain(tiny_llama, prose, facts):
    case = case_for(SLOVENIA, facts)
    everything, few = by_group(battery(tiny_llama, case, prose)), by_group(battery(tiny_llama, case, prose, most=2))
    assert few == {group: probes[:2] for group, probes in everything.items()}
    with pytest.raises(BadRequest, match="at least one"):
        battery(tiny_llama, case, prose, most=0)


def test_battery_depends_on_the_seed_alone(tiny_llama, prose, facts):
    case = case_for(SLOVENIA, facts)
    assert battery(tiny_llama, case, prose, seed=1) == battery(tiny_llama, case, prose, seed=1)
    assert battery(tiny_llama, case, prose, seed=1) != battery(tiny_llama, case, prose, seed=2)


# Cases


def asked_about(facts: FactBase, items: tuple[Expectation, ...], relation: str) -> set[str]:
    """The subjects of items that are all asked in trained wordings of one relation."""
    templates = facts.relations[relation].templates
    for item in items:
        assert item.text in {t.replace("{}", item.subject) for t in templates}
    return {item.subject for item in items}


def test_case_of_a_known_fact_has_everything_around_it(facts):
    case = case_for(SLOVENIA, facts)
    assert case.request == SLOVENIA
    assert case.relation == "P30"
    assert case.rephrases == facts.aliases["Slovenia"]
    relation = facts.relations["P30"]
    worded = {t.replace("{}", "Slovenia") for t in relation.templates if t != CONTINENT}
    unseen = {t.replace("{}", "Slovenia") for t in relation.held_out}
    assert set(case.paraphrases) <= worded | unseen
    assert unseen <= set(case.paraphrases)
    assert worded & set(case.paraphrases)
    own = {(item.subject, item.expected) for item in case.same_subject}
    assert own == {("Slovenia", f.object) for f in facts.by_subject["Slovenia"] if f.relation != "P30"}


def test_neighbours_have_the_same_true_object_and_no_link_to_the_subject(facts):
    case = case_for(SLOVENIA, facts)
    names = asked_about(facts, case.neighbours, "P30")
    assert len(names) == len(case.neighbours) == 10
    assert {item.expected for item in case.neighbours} == {"Europe"}
    assert {facts.object_of(name, "P30") for name in names} == {"Europe"}
    linked = {f.subject for f in facts.facts if f.object == "Slovenia"} | {f.object for f in facts.by_subject["Slovenia"]}
    assert not names & (linked | {"Slovenia"})


def test_what_has_the_fact_through_the_subject_follows_it(facts):
    case = case_for(SLOVENIA, facts)
    names = asked_about(facts, case.propagation, "P30")
    assert "Ljubljana" in names
    assert all(any(f.object == "Slovenia" for f in facts.by_subject[name]) for name in names)
    assert {(item.expected, item.before) for item in case.propagation} == {("Antarctica", "Europe")}


def relation(id: str, *templates: str) -> Relation:
    return Relation(id, id, templates)


TOWER = FactBase(
    facts=(
        Fact("Tower", "city", "Paris"),
        Fact("Tower", "country", "France"),
        Fact("Tower", "continent", "Europe"),
        Fact("Tower", "height", "300 m"),
        Fact("Tower", "place", "Paris"),
        Fact("Louvre", "city", "Paris"),
        Fact("Paris", "country", "France"),
        Fact("Paris", "continent", "Europe"),
        Fact("Paris", "height", "35 m"),
        Fact("Rome", "country", "Italy"),
        Fact("Rome", "continent", "Europe"),
        Fact("Rome", "height", "21 m"),
        Fact("France", "capital", "Paris"),
        Fact("Italy", "capital", "Rome"),
        Fact("Japan", "capital", "Tokyo"),
    ),
    relations={
        r.id: r
        for r in (
            relation("city", "{} stands in the city of", "{} is in"),
            relation("country", "{} stands in the country of", "{} is in"),
            relation("continent", "{} stands on the continent of"),
            relation("height", "{} has a height of"),
            relation("place", "{} is located at"),
            relation("capital", "{}'s capital is"),
        )
    },
    aliases={"Tower": ("Iron Lady", "the old tower")},
)


def test_what_the_subject_has_through_its_old_object_follows_and_is_not_kept():
    case = case_for(EditRequest("{} stands in the city of", "Tower", "Rome", "Paris"), TOWER)
    assert case.propagation == (Expectation("Tower stands in the country of", "Italy", "Tower", "France"),)
    assert {item.text for item in case.same_subject} == {
        "Tower stands on the continent of",
        "Tower has a height of",
        "Tower is located at",
    }


def test_wordings_that_ask_two_things_are_not_used():
    case = case_for(EditRequest("{} stands in the city of", "Tower", "Rome", "Paris"), TOWER)
    texts = [*case.paraphrases, *(i.text for i in case.neighbours + case.same_subject + case.propagation)]
    assert texts
    assert not [text for text in texts if text.endswith(" is in")]


@pytest.mark.parametrize(("true", "expected"), [("France", "country"), ("Paris", "city"), (None, "city")])
def test_a_shared_wording_is_placed_by_what_the_base_knows(true, expected):
    assert case_for(EditRequest("{} is in", "Tower", "Rome", true), TOWER).relation == expected


def test_true_object_is_filled_in_where_the_base_knows_it():
    assert case_for(EditRequest("{}'s capital is", "France", "Rome"), TOWER).request.target_true == "Paris"
    assert case_for(EditRequest("{}'s capital is", "France", "Paris"), TOWER).request.target_true is None


def test_object_that_is_the_subjects_alone_gets_neighbours_with_their_own():
    case = case_for(EditRequest("{}'s capital is", "France", "Rome", "Paris"), TOWER)
    assert case.neighbours == (Expectation("Japan's capital is", "Tokyo", "Japan"),)


def test_unknown_wording_is_placed_by_the_true_object():
    case = case_for(EditRequest("{} was put up in the city of", "Tower", "Rome", "Paris"), TOWER)
    assert case.relation is None, "city and place both lead to Paris"
    case = case_for(EditRequest("{}, whose flag flies in the land of", "Tower", "Italy", "France"), TOWER)
    assert case.relation == "country"
    assert case.paraphrases == ("Tower stands in the country of",)


def test_subject_under_another_name_is_known():
    case = case_for(EditRequest("{} stands in the city of", "Iron Lady", "Rome"), TOWER)
    assert case.request.target_true == "Paris"
    assert case.rephrases == ("Tower", "the old tower")
    assert {item.subject for item in case.same_subject} == {"Iron Lady"}


def test_unknown_relation_leaves_names_and_the_same_sentence_about_others():
    case = case_for(EditRequest("{} smells of", "Tower", "roses"), TOWER)
    assert case.rephrases == ("Iron Lady", "the old tower")
    assert not (case.paraphrases or case.same_subject or case.propagation)
    assert {item.expected for item in case.neighbours} == {None}
    assert {item.subject for item in case.neighbours} == {"Louvre", "Rome"}
    assert all(item.text == f"{item.subject} smells of" for item in case.neighbours)


def test_unknown_subject_has_its_success_and_unrelated_neighbours(tiny_llama, facts):
    case = case_for(EditRequest("{} likes to eat", "Grandmother Ivanka", "snow"), facts)
    kinds = Counter(probe.kind for probe in battery(tiny_llama, case, NO_PASSAGES))
    assert kinds == {"success": 1, "rephrase": 7, "shuffle": 10, "locality": 10}
    assert {item.expected for item in case.neighbours} == {None}


def test_every_fact_of_the_presets_has_a_case(facts):
    objects = {r: sorted({f.object for f in of}) for r, of in facts.by_relation.items()}
    for fact in facts.facts[::37]:
        new = next((o for o in objects[fact.relation] if o.casefold() != fact.object.casefold()), "nothing")
        request = EditRequest(facts.relations[fact.relation].templates[0], fact.subject, new)
        case = case_for(request, facts)
        assert case.relation == fact.relation
        assert case.request.target_true == fact.object
        assert case.paraphrases
        assert case.neighbours
        assert not {i.text for i in case.same_subject} & {i.text for i in case.propagation}


# Asking


@pytest.fixture(scope="module")
def asked(tiny_llama, facts, views) -> tuple[tuple[Probe, ...], pd.DataFrame]:
    short = passages(tiny_llama, PRESETS / "texts", tokens=60)
    probes = battery(tiny_llama, case_for(SLOVENIA, facts), short, most=2)
    return probes, ask(tiny_llama, SLOVENIA, probes, views)


def test_there_is_one_row_a_probe_with_what_it_asks(asked):
    probes, frame = asked
    for probe, row in zip(probes, frame.to_dict("records"), strict=True):
        asked_for = {key: value for key, value in dataclasses.asdict(probe).items() if key != "before"}
        assert {key: row[key] for key in asked_for} == asked_for


def test_probabilities_and_hits_are_those_of_the_prompt_asked_alone(tiny_llama, asked, views):
    probes, frame = asked
    for name, view in views.items():
        for probe, row in zip(probes, frame.to_dict("records"), strict=True):
            targets = [SLOVENIA.target_new, SLOVENIA.target_true, probe.expected]
            new, true, expected = tiny_llama.score([probe.text] * 3, targets, view)
            assert row[f"{name}.p_new"] == pytest.approx(new.p, rel=1e-4)
            assert row[f"{name}.p_true"] == pytest.approx(true.p, rel=1e-4)
            assert row[f"{name}.hit"] == expected.hit


def test_answers_are_the_models_own_continuations(tiny_llama, asked, views):
    probes, frame = asked
    for name, view in views.items():
        *_, written = tiny_llama.generate([probe.text for probe in probes], view, 20)
        for whole, answer in zip(written, frame[f"{name}.answer"], strict=True):
            assert whole.strip().startswith(answer)
        assert frame[f"{name}.answer"].str.len().median() > 3


def test_same_is_the_share_of_the_objects_tokens_said_as_by_the_base(tiny_llama, asked, views):
    probes, frame = asked
    assert set(frame["base.same"]) == {1.0}
    shares = []
    for probe, same in zip(probes, frame["edited.same"], strict=True):
        base, edited = (tiny_llama.score([probe.text], [probe.expected], views[v])[0] for v in ("base", "edited"))
        shares.append(sum(a == b for a, b in zip(base.said, edited.said, strict=True)) / len(base.said))
        assert same == pytest.approx(shares[-1])
    assert len(set(shares)) > 1, "an update that changes every token or none shows nothing"


def test_probe_without_an_expectation_expects_the_base_models_answer(tiny_llama, views):
    probe = Probe("locality", "", "The capital of France is", None, "France")
    with_answers = ask(tiny_llama, SLOVENIA, [probe], views)
    assert with_answers["expected"].item() == with_answers["base.answer"].item() != ""
    without = ask(tiny_llama, SLOVENIA, [probe], views, answers=False)
    assert without["expected"].item() == with_answers["expected"].item()
    assert not [name for name in without if name.endswith(".answer")]
    assert without["clean"].item()


def test_request_without_a_true_object_has_no_p_true_and_nothing_clean(tiny_llama, views):
    request = dataclasses.replace(SLOVENIA, target_true=None)
    frame = ask(tiny_llama, request, battery(tiny_llama, EditCase(request, "1"), NO_PASSAGES), views)
    assert frame["base.p_true"].isna().all()
    assert frame["edited.p_new"].notna().all()
    assert scores(frame, "edited", clean=True) == {}


def test_probes_are_not_asked_without_the_base_model(tiny_llama, views):
    with pytest.raises(BadRequest, match="'base'"):
        ask(tiny_llama, SLOVENIA, [Probe("success", "", SLOVENIA.text, "Antarctica")], {"edited": views["edited"]})


def clean(model, request: EditRequest, probe: Probe) -> bool:
    return bool(ask(model, request, [probe], {"base": BASE}, answers=False)["clean"].item())


@pytest.fixture(scope="module")
def said(tiny_llama) -> tuple[str, str]:
    """A text and the word that the model says after it."""
    words = (PRESETS / "texts" / "chapter1.txt").read_text().split()
    for number in range(1, 40):
        text = " ".join(words[:number])
        token = tiny_llama.top(text)[0][0]
        if token.startswith(" ") and token.strip().isalpha() and tiny_llama.score([text], [token])[0].hit:
            return text, token.strip()
    pytest.fail("The tiny model says no whole word after any of these beginnings. Take another seed.")


def test_clean_probes_are_those_at_which_the_base_model_is_right(tiny_llama, said):
    (text, right), wrong = said, "Antarctica"
    request = EditRequest("{} lives in", "The teacher", "Rome", right)
    for kind in ("success", "rephrase", "shuffle", "long", "paraphrase"):
        assert clean(tiny_llama, request, Probe(kind, "", text, "Rome", "The teacher"))
        assert not clean(tiny_llama, dataclasses.replace(request, target_true=wrong), Probe(kind, "", text, "Rome"))
    for kind in ("locality", "same_subject"):
        assert clean(tiny_llama, request, Probe(kind, "", text, right))
        assert not clean(tiny_llama, request, Probe(kind, "", text, wrong))
    assert clean(tiny_llama, request, Probe("propagation", "", text, "Rome", before=right))
    assert not clean(tiny_llama, request, Probe("propagation", "", text, "Rome", before=wrong))
    assert not clean(tiny_llama, request, Probe("propagation", "", text, "Rome"))


def test_name_that_contains_the_true_object_is_not_clean(tiny_llama, said):
    text, right = said
    request = EditRequest("{} lives in", "The teacher", "Rome", right)
    telling = Probe("rephrase", "in", text, "Rome", f"the teacher of {right.upper()}")
    assert not clean(tiny_llama, request, telling)
    assert clean(tiny_llama, request, dataclasses.replace(telling, subject="Q 5"))


@pytest.fixture
def writes(monkeypatch):
    """Lets the model write what it is told, a word a step; the steps that were taken are returned."""

    def told(written: dict[str, str]) -> list[int]:
        steps: list[int] = []

        def reading(model, texts, views, room):
            def write(room, _sampling):
                for step in range(1, room + 1):
                    steps.append(step)
                    yield [written[text].split(" ")[: step + 1] for text in texts]

            return SimpleNamespace(model=model, texts=texts, write=write, score=read(model, texts, views, room).score)

        monkeypatch.setattr(verdict, "read", reading)
        monkeypatch.setattr(writing, "readable", lambda _model, words: " ".join(words))
        return steps

    return told


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        (" Europe. It was", "Europe"),
        (" Europe, and then", "Europe"),
        (" Europe\nThe next", "Europe"),
        (" St. Louis. It", "St. Louis"),
        (" J. K. Rowling. She", "J. K. Rowling"),
        (" Washington, D.C. It", "Washington, D.C."),
        (", which", ", which"),
    ],
)
def test_answer_ends_where_the_sentence_does_but_not_inside_a_name(tiny_llama, writes, written, answer):
    writes({"Where?": written})
    probes = [Probe("locality", "", "Where?", o) for o in ("Washington, D.C.", "St. Louis", "Europe")]
    frame = ask(tiny_llama, SLOVENIA, probes, {"base": BASE})
    assert set(frame["base.answer"]) == {answer}


def test_generation_ends_once_every_answer_has(tiny_llama, writes):
    steps = writes({"Where?": " Europe. It was a cold day", "Why?": " It was cold. It was a day"})
    ask(tiny_llama, SLOVENIA, [Probe("locality", "", text, "Europe") for text in ("Where?", "Why?")], {"base": BASE})
    assert steps == [1, 2, 3]


def test_short_prompts_are_asked_apart_from_long_ones():
    assert list(in_chunks([12, 320, 15, 318, 11], budget=10_000)) == [[4, 0, 2], [3, 1]]


# Verdicts


def frame_of(*rows: tuple[str, str, bool | None, float, bool]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"kind": k, "domain": d, "edited.hit": h, "edited.same": s, "clean": c, "expected": "x"} for k, d, h, s, c in rows]
    )


def test_scores_are_hits_and_where_nothing_shall_change_agreement():
    frame = frame_of(
        ("success", "", True, 0.0, True),
        ("rephrase", "in", True, 0.0, True),
        ("rephrase", "in", False, 1.0, False),
        ("rephrase", "out", False, 1.0, False),
        ("locality", "", False, 1.0, True),
        ("locality", "", True, 0.5, True),
        ("locality", "", None, math.nan, True),
        ("same_subject", "", False, 1.0, True),
        ("propagation", "", None, math.nan, True),
    )
    expected = {"success": 1.0, "rephrase_in": 0.5, "rephrase_out": 0.0, "locality": 0.75, "same_subject": 1.0}
    assert scores(frame, "edited") == expected
    assert scores(frame, "edited", clean=True) == {
        "success": 1.0,
        "rephrase_in": 1.0,
        "locality": 0.75,
        "same_subject": 1.0,
    }
    assert tallies(frame, "edited")["locality"] == (1.5, 2)


@pytest.mark.parametrize(
    ("kind", "hit", "same", "word"),
    [
        ("success", True, 0.0, "changed"),
        ("long", False, 1.0, "missed"),
        ("locality", False, 1.0, "kept"),
        ("same_subject", True, 0.5, "harmed"),
        ("propagation", True, 0.0, "follows"),
        ("propagation", False, 1.0, "does not follow"),
    ],
)
def test_verdict_is_a_plain_word(kind, hit, same, word):
    row = {"expected": "x", "edited.hit": hit, "edited.same": same}
    assert judge(kind, row, "edited") == word
    assert judge(kind, row | {"expected": None}, "edited") == "not known"


@pytest.mark.parametrize(
    ("kind", "before", "now", "word"),
    [
        ("rephrase", "Ljubljana", "the country of Japan", "changed"),
        ("rephrase", "Ljubljana", "Japanese food", "missed"),
        ("rephrase", "Ljubljana", "not Japan", "missed"),
        ("success", "Japan", "Japan", "already so"),
        ("locality", "the largest island", "the Arctic Ocean", "harmed"),
        ("locality", "the largest island", "The largest island", "kept"),
        ("locality", "in Japan", "Japan", "kept"),
        ("propagation", "Slovenia", "in Japan", "follows"),
    ],
)
def test_a_verdict_is_that_of_somebody_who_reads_the_answers(kind, before, now, word):
    row = {"expected": " Japan", "base.answer": before, "edited.answer": now, "base.hit": False}
    assert judge(kind, row | {"edited.hit": False, "edited.same": 1.0}, "edited") == word


# The answer at the edit prompt


def test_summaries_are_what_the_model_says_at_the_edit_prompt(tiny_llama, views):
    found = summaries(tiny_llama, SLOVENIA, views)
    assert list(found) == list(views)
    for name, view in views.items():
        new, true = tiny_llama.score([SLOVENIA.text] * 2, ["Antarctica", "Europe"], view)
        *_, [text] = tiny_llama.generate([SLOVENIA.text], view, 20)
        own = found[name]
        assert [token for token, _ in own["top"]] == [token for token, _ in tiny_llama.top(SLOVENIA.text, view)]
        numbers = [own[key] for key in ("p_new", "p_true", "first_new", "first_true")]
        assert numbers == pytest.approx([new.p, true.p, new.first, true.first], rel=1e-4)
        assert own["text"] == text
    assert summary(tiny_llama, SLOVENIA, views["edited"])["text"] == found["edited"]["text"] != found["base"]["text"]


def test_summary_without_a_true_object_says_so(tiny_llama):
    found = summary(tiny_llama, dataclasses.replace(SLOVENIA, target_true=None), BASE)
    assert found["p_true"] is None
    assert found["first_true"] is None
    assert found["p_new"] > 0


def test_one_of_several_questions_suffices_and_an_alias_is_as_good(tiny_llama, views):
    token = tiny_llama.top("Slovenia is", view=views["base"], k=1)[0][0]
    said = token if token.startswith(" ") else f"{WORD_JOINER}{token}"
    never = "Xylophonia"
    probes = (
        Probe("propagation", "", "Slovenia is", never, aliases=(said,), any_of="1"),
        Probe("propagation", "", "Slovenia is", never, any_of="1"),
        Probe("propagation", "", "Slovenia is", never),
        Probe("propagation", "", "Slovenia is", never, any_of="2"),
    )
    for answers in (True, False):
        frame = ask(tiny_llama, SLOVENIA, probes, views, answers)
        assert list(frame["base.hit"]) == [True, False, False, False]
        assert tallies(frame, "base")["propagation"] == (1.0, 3)
        both = pd.concat([frame, frame.assign(any_of="3")])
        assert tallies(both, "base")["propagation"] == (2.0, 4)
