"""Numbers and lists as text."""

import math

import pytest

from editlab import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 second"),
        (40.4, "40 seconds"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (300, "5 minutes"),
        (3_600, "60 minutes"),
        (9_000, "2.5 hours"),
        (21_600, "6 hours"),
        (3_600 * 1_000, "1,000 hours"),
    ],
)
def test_durations_have_the_unit_in_which_they_are_short(seconds, text):
    assert wording.duration(seconds) == text


def test_counts_and_lists_are_english():
    assert [wording.count(number, "edit") for number in (0, 1, 1_200)] == ["0 edits", "1 edit", "1,200 edits"]
    assert wording.count(2, "process", "processes") == "2 processes"
    assert [wording.join(items) for items in (["a"], ["a", "b"], "abc")] == ["a", "a and b", "a, b and c"]
    assert wording.capitalize("an Edit") == "An Edit" and wording.capitalize("") == ""


def test_sizes_and_shares_have_units():
    assert [wording.size(count) for count in (640, 21_000, 13.5e9)] == ["640 Bytes", "21.0 kB", "13.5 GB"]
    given = (None, math.nan, 0.0, 0.00001, 0.043, 0.97, 1.0)
    assert [wording.percent(p) for p in given] == ["–", "–", "< 0.01 %", "< 0.01 %", "4.3 %", "97 %", "100 %"]
    assert [wording.share(value) for value in (-0.001, -0.2, 1.5)] == ["0 %", "-20 %", "150 %"]
    assert [wording.rate(value) for value in (0.0, 0.001, 0.5, 0.999, 1.0)] == ["0 %", "1 %", "50 %", "99 %", "100 %"]


def test_a_long_text_ends_with_an_ellipsis():
    assert [wording.shorten(text, 5) for text in ("short", "a b c d", "longer")] == ["short", "a b…", "long…"]
