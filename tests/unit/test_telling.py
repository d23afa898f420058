"""What stands before a question under a view: preambles, demonstrations, retrieved notes."""

import pytest
import torch

from editlab import EditRequest, View, methods
from editlab.errors import BadRequest
from editlab.methods.ike.edit import ROOM, demonstrations
from editlab.methods.note import NoteConfig, Retrieved
from editlab.patches import BASE, Form, LowRank, Note, Preamble
from editlab.patches.telling import run_on

CAPITAL = EditRequest("The capital of {} is", "Slovenia", "Rome", "Ljubljana")
RIVER = EditRequest("The river of {} is", "Slovenia", "Sava")
SPORT = EditRequest("{} plays", "Lionel Messi", "chess")


def made(model, name, *requests, **settings):
    method = methods.get(name)
    return method.edit(model, requests, config=method.config_for(model, **settings))


def note(text, *names, question="?", heard=0.75, most=1):
    return Note(text, question, names, heard, most)


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["First.", " Second. ", "Who?"], "First. Second. Who?"),
        (["One\n", "Two\n", "Prompt:", "Who"], "One\nTwo\nPrompt: Who"),
        (["", "Who"], "Who"),
        (["Said.", ""], "Said."),
    ],
)
def test_texts_run_on_with_one_space_unless_a_line_ends(texts, whole):
    assert run_on(texts) == whole


def test_told_facts_stand_behind_each_other_before_every_question(tiny_llama):
    both = BASE.with_patches(made(tiny_llama, "told", CAPITAL, SPORT))
    said = "New fact: The capital of Slovenia is Rome.\nNew fact: Lionel Messi plays chess.\nPrompt:"
    assert both.asks("Who are you?") == f"{said} Who are you?"
    assert both.without(both.patches[:1]).asks("Who?") == "New fact: Lionel Messi plays chess.\nPrompt: Who?"
    assert both.in_form(Form("<", ">")).asks("Who?") == f"<{said} Who?>"


def test_a_fact_can_be_told_as_a_plain_sentence(tiny_llama):
    both = BASE.with_patches(made(tiny_llama, "told", CAPITAL, SPORT, frame="plain"))
    assert both.asks("Who?") == "The capital of Slovenia is Rome. Lionel Messi plays chess. Who?"
    japanese = EditRequest("{}の首都は", "日本", "京都")
    assert BASE.with_patches(made(tiny_llama, "told", japanese, frame="plain")).asks("?") == "日本の首都は京都。 ?"
    (plain,), (framed,) = (made(tiny_llama, "note", CAPITAL, frame=frame) for frame in ("plain", "prompt"))
    assert View((plain,)).asks(CAPITAL.text) == f"The capital of Slovenia is Rome. {CAPITAL.text}"
    assert View((framed,)).asks(CAPITAL.text) == f"New fact: The capital of Slovenia is Rome.\nPrompt: {CAPITAL.text}"
    assert View((framed,)).asks("Who?") == "Who?"


def test_a_note_stands_before_questions_about_its_subject_alone(tiny_llama):
    view = BASE.with_patches(made(tiny_llama, "note", CAPITAL, SPORT, frame="plain"))
    assert view.asks("The capital of Slovenia is") == "The capital of Slovenia is Rome. The capital of Slovenia is"
    assert view.asks("The capital of ia Sloven is").startswith("The capital of Slovenia is Rome. The")
    assert view.asks("The homeland of Messi, Lionel").startswith("Lionel Messi plays chess. ")
    for other in ("The capital of Croatia is", "Ronaldo plays", "It rains."):
        assert view.asks(other) == other
    gone = view.without([view.patches[0]])
    assert gone.asks("The capital of Slovenia is") == "The capital of Slovenia is"
    assert gone.asks("Lionel Messi is") == view.asks("Lionel Messi is")


def test_of_several_notes_those_that_fit_best_stand_before_the_question_the_best_last(tiny_llama):
    one = BASE.with_patches(made(tiny_llama, "note", CAPITAL, RIVER, frame="plain"))
    assert one.asks("Slovenia's river is") == "The river of Slovenia is Sava. Slovenia's river is"
    assert one.asks("Slovenia's capital is") == "The capital of Slovenia is Rome. Slovenia's capital is"
    two = BASE.with_patches(made(tiny_llama, "note", CAPITAL, RIVER, most=2, frame="plain"))
    expected = "The capital of Slovenia is Rome. The river of Slovenia is Sava. Slovenia's river is"
    assert two.asks("Slovenia's river is") == expected


def test_the_last_note_for_a_question_counts_until_it_is_taken_back(tiny_llama):
    first, then = (
        made(tiny_llama, "note", EditRequest(CAPITAL.prompt, "Slovenia", new), most=9, frame="plain")
        for new in ("Rome", "Oslo")
    )
    view = BASE.with_patches(first).with_patches(then)
    assert view.asks(CAPITAL.text) == f"The capital of Slovenia is Oslo. {CAPITAL.text}"
    assert view.without(then).asks(CAPITAL.text) == f"The capital of Slovenia is Rome. {CAPITAL.text}"


def test_a_note_hears_as_much_of_a_name_as_it_asks_for():
    strict, loose = View((note("Hi.", "Slovenia", heard=1.0),)), View((note("Hi.", "Slovenia", heard=0.4),))
    assert strict.asks("Slovinia?") == "Slovinia?" and loose.asks("Slovinia?") == "Hi. Slovinia?"


def test_a_note_knows_the_other_names_of_its_subject():
    def names(subject):
        return Retrieved().patch(None, EditRequest("{} lies in", subject, "Rome"), NoteConfig()).names

    assert names("Slovenia")[0] == "Slovenia" and "Slovenija" in names("Slovenia")
    assert names("Slovenija")[0] == "Slovenija" and "Slovenia" in names("Slovenija")
    assert names("Nobody at all") == ("Nobody at all",)


def test_demonstrations_copy_update_and_retain_in_the_published_ratio():
    shown = demonstrations(CAPITAL, 16)
    assert len(shown) == 16 and shown == demonstrations(CAPITAL, 16) != demonstrations(CAPITAL, 16, seed=1)
    assert demonstrations(CAPITAL, 4) == shown[-4:] and not demonstrations(CAPITAL, 0)
    kinds = {"copy": 0, "update": 0, "retain": 0}
    for text in shown:
        new, asked, *rest = text.split("\n")
        assert rest == ["", ""] and (new[:10], asked[:8]) == ("New Fact: ", "Prompt: ")
        fact, answer = new.removeprefix("New Fact: "), asked.removeprefix("Prompt: ")
        subjects = [name for name in ("Slovenia",) if name in text]
        assert not subjects, "the subject of the edit is in no demonstration"
        same_object = fact.split()[-1] == answer.split()[-1]
        kinds["copy" if fact == answer else "update" if same_object else "retain"] += 1
    assert kinds["copy"] >= 2 and kinds["update"] >= 4 and kinds["retain"] >= 6


def test_in_context_edits_have_their_demonstrations_then_the_facts_then_the_question(tiny_llama):
    first, second = made(tiny_llama, "ike", CAPITAL, SPORT, demonstrations=1)
    view = BASE.with_patches([first, second])
    facts = "New Fact: The capital of Slovenia is Rome\nNew Fact: Lionel Messi plays chess\nPrompt: Who"
    assert view.asks("Who") == f"{first.lead}{second.lead}{facts}"
    assert view.without([second]).asks("Who") == f"{first.lead}New Fact: The capital of Slovenia is Rome\nPrompt: Who"


def test_demonstrations_leave_room_for_questions(tiny_llama):
    (patch,) = made(tiny_llama, "ike", CAPITAL, demonstrations=64)
    assert 0 < len(tiny_llama.tok.chips(patch.lead)) <= tiny_llama.tok.context // ROOM
    assert patch.lead.endswith(demonstrations(CAPITAL, 1)[-1])


@pytest.mark.parametrize("name", ["told", "ike", "note"])
def test_what_is_told_is_counted_and_its_effect_is_measured(tiny_llama, name):
    settings = {"demonstrations": 2} if name == "ike" else {}
    edited = made(tiny_llama, name, CAPITAL, **settings)
    view = BASE.with_patches(edited)
    (score,) = tiny_llama.score([CAPITAL.text], [CAPITAL.target_new], view)
    assert edited.health[0]["p_new"] == pytest.approx(score.p)
    before, after = (len(tiny_llama.tok.encode(own.asks(CAPITAL.text))) for own in (BASE, view))
    assert edited.health[0]["tokens"] == after - before > 0
    assert edited.layers == () and view.laid == {}
    with pytest.raises(BadRequest, match="nothing to edit"):
        methods.get(name).edit(tiny_llama, [])


def test_told_rows_and_others_are_generated_and_scored_in_one_batch_as_alone(tiny_llama):
    view = BASE.with_patches(made(tiny_llama, "note", CAPITAL))
    changed = view.with_patches([LowRank(1, 0.3 * torch.ones(1, tiny_llama.d_ff), torch.ones(tiny_llama.d_model, 1))])
    texts, views = [CAPITAL.text, "The capital of Croatia is", CAPITAL.text], [view, view, changed]
    *_, together = tiny_llama.generate(texts, views, max_tokens=4)
    for text, own, said in zip(texts, views, together, strict=True):
        *_, (alone,) = tiny_llama.generate([own.asks(text)], View(tuple(p for p in own.patches if hasattr(p, "layer"))), 4)
        assert said == alone
    scores = tiny_llama.score(texts, ["Rome"] * 3, views)
    assert scores[0] == tiny_llama.score([view.asks(CAPITAL.text)], ["Rome"])[0]
    assert scores[1] == tiny_llama.score([texts[1]], ["Rome"])[0]


def test_a_preamble_that_was_kept_without_a_lead_is_the_same():
    assert Preamble("So.") == Preamble("So.", "", "") and Preamble("So.").digest != Preamble("So.", "x").digest
