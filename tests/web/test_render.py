"""HTML that the page shows: escaped, and right in its figures."""

import math

import pytest

from editlab.facts import EditRequest
from editlab.web import render

NASTY = "<script>alert(1)</script>&\"'${1}{{x}}"
REQUEST = EditRequest(f"{NASTY} {{}} is", f"S{NASTY}", f"N{NASTY}", f"T{NASTY}")
SAID = {"top": [[NASTY, 0.9], ["\n", 0.05], ["  ", 0.01]], "p_new": 0.5, "p_true": None, "text": f" {NASTY}. more"}


@pytest.mark.parametrize(
    "html",
    [
        render.question(REQUEST),
        render.answer("base", REQUEST, SAID),
        render.asked(NASTY, {"base": NASTY, "edited": NASTY}),
        render.message(NASTY, "problem", 0.5),
        render.say(NASTY),
    ],
)
def test_no_text_becomes_markup(html):
    assert "<script" not in html and "&lt;script" in html


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1.0, "100 %"),
        (0.973, "97 %"),
        (0.1, "10 %"),
        (0.0431, "4.3 %"),
        (0.00018, "0.018 %"),
        (0.0, "< 0.01 %"),
        (None, "–"),
    ],
)
def test_probabilities_read_as_people_say_them(p, text):
    assert render.percent(p) == text
    assert render.percent(math.nan) == "–"


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        (" Europe. The teacher was", "Europe"),
        (" J. K. Rowling. She", "J. K. Rowling"),
        (" the United States, in", "the United States"),
        ("", "(nothing)"),
        (".", "."),
        ("x" * 99, "x" * 47 + "…"),
    ],
)
def test_the_headline_is_the_first_clause(text, headline):
    assert render.headline(text) == headline


def test_white_space_tokens_can_be_seen():
    card = render.answer("base", REQUEST, SAID)
    assert "↵" in card and "␣␣" in card


def test_a_bar_is_as_long_as_its_token_is_likely_and_names_the_objects():
    request = EditRequest("{} is in", "Slovenia", "North America", "Europe")
    said = {
        "top": [[" North", 0.75], [" Europe", 0.2], [" Asia", 0.05]],
        "p_new": 0.7,
        "p_true": 0.2,
        "text": " North America.",
    }
    card = render.answer("edited", request, said)
    assert 'class="new"' in card and "width:75.00%" in card and 'class="old"' in card
    assert "p(North America)" in card and "70 %" in card
