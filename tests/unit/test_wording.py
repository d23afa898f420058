"""Numbers and lists in plain English."""

import math

import pytest

from editlab import wording
from editlab.wording import Message


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (wording.count(1, "edit"), "1 edit"),
        (wording.count(1_200, "edit"), "1,200 edits"),
        (wording.count(2, "query", "queries"), "2 queries"),
        (wording.join(["a"]), "a"),
        (wording.join([1, 2]), "1 and 2"),
        (wording.join("abc"), "a, b and c"),
        (wording.size(13.5e9), "13.5 GB"),
        (wording.size(20_500), "20.5 kB"),
        (wording.duration(0.2), "1 second"),
        (wording.duration(89), "89 seconds"),
        (wording.duration(300), "5 minutes"),
        (wording.duration(9_000), "2.5 hours"),
        (wording.duration(21_600), "6 hours"),
        (wording.duration(3_600_000), "1,000 hours"),
        (wording.percent(0.973), "97 %"),
        (wording.percent(0.0431), "4.3 %"),
        (wording.percent(0.0), "< 0.01 %"),
        (wording.percent(None), "–"),
        (wording.percent(math.nan), "–"),
        (wording.share(-0.001), "0 %"),
        (wording.share(-0.03), "−3 %"),
        (wording.share(1.2), "120 %"),
        (wording.rate(0.999), "99 %"),
        (wording.rate(0.001), "1 %"),
        (wording.rate(1.0), "100 %"),
        (wording.shorten("x" * 9, 5), "xxxx…"),
        (wording.capitalize("value: step 3"), "Value: step 3"),
    ],
)
def test_numbers_and_lists_read_as_people_write_them(said, text):
    assert said == text


def test_a_message_is_its_english_text_and_remembers_what_it_was_made_of():
    edits = Message(("{n} edit", "{n} edits"), n=1_200)
    message = Message("removed all {edits}", edits=edits)
    assert message == "removed all 1,200 edits" and Message(("{n} edit", "{n} edits"), n=1) == "1 edit"
    assert message.forms == ("removed all {edits}",) and message.values["edits"].values == {"n": 1_200}
    assert Message("“{name}” is open", name="{x}") == "“{x}” is open"
