"""The words that the page explains: each has a meaning in the glossary, and each is found on the page."""

import re
from itertools import dropwhile
from types import SimpleNamespace

import pytest
from babel.messages.pofile import read_po
from pandas import DataFrame
from paths import ROOT

from editlab.lab import KINDS
from editlab.web import create_page
from editlab.web.core import language
from editlab.web.core.html import WEB, render
from editlab.web.core.names import kind_name
from editlab.web.core.tables import EXPLAINED, table
from editlab.web.core.terms import LONGEST, SETTINGS, TERMS, meanings
from editlab.web.edit.request_form import settings_of
from tools.languages import extract

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
ENDS = re.compile(r"[:,(]")
"""What follows a word in a label: "Prompt, with {} for the subject"."""
ROW = re.compile(r"\| (?P<word>[^|]+) \| (?P<meaning>[^|]+) \|")


@pytest.fixture(scope="module")
def components(lab):
    """The components of the page by name, as the browser gets them."""
    parts = (part["props"] for part in create_page(lab).get_config_file()["components"])
    return {part["elem_id"]: part for part in parts if part.get("elem_id")}


def shown(components):
    """Return all HTML that the page begins with."""
    return "".join(str(part["value"]) for name, part in components.items() if name != "terms" and part.get("value"))


def test_the_glossary_says_what_the_page_says():
    lines = dropwhile(lambda line: line != "## On the page", GLOSSARY.splitlines())
    rows = [row for line in lines if (row := ROW.fullmatch(line))][1:]
    assert [(row["word"], row["meaning"]) for row in rows if "---" not in row["word"]] == [
        (term.word, term.meaning) for term in TERMS.values()
    ]


def test_a_meaning_is_one_or_two_sentences():
    for term in TERMS.values():
        assert len(term.meaning) <= LONGEST, term.word
        assert term.meaning[-1] in ".?" and term.meaning.count(". ") <= 2, term.word
        assert not re.search(r"\w_\w|`", term.meaning), f"{term.word} is explained by a name in the code"


def test_every_meaning_is_a_message_for_the_catalogues(tmp_path):
    with extract(tmp_path / "messages.pot").open("rb") as file:
        messages = read_po(file)
    assert all(term.meaning in messages for term in TERMS.values())


def test_meanings_are_shown_in_the_language_of_the_visit(monkeypatch):
    monkeypatch.setattr(language, "_translations", lambda name: SimpleNamespace(gettext=str.upper))
    assert all(f">{term.meaning.upper()}</span>" in meanings() for term in TERMS.values())


@pytest.mark.parametrize("term", [term for term in TERMS.values() if term.at], ids=lambda term: term.word)
def test_a_component_has_the_word_as_its_label(components, term):
    for place in term.at:
        name, _, choice = place.partition(".")
        part = components[name]
        label = next(title for title, value in part["choices"] if value == choice) if choice else part["label"]
        assert ENDS.split(label)[0].strip() == term.word


def test_what_no_component_has_a_template_shows(components):
    titles = re.findall(r'data-meaning="term-(\w+)">([^<]+)<', shown(components))
    assert {name for name, _ in titles} <= set(TERMS)
    assert all(TERMS[name].word == text for name, text in titles)
    elsewhere = {name for name, term in TERMS.items() if not term.at}
    assert elsewhere == {name for name, _ in titles} | set(KINDS) | set(EXPLAINED) | set(SETTINGS.values())
    assert all(TERMS[kind].word == kind_name(kind) for kind in KINDS)


def test_a_setting_shows_what_its_title_means(lab):
    shown = "".join(map(settings_of, lab.methods()))
    assert set(re.findall(r'data-meaning="term-(\w+)">', shown)) == set(SETTINGS.values())


def test_no_template_asks_for_a_meaning_that_there_is_not():
    templates = {path: path.read_text(encoding="utf-8") for path in WEB.glob("*/templates/*.html")}
    known = {f"term-{name}" for name in TERMS}
    own = {name for html in templates.values() for name in re.findall(r'class="gloss" id="([^"]+)"', html)}
    asked = {name for html in templates.values() for name in re.findall(r'data-meaning="([^"]+)"', html)}
    assert asked <= known | own | {"term-{{ name }}"}
    assert {"start-tip", "badge-tip", "score-{{ tile.kind }}"} <= asked


def test_each_meaning_is_a_popover_that_a_label_can_name():
    html = meanings()
    for name, term in TERMS.items():
        assert re.search(rf'<span popover="manual" role="tooltip" class="gloss" id="term-{name}"', html)
        assert all(place in html for place in term.at)
    assert html.count("popover=") == len(TERMS)


def test_a_title_of_a_table_shows_what_it_means():
    heads = [f'<span data-meaning="term-{name}">' for name in EXPLAINED]
    frame = DataFrame({"share": [1.0], "required": [0.5], "text": ["x"]})
    html = table(frame, {"share": "Share", "required": "Required share", "text": "Text"})
    assert all(head in html for head in heads) and html.count("data-meaning") == len(EXPLAINED)
    assert render("core/table.html", title="1 row", heads=["a < b"], rows=[]).count("a &lt; b") == 1
