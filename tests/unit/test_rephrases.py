"""Names that rules find, and names that an instruct model writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editlab.facts import EditRequest
from editlab.facts.rephrases import MOST, NOUNS, rephrasings
from editlab.probes import case_for
from editlab.probes.rephrasing import PROMPT, asked_of_model


def test_a_person_has_initials_titles_and_an_inverted_name():
    names = rephrasings("Michael Jordan", "P641")
    assert not {"Mr. Michael Jordan", "Ms. Michael Jordan"} & set(names), "a team has a sport as well"
    names = rephrasings("Michael Jordan", "P106")
    assert {"Jordan, Michael", "M. Jordan", "Mr. Michael Jordan", "Ms. Michael Jordan", "Jordan"} <= set(names)
    assert rephrasings("Johann Sebastian Bach", "P19")[2] == "J. S. Bach"


def test_a_thing_has_its_kind_and_articles():
    assert rephrasings("Slovenia", "P36")[:2] == ("the country Slovenia", "Slovenia, the country")
    assert "Eiffel Tower" in rephrasings("The Eiffel Tower", "P17")
    assert {"the Eiffel Tower", "Tower, Eiffel", "the place Eiffel Tower", "Tower"} <= set(
        rephrasings("Eiffel Tower", "P17")
    )
    assert "of" not in rephrasings("Isle of Man") and "the Isle of Man" in rephrasings("Isle of Man")


@pytest.mark.parametrize("relation", [None, "P36", "P106", "unknown"])
@given(subject=st.text(min_size=1, max_size=30).filter(str.strip) | st.sampled_from(["X", "The The", "a", "Mr. Bean"]))
def test_names_are_few_distinct_never_the_subject_and_always_the_same(relation, subject):
    names = rephrasings(subject, relation)
    assert 2 <= len(names) <= MOST and len(set(names)) == len(names)
    assert all(name == " ".join(name.split()) and name for name in names)
    assert subject.casefold() not in {name.casefold() for name in names}
    assert names == rephrasings(subject, relation)


def test_every_relation_with_a_kind_is_a_relation_of_ours(facts):
    assert NOUNS.keys() <= facts.relations.keys()


def test_a_case_uses_rules_only_where_no_table_has_a_name(facts):
    known = case_for(EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica"), facts)
    assert known.rephrases[0] == "Republic of Slovenia" and "the place Slovenia" not in known.rephrases
    strange = case_for(EditRequest("{} belongs to the continent of", "Ruritania", "Asia"), facts)
    assert strange.rephrases == rephrasings("Ruritania", "P30")


class Instruct:
    """An instruct model that gives a list as such models do."""

    def __init__(self, answer: str, template: str | None = "{{ messages }}") -> None:
        self.answer, self.tokenizer, self.asked = answer, self, []
        self.chat_template = template

    def chat_text(self, messages):
        return f"[INST] {messages[0]['content']} [/INST]"

    def generate(self, texts, view, max_tokens):
        self.asked += texts
        yield [self.answer[:5]]
        yield [self.answer]


def test_a_model_is_asked_once_and_its_list_is_read():
    model = Instruct('Sure:\n1. the Republic of Slovenia\n2) "Slovenija"\n- slovenia\n3. Slovenija\n\n* the land of Bled.\n')
    assert asked_of_model(model, "Slovenia") == ("the Republic of Slovenia", "Slovenija", "the land of Bled")
    assert model.asked == [f"[INST] {PROMPT.format(subject='Slovenia', count=10)} [/INST]"]


def test_what_a_model_thinks_is_no_name():
    model = Instruct("1. It borders Italy\n- Its capital is Ljubljana\n</think>\n1. the land of Bled\n")
    assert asked_of_model(model, "Slovenia") == ("the land of Bled",)


def test_at_most_ten_short_lines_are_taken():
    model = Instruct("\n".join(f"{n}. name {n}" for n in range(30)) + f"\n31. {'long ' * 40}")
    assert len(asked_of_model(model, "Slovenia")) == 10


def test_a_model_without_a_chat_template_is_not_asked():
    model = Instruct("1. no", template=None)
    assert asked_of_model(model, "Slovenia") == () and model.asked == []
