"""What counts as an answer: exact match with aliases after normalising, and where answers and sentences end."""

import pytest

from editlab.probes.matching import exact, normalised, says, sentences, verdict_of


@pytest.mark.parametrize(
    ("answer", "name", "is_it"),
    [
        ("Antarctica", "Antarctica", True),
        ("  “antarctica”. It is cold.", "Antarctica", True),
        ("the United Kingdom", "United Kingdom", True),
        ("Cafe\u0301 de Flore", "Café de Flore", True),
        ("Antarctica and Europe", "Antarctica", False),
        ("not Antarctica", "Antarctica", False),
        ("Rome", "Romeo", False),
        ("", "Rome", False),
    ],
)
def test_an_exact_answer_is_the_object_and_nothing_else(answer, name, is_it):
    assert exact(answer, ["Atlantis", name]) is is_it


@pytest.mark.parametrize(
    ("answer", "name", "is_it"),
    [
        ("It lies in Antarctica, I think", "Antarctica", True),
        ("Romeo lives in Rome", "Rome", True),
        ("Romania", "Rome", False),
        ("It is not in Antarctica", "Antarctica", False),
        ("It is not in Europe, but in Antarctica", "Antarctica", True),
        ("It isn’t Antarctica", "Antarctica", False),
        ("首都是北京。", "北京", True),
        (None, "Rome", False),
        ("No. The capital is Rome.", "Rome", True),
        ("I am not sure. It is Rome.", "Rome", True),
        ("No\nRome", "Rome", True),
        ("It is not in the U.S. state of Texas.", "Texas", False),
        ("A capital no Brasil", "Brasil", True),
        ("Abidjan in Côte d’Ivoire", "Côte d'Ivoire", True),
    ],
)
def test_an_object_is_said_as_whole_words_that_nothing_denies(answer, name, is_it):
    assert says(answer, [name]) is is_it


def test_what_no_reader_would_call_another_answer_is_the_same():
    assert normalised(" The  “Big Apple” ") == normalised("big apple") and normalised("ＡＢＣ") == "abc"


def test_a_name_within_a_longer_one_is_not_both():
    assert verdict_of("New York City", ["New York City"], ["New York"]) == "new"
    assert verdict_of("New York City", ["New York"], ["New York City"]) == "old"
    assert verdict_of("Rome, not Paris", ["Rome"], ["Paris"]) == "new"
    assert verdict_of("Rome and Paris", ["Rome"], ["Paris"]) == "both"
    assert verdict_of("Oslo", ["Rome"], ["Paris"]) == "neither"
    assert verdict_of("Papua New Guinea", ["Guinea"], ["Papua New Guinea"]) == "old"
    assert verdict_of("Guinea or Papua New Guinea", ["Guinea"], ["Papua New Guinea"]) == "both"
    assert verdict_of("Apple A5 is made by Google", ["Google"], ["Apple"], ["Apple A5"]) == "new"
    assert verdict_of("Apple A5 is made by Apple", ["Google"], ["Apple"], ["Apple A5", "A5"]) == "old"
    assert verdict_of("Romania, and also Oman", ["Oman"], ["Romania"]) == "both"
    assert verdict_of("Russia, then the United States", ["United States", "US"], ["Russia"]) == "both"


def test_sentences_end_where_their_script_ends_them():
    text = "J. Bach lived in Leipzig. He died in 1750.\n\nWas it there? 北京是首都。东京也是。"
    assert sentences(text) == [
        "J. Bach lived in Leipzig.",
        "He died in 1750.",
        "Was it there?",
        "北京是首都。",
        "东京也是。",
    ]
