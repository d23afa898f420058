"""BM25 against its formula, and which names are heard in a text."""

import math
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editlab.facts.retrieval import ROOM, SHORT, Bm25, Names, heard, words

TEXTS = ("The capital of Slovenia is Rome.", "Messi plays chess", "The river of Slovenia runs to Rome", "Rome, Rome, Rome!")


def bm25(texts, question, k1=1.5, b=0.75):
    """Robertson and Zaragoza 2009, eq. 3.15, straight from the formula, over every text and word of the question."""
    split = [re.findall(r"[a-z]+", text.lower()) for text in texts]
    mean, found = sum(map(len, split)) / len(split), {}
    for number, own in enumerate(split):
        total = 0.0
        for word in set(re.findall(r"[a-z]+", question.lower())):
            n, f = sum(word in text for text in split), own.count(word)
            idf = math.log(1 + (len(split) - n + 0.5) / (n + 0.5))
            total += idf * f * (k1 + 1) / (f + k1 * (1 - b + b * len(own) / mean))
        if set(own) & set(re.findall(r"[a-z]+", question.lower())):
            found[number] = total
    return found


def slowly_heard(text, name):
    """Every stretch of the text that begins at a letter, and how many of the name's pairs it has, without its article."""

    def pairs(of):
        return [
            (f" {w.group()} "[i : i + 2], w.start() + i)
            for w in re.finditer("[a-z]+", of)
            for i in range(len(w.group()) + 1)
        ]

    name = re.sub(r"\A(the|an?)\s+(?=\S)", "", name)
    wanted, placed = Counter(pair for pair, _ in pairs(name)), pairs(text)
    shares = [0.0]
    for _, first in placed:
        inside = Counter(pair for pair, at in placed if first <= at <= first + len(name) + min(ROOM, len(name)))
        share = (inside & wanted).total() / wanted.total()
        shares.append(share if len(name) > SHORT or share == 1 else 0.0)
    return max(shares)


@pytest.mark.parametrize("question", ["The capital of Slovenia is", "Rome", "nothing of it", "who plays Messi or Messi"])
def test_bm25_is_its_formula(question):
    assert Bm25(TEXTS).scores(question) == pytest.approx(bm25(TEXTS, question), rel=1e-12)


def test_bm25_puts_the_text_that_answers_first():
    scores = Bm25(TEXTS).scores("Slovenia's capital is")
    assert max(scores, key=scores.__getitem__) == 0 and 1 not in scores
    assert Bm25(()).scores("Who?") == {}


@given(text=st.text("abc de", max_size=80), name=st.text("abcde ", min_size=1, max_size=12).filter(str.strip))
def test_a_name_is_heard_where_one_stretch_has_its_letters(text, name):
    assert heard(text, name) == pytest.approx(slowly_heard(text, name))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The capital of Slovenia is", "Slovenia"),
        ("The capital of SLOVENIA’S neighbour is", "Slovenia"),
        ("The capital of ia Sloven is", "Slovenia"),
        ("Jordan Michael plays", "Michael Jordan"),
        ("The 5 iPhone is made by", "iPhone 5"),
        ("The iPhone5 is made by", "iPhone 5"),
        ("The iconic Danielle Darrieux, a native", "Danielle Darrieux"),
        ("ODYSSEAS ELYTIS was born in", "Odysséas Elýtis"),
        ("was louis xiv of france born in", "Louis XIV of France"),
        ("IVFinal Fantasy is made by", "Final Fantasy IV"),
        ("Samuel Jackson played", "Samuel L. Jackson"),
        ("斯洛文尼亚的首都是", "斯洛文尼亚"),
        (f"{'A long text about rivers and mountains. ' * 30}The capital of Slovenia is", "Slovenia"),
    ],
)
def test_a_name_is_heard_in_another_order_spelling_and_behind_other_text(text, name):
    assert heard(text, name) >= 0.75


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The capital of Croatia is", "Slovenia"),
        ("Michael Phelps swims", "Michael Jordan"),
        ("The mother tongue of Thomas Mann is", "Thomas Joannes Stieltjes"),
        ("Slovakia borders Austria and Poland", "Slovenia"),
        ("克罗地亚的首都是", "斯洛文尼亚"),
        ("", "Slovenia"),
        ("Romeo and Juliet is a book by the author", "Thor"),
        ("quicksilver at room temperature is a", "Root"),
        ("Ireland belongs to the continent of", "The Band"),
        ("Fiat 500 has its origin in", "Fiat 501"),
        ("Louis XIV of France was born in", "Louis XVI of France"),
        ("The creator of final fantasy vii is", "Final Fantasy IV"),
        ("sumo has its origin in the country of", "Ghana"),
        ("Ireland has its capital in", "George Frideric Handel"),
    ],
)
def test_another_name_is_not(text, name):
    assert heard(text, name) < 0.75


def test_many_names_are_told_apart_in_one_look():
    names = Names([("Slovenia", "Republic of Slovenia"), ("Messi", "Leo Messi"), ("Rome",)])
    found = names.heard("Messi went to Rome")
    assert (found[1], found[2]) == (1.0, 1.0) and found.get(0, 0.0) < 0.75
    assert Names([]).heard("Messi") == {}


def test_a_name_around_another_one_of_the_same_thing_is_not_listened_for():
    names = Names([("the country of Ghana", "Ghana"), ("Ghana",)])
    assert names.heard("sumo has its origin in the country of")[0] < 0.75
    assert heard("The Band comes from", "The Band") == heard("A band like The Who", "The Band") == 1.0
    assert names.heard("Gold comes from the country of Ghana") == {0: 1.0, 1: 1.0}


def test_words_are_folded_and_letters_stand_alone_where_a_script_has_no_spaces():
    assert words("Élan, KÖLN’s 2nd") == ["elan", "koln", "s", "2nd"]
    assert words("首都は Rome") == ["首", "都", "は", "rome"]
