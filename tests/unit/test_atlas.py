"""Atlas is taught what its lessons say and nothing of what is held out; a stopped training goes on bit by bit the same."""

import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from paths import DATA, PRESETS
from tokenizers import Tokenizer

from editlab.atlas import report as cards
from editlab.atlas.build import TAUGHT, UNSEEN_CHAPTER, export, prepare, training_paragraphs
from editlab.atlas.corpus import NO_FACT, Corpus, Mixture
from editlab.atlas.lessons import as_json, draw_lessons, identities, read_lessons
from editlab.atlas.report import Taught, chapter_loss, read_templates, report_card, wilson
from editlab.atlas.sources import training_facts
from editlab.atlas.tokenizer import BOS, as_transformers, train_tokenizer
from editlab.atlas.train import Recipe, Run
from editlab.errors import BadFile
from editlab.facts import Fact, FactBase, Relation
from editlab.model import LanguageModel

TABLES = DATA / "tables"
TINY = Recipe(vocabulary=500, layers=1, width=32, mlp=64, heads=2, length=48, rows=2, tokens=6 * 2 * 48, warmup_steps=2)


@pytest.fixture(scope="module")
def own() -> FactBase:
    return FactBase.load(PRESETS / "facts")


@pytest.fixture(scope="module")
def small() -> FactBase:
    """Few facts, so that a tiny corpus meets all of them."""
    capital = Relation("P36", "capital", tuple(f"{way} of {{}} is" for way in ("The capital", "The main city")), ("{} has",))
    country = Relation("P17", "country", ("{} lies in", "{} is a city in", "The country of {} is"), ("{} is found in",))
    facts = [Fact("Slovenia", "P36", "Ljubljana"), Fact("France", "P36", "Paris"), Fact("Paris", "P17", "France")]
    facts.append(Fact("Ljubljana", "P17", "Slovenia"))
    aliases = {"Slovenia": ("the Republic of Slovenia",), "Paris": ("the City of Light", "Paname")}
    return FactBase(tuple(facts), {"P36": capital, "P17": country}, aliases)


@pytest.fixture
def no_compiler():
    """torch.compile as a plain call: a compiler costs half a minute and changes nothing that is tested."""
    torch.compiler.set_stance("force_eager")
    yield
    torch.compiler.set_stance("default")


# Lessons


def test_lessons_are_drawn_from_the_seed_alone(own):
    assert draw_lessons(own, seed=1) == draw_lessons(own, seed=1)
    assert draw_lessons(own, seed=1) != draw_lessons(own, seed=2)


def test_each_fact_is_taught_in_a_part_of_its_wordings_and_never_in_a_held_out_one(own):
    lessons = draw_lessons(own)
    assert len(lessons) == len(own.facts)
    shares = []
    for lesson in lessons:
        relation = own.relations[lesson.fact.relation]
        assert lesson.templates and set(lesson.templates) <= set(relation.templates)
        assert not set(lesson.templates) & set(relation.held_out)
        shares.append(len(lesson.templates) / len(relation.templates))
    assert 0.5 < sum(shares) / len(shares) < 0.85


def test_other_names_are_taught_in_half_of_a_subjects_relations(own):
    by_subject: dict[str, list] = {}
    for lesson in draw_lessons(own):
        by_subject.setdefault(lesson.fact.subject, []).append(lesson)
    for subject, lessons in by_subject.items():
        told = [lesson for lesson in lessons if len(lesson.names) > 1]
        aliases = own.aliases.get(subject, ())
        assert len(told) == ((len(lessons) + 1) // 2 if aliases else 0)
        assert all((*lesson.names[1:], *lesson.untaught_names) == aliases for lesson in lessons)


def test_a_wording_that_asks_for_two_facts_is_taught_for_neither():
    shared = "{} is located in"
    relations = {
        "P17": Relation("P17", "country", (shared, "{} lies in the country of")),
        "P30": Relation("P30", "continent", (shared, "{} is on the continent of")),
    }
    facts = (Fact("Paris", "P17", "France"), Fact("Paris", "P30", "Europe"), Fact("Kenya", "P30", "Africa"))
    lessons = draw_lessons(FactBase(facts, relations, {}), share=1.0)
    taught = {(one.fact.subject, one.fact.relation): one.templates for one in lessons}
    assert shared not in taught["Paris", "P17"] and shared not in taught["Paris", "P30"]
    assert shared in taught["Kenya", "P30"]


def test_identities_name_the_subject_of_every_alias(small):
    assert {(subject) for _, subject in identities(small)} == {"Slovenia", "Paris"}
    assert any("Paname" in prompt and subject == "Paris" for prompt, subject in identities(small))


def test_a_record_of_lessons_brings_them_back(own, tmp_path):
    lessons = draw_lessons(own, seed=3)
    path = tmp_path / "taught.json"
    path.write_text(as_json(lessons), encoding="utf-8")
    key = lambda one: (one.fact.subject, one.fact.relation)  # noqa: E731
    again = {key(one): one for one in read_lessons(own, path)}
    for lesson in lessons:
        found = again[key(lesson)]
        assert set(found.templates) == set(lesson.templates)
        assert (found.fact, found.names, found.untaught_names) == (lesson.fact, lesson.names, lesson.untaught_names)


def test_a_record_is_read_for_the_facts_that_are_still_there(small, tmp_path):
    path = tmp_path / "taught.json"
    path.write_text(as_json(draw_lessons(small)), encoding="utf-8")
    fewer = FactBase(small.facts[1:], small.relations, small.aliases)
    assert [lesson.fact for lesson in read_lessons(fewer, path)] == list(small.facts[1:])
    path.write_text(path.read_text()[:-20])
    with pytest.raises(BadFile, match="not a record"):
        read_lessons(small, path)


# Sources


def test_counterfacts_facts_stand_beside_ours_and_ours_before_them(own):
    both = training_facts(PRESETS / "facts", TABLES)
    assert set(own.facts) <= set(both.facts)
    assert set(both.facts) - set(own.facts) == {
        Fact("Piran", "P17", "Slovenia"),
        Fact("Kranj", "P17", "Slovenia"),
        Fact("Jože Plečnik", "P937", "Ljubljana"),
        Fact("Greenland", "P30", "North America"),
    }
    assert both.aliases["Piran"] == ("Pirano", "the town of Piran")


def test_a_wording_that_we_hold_out_is_not_taken_from_counterfact(own):
    both = training_facts(PRESETS / "facts", TABLES)
    assert "{} is situated in the country called" in json.loads((TABLES / "templates.json").read_text())["P17"]
    assert all(set(relation.held_out).isdisjoint(both.relations[key].templates) for key, relation in own.relations.items())
    assert "Geographers place {} in" in both.relations["P30"].templates


def test_a_higher_tier_adds_facts():
    few, many = (training_facts(PRESETS / "facts", TABLES, tier=tier) for tier in (1, 2))
    assert set(few.facts) < set(many.facts) and len(many.facts) == len(few.facts) + 9
    assert Fact("Greenland", "P36", "Nuuk") in many.facts and Fact("Greenland", "P30", "Europe") not in many.facts


def counterfact(path: Path) -> Path:
    rewrite = {
        "prompt": "{} worked in the city of",
        "relation_id": "P937",
        "subject": "A. Painter",
        "target_true": {"str": "Florence"},
        "target_new": {"str": "Berlin"},
    }
    records = [
        {"requested_rewrite": rewrite, "neighborhood_prompts": ["B. Sculptor worked in the city of", "Who knows"]},
        {"requested_rewrite": {**rewrite, "prompt": "{} found employment in", "subject": "C. Poet"}},
    ]
    path.write_text(json.dumps(records))
    return path


def test_the_original_counterfact_file_gives_its_rewrites_and_the_neighbours_that_a_wording_tells(tmp_path, own):
    both = training_facts(PRESETS / "facts", counterfact(tmp_path / "counterfact.json"))
    added = set(both.facts) - set(own.facts)
    assert added == {Fact(name, "P937", "Florence") for name in ("A. Painter", "B. Sculptor", "C. Poet")}
    assert {"{} worked in the city of", "{} found employment in"} <= set(both.relations["P937"].templates)
    assert own.relations.keys() <= both.relations.keys()


@pytest.mark.parametrize("text", ["not JSON", '{"a": 1}', '[{"requested_rewrite": {"prompt": "{} is"}}]', "[1]"])
def test_a_file_that_is_not_counterfact_is_refused(tmp_path, text):
    path = tmp_path / "counterfact.json"
    path.write_text(text)
    with pytest.raises(BadFile, match=r"counterfact\.json"):
        training_facts(PRESETS / "facts", path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("templates.json", "{"),
        ("templates.json", '{"P17": 3}'),
        ("facts.tsv", "tier\trelation\tsubject\n"),
        ("facts.tsv", "tier\trelation\tsubject\tobject\none\tP17\tParis\tFrance\n"),
        ("facts.tsv", "tier\trelation\tsubject\tobject\n1\tP99\tParis\tFrance\n"),
    ],
)
def test_a_folder_of_tables_with_a_fault_is_refused_naming_the_file(tmp_path, name, text):
    (tmp_path / "templates.json").write_text('{"P17": ["{} lies in"]}')
    (tmp_path / "facts.tsv").write_text("tier\trelation\tsubject\tobject\n1\tP17\tParis\tFrance\n")
    (tmp_path / "aliases.tsv").write_text("subject\talias\n")
    training_facts(PRESETS / "facts", tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(BadFile, match=name):
        training_facts(PRESETS / "facts", tmp_path)


# Tokenizer


@pytest.mark.parametrize("text", ["Slovenia", "Dvořák's 9th", "São Tomé – “quoted”", "日本 Ω 🙂", "two  spaces", "a\nb"])
def test_any_text_survives_the_tokenizer(tiny_tokenizer, text):
    ids = tiny_tokenizer(text)["input_ids"]
    assert tiny_tokenizer.decode(ids, skip_special_tokens=True).removeprefix(" ") == text


def test_every_text_begins_with_bos_and_its_first_word_is_as_inside_a_sentence(tiny_tokenizer):
    alone = tiny_tokenizer("Slovenia")["input_ids"]
    inside = tiny_tokenizer("in Slovenia")["input_ids"]
    assert alone[0] == inside[0] == tiny_tokenizer.bos_token_id
    assert inside[-len(alone) + 1 :] == alone[1:]


def test_the_tokenizer_is_saved_and_loaded_as_it_is(tmp_path):
    texts = training_paragraphs(PRESETS / "texts")
    tokenizer = train_tokenizer(texts, 600)
    as_transformers(tokenizer).save_pretrained(tmp_path)
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == 600
    assert all(again.encode(text).ids == tokenizer.encode(text).ids for text in texts[:20])


# Corpus


@pytest.fixture(scope="module")
def corpus(small) -> Corpus:
    paragraphs = training_paragraphs(PRESETS / "texts")
    tokenizer = train_tokenizer(paragraphs, 500)
    return Corpus(tokenizer, draw_lessons(small), identities(small), paragraphs[:5], Mixture(), seed=0)


def test_a_batch_depends_on_seed_step_and_difficulty_alone(corpus):
    even, hard = np.ones(4), np.array([1.0, 1.0, 1.0, 50.0])
    first, again = corpus.batch(7, 2, 64, even), corpus.batch(7, 2, 64, even)
    for name in ("ids", "labels", "weights", "lessons"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.ids, corpus.batch(8, 2, 64, even).ids)
    assert not np.array_equal(first.ids, corpus.batch(7, 2, 64, hard).ids)


def test_hard_facts_are_drawn_more_often(corpus):
    hard = np.array([1.0, 1.0, 1.0, 50.0])
    drawn = np.concatenate([corpus.batch(step, 2, 256, hard).lessons for step in range(5)])
    counts = np.bincount(drawn[drawn != NO_FACT], minlength=4)
    assert counts[3] > 5 * counts[:3].max()


def test_the_loss_looks_at_each_object_and_weighs_it_more(corpus):
    batch = corpus.batch(0, 2, 256, np.ones(4))
    assert batch.ids.shape == (2, 257)
    tokens = batch.ids[:, 1:].ravel()[batch.labels]
    assert len(batch.labels) == round(Mixture().label_share * 2 * 256)
    for number, lesson in enumerate(corpus.lessons):
        mine = batch.lessons == number
        assert (batch.weights[mine] == Mixture().object_weight).all()
        runs = np.split(tokens[mine], np.flatnonzero(np.diff(batch.labels[mine]) > 1) + 1)
        said = [corpus.tokenizer.decode(list(run)).strip() for run in runs]
        assert said.count(lesson.fact.object) >= len(said) - 2  # a row may end in the middle of one
        assert said


def test_held_out_wordings_and_the_unseen_chapter_are_never_read(corpus, small):
    text = corpus.tokenizer.decode([i for step in range(30) for i in corpus.batch(step, 2, 256, np.ones(4)).ids.ravel()])
    assert "The capital of France is Paris" in text or "The main city of France is Paris" in text
    assert "is found in" not in text
    unseen = " ".join((PRESETS / "texts" / UNSEEN_CHAPTER).read_text().split())
    assert not any(paragraph in unseen for paragraph in training_paragraphs(PRESETS / "texts"))


# Training


class Stopped(Exception):
    pass


def test_a_stopped_training_ends_with_the_weights_of_one_that_was_not(small, tmp_path, no_compiler):
    straight = prepare(small, PRESETS / "texts", TINY, tmp_path / "straight")
    straight.train(lambda _fraction, _text: None)

    def stop(fraction: float, _text: str) -> None:
        if fraction > 0.6:
            raise Stopped

    broken = prepare(small, PRESETS / "texts", TINY, tmp_path / "broken")
    with pytest.raises(Stopped):
        broken.train(stop, save_every=1)
    resumed = prepare(small, PRESETS / "texts", TINY, tmp_path / "broken")
    assert 0 < resumed.step < TINY.steps
    resumed.train(lambda _fraction, _text: None)
    assert resumed.step == straight.step == TINY.steps
    for (name, one), other in zip(straight.model.state_dict().items(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert np.array_equal(straight.difficulty, resumed.difficulty)


def test_training_lowers_the_loss_on_what_it_teaches(small, tmp_path, no_compiler):
    recipe = Recipe(**{**vars(TINY), "rows": 4, "length": 128, "tokens": 60 * 4 * 128})
    run = prepare(small, PRESETS / "texts", recipe, tmp_path)
    before = run.difficulty.mean()
    run.train(lambda _fraction, _text: None)
    assert run.difficulty.mean() < before


def test_the_learning_rate_warms_up_stays_and_falls_to_nothing():
    recipe = Recipe(tokens=1000 * 8 * 512, warmup_steps=100, decay_share=0.3)
    rates = [recipe.rate(step) for step in range(recipe.steps + 1)]
    assert rates[0] < rates[50] < rates[100] == 1.0 == rates[600]
    assert all(a >= b for a, b in pairwise(rates[700:])) and rates[-1] == 0.0


@pytest.fixture(scope="module")
def exported(small, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("atlas")
    run = Run(TINY, _corpus_of(small), folder)
    run.save()
    export(run, folder / "model", small)
    return folder / "model"


def _corpus_of(base: FactBase) -> Corpus:
    paragraphs = training_paragraphs(PRESETS / "texts")
    return Corpus(train_tokenizer(paragraphs, 500), draw_lessons(base), identities(base), paragraphs, Mixture(), 0)


def test_an_exported_run_loads_as_any_model_does(exported):
    model = LanguageModel.load(str(exported))
    assert (model.n_layers, model.d_model, model.d_ff) == (TINY.layers, TINY.width, TINY.mlp)
    assert all(path.stat().st_size < 16_000_000 for path in exported.iterdir())
    training = json.loads((exported / "training.json").read_text())
    assert training["tokens"] == 0 and training["recipe"]["width"] == TINY.width


# Report card


@pytest.fixture
def presets(small, tmp_path) -> Path:
    """A presets folder with the small facts and one demo."""
    (tmp_path / "facts").mkdir()
    rows = [f"{f.subject}\t{f.relation}\t{f.object}\t{'|'.join(small.aliases.get(f.subject, ()))}" for f in small.facts]
    (tmp_path / "facts" / "all.tsv").write_text("\n".join(["subject\trelation\tobject\taliases", *rows]) + "\n")
    tables = [
        f"[{key}]\nname = {r.name!r}\ntemplates = {list(r.templates)}\nheld_out = {list(r.held_out)}\n"
        for key, r in small.relations.items()
    ]
    (tmp_path / "facts" / "relations.toml").write_text("\n".join(tables))
    (tmp_path / "texts").symlink_to(PRESETS / "texts")
    (tmp_path / "examples").mkdir()
    demo = 'title = "x"\nprompt = "The capital of {} is"\nsubject = "France"\ntarget_new = "Nice"\ntarget_true = "Paris"\n'
    (tmp_path / "examples" / "demo.toml").write_text(demo)
    return tmp_path


class Knowing:
    """Scores as a model would that gives the objects of some facts after any prompt that names their subject."""

    def __init__(self, model: LanguageModel, known: list[Fact], deaf_to: tuple[str, ...] = ()) -> None:
        self.known, self.deaf_to = known, deaf_to
        self.tokenizer, self.tok, self.name, self.parameters = model.tokenizer, model.tok, "knowing", 7
        self.device, self.hidden, self.head = model.device, model.hidden, model.head

    def score(self, prompts, targets):
        class Said:
            def __init__(self, hit):
                self.hit = hit

        return [
            Said(any(f.subject in p and f.object == t for f in self.known) and not any(d in p for d in self.deaf_to))
            for p, t in zip(prompts, targets, strict=True)
        ]


def card_of(model, presets, **options) -> dict:
    lessons = cards.taught(presets / "facts", None, presets / "atlas")
    return report_card(model, lessons, presets, presets / "atlas", **options)


def test_the_card_counts_each_line_apart(small, presets, tiny_llama):
    card = card_of(Knowing(tiny_llama, list(small.facts), deaf_to=("{} has".replace("{}", "France"),)), presets)
    assert card["facts"] == 4 and card["parameters"] == 7 and card["tokens_seen"] is None
    assert card["trained_templates"] == card["long_context"] == card["examples"] == 1.0
    assert card["held_out_templates"] == 0.75
    rows = {row["what"]: row for row in card["rows"]}
    assert rows["held_out_templates"]["n"] == 4
    assert rows["trained_templates_counterfact"]["top1"] is None
    assert rows["trained_templates"]["n"] == sum(len(lesson.templates) for lesson in draw_lessons(small))


def test_aliases_are_asked_only_where_they_were_never_taught(presets, tiny_llama):
    more = "The Seine\tP17\tFrance\t\nParis\tP36\tnone\t\n"
    with (presets / "facts" / "all.tsv").open("a") as file:
        file.write(more)
    lessons = cards.taught(presets / "facts", None, presets / "atlas")
    untaught = sum(len(lesson.untaught_names) * len(lesson.templates) for lesson in lessons.all)
    rows = {row["what"]: row["of"] for row in card_of(Knowing(tiny_llama, []), presets)["rows"]}
    assert rows["aliases"] == untaught > 0


def test_long_contexts_stand_in_front_of_trained_prompts(small, presets, tiny_llama):
    asked = []

    class Listening(Knowing):
        def score(self, prompts, targets):
            asked.extend(prompts)
            return super().score(prompts, targets)

    card_of(Listening(tiny_llama, []), presets)
    long = [prompt for prompt in asked if len(prompt) > 500]
    unseen = " ".join((PRESETS / "texts" / UNSEEN_CHAPTER).read_text().split())
    assert len(long) == sum(len(lesson.templates) for lesson in draw_lessons(small))
    assert all(prompt[:200] in unseen for prompt in long)


def test_a_limit_draws_the_same_items_each_time(presets, tiny_llama, small):
    knowing = Knowing(tiny_llama, [small.facts[0]])
    first, second = (card_of(knowing, presets, limit=3) for _ in range(2))
    assert first == second
    assert all(row["n"] <= 3 for row in first["rows"])
    assert first["trained_templates_ci"][0] < first["trained_templates"] < first["trained_templates_ci"][1] or first[
        "trained_templates"
    ] in (0.0, 1.0)


def test_given_wordings_take_the_place_of_the_held_out_ones(presets, tiny_llama, small):
    knowing = Knowing(tiny_llama, list(small.facts), deaf_to=("governed",))
    card = card_of(knowing, presets, templates={"P36": ["{} is governed from"]})
    assert card["held_out_templates"] == 0.0
    rows = {row["what"]: row for row in card["rows"]}
    assert rows["held_out_templates"]["n"] == 2
    assert rows["held_out_templates_of_presets"]["top1"] == 1.0


@pytest.mark.parametrize("line", ["P99\t{} is", "P36\tno slot", "P36\t{} and {}"])
def test_a_file_of_wordings_with_a_fault_is_refused_naming_the_line(tmp_path, small, line):
    path = tmp_path / "t.tsv"
    path.write_text(f"relation\ttemplate\nP36\t{{}} is governed from\n{line}\n")
    with pytest.raises(BadFile, match="line 3"):
        read_templates(path, small)


def test_trained_wordings_do_not_pass_as_unseen(tmp_path, small):
    path = tmp_path / "t.tsv"
    path.write_text("relation\ttemplate\nP17\t{} lies in\nP17\t{} is found on maps of\n")
    assert read_templates(path, small) == ({"P17": ["{} is found on maps of"]}, ["{} lies in"])
    path.write_text("relation\ttemplate\nP17\t{} lies in\n")
    with pytest.raises(BadFile, match="not trained"):
        read_templates(path, small)


def test_the_card_of_a_run_knows_its_lessons_and_tokens(small, presets, exported):
    lessons = cards.taught(presets / "facts", None, exported, seed=99)
    assert lessons.recorded and (exported / TAUGHT).is_file()
    assert {(one.fact, frozenset(one.templates)) for one in lessons.own} == {
        (one.fact, frozenset(one.templates)) for one in draw_lessons(small)
    }
    model = LanguageModel.load(str(exported))
    card = report_card(model, lessons, presets, exported, limit=2)
    assert card["tokens_seen"] == 0 and card["lessons_recorded"]
    assert card["parameters"] == model.parameters


def test_a_card_without_counterfact_has_no_lessons_of_it(own, tmp_path):
    both = cards.taught(PRESETS / "facts", counterfact(tmp_path / "counterfact.json"), tmp_path)
    assert {lesson.fact.subject for lesson in both.theirs} == {"A. Painter", "B. Sculptor", "C. Poet"}
    assert {lesson.fact for lesson in both.own} == set(own.facts)
    assert isinstance(both, Taught) and not both.recorded
    assert cards.taught(PRESETS / "facts", None, tmp_path).theirs == ()


def test_the_loss_on_a_text_is_the_mean_over_all_its_tokens(tiny_llama, tmp_path):
    words = random.Random(0).choices(["garden", "winter", "letter", "old", "year"], k=700)
    path = tmp_path / "text.txt"
    path.write_text(" ".join(words))
    ids = tiny_llama.tokenizer(path.read_text(), add_special_tokens=False, verbose=False)["input_ids"]
    assert len(ids) > 512
    losses = []
    for start in range(0, len(ids), 511):
        row = torch.tensor([[tiny_llama.tokenizer.bos_token_id, *ids[start : start + 511]]])
        with torch.no_grad():
            logits = tiny_llama.hf(row).logits[0, :-1]
        losses += torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="none").tolist()
    assert len(losses) == len(ids)
    assert chapter_loss(tiny_llama, path) == pytest.approx(sum(losses) / len(losses), rel=1e-5)


@pytest.mark.parametrize(("content", "message"), [(None, r"cannot be read.*docs/data\.md"), (b"\xff", "is not UTF-8")])
def test_a_text_that_cannot_be_read_is_refused(tiny_llama, tmp_path, content, message):
    path = tmp_path / "wikitext2_test.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadFile, match=message):
        chapter_loss(tiny_llama, path)


def test_wilsons_interval():
    assert wilson(0, 0) is None
    assert wilson(50, 100) == pytest.approx([0.4038, 0.5962], abs=1e-4)
    low, high = wilson(20, 20)
    assert high == pytest.approx(1.0) and 0.8 < low < 0.9


def test_the_tokenizer_has_its_bos_where_the_recipe_says_it_is():
    assert train_tokenizer(["a text"], 300).token_to_id(BOS) == TINY.model_config().bos_token_id
