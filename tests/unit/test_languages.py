"""The languages of the page: who gets which, and that each that is offered says all that English says."""

import ast
import io
import re
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from paths import ROOT

from editlab.errors import BadRequest, TooLarge
from editlab.figures.charts import bars
from editlab.web.core import engine, language, wording
from editlab.web.core.engine import said
from editlab.web.core.html import ENVIRONMENT
from editlab.web.core.language import choose, gettext, ngettext, pgettext
from editlab.web.core.speaking import speaking, spoken
from editlab.web.core.updates import problem
from editlab.wording import Message
from tools.languages import ERRORS, extract, forms, read_engine, read_preset

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|\{\w*[^}]*\}")
GERMAN = """
msgid ""
msgstr "Language: de\\nPlural-Forms: nplurals=2; plural=(n != 1);\\nContent-Type: text/plain; charset=utf-8\\n"

msgid "Remove"
msgstr "Löschen"

#, fuzzy
msgid "Stop"
msgstr "Halt"

msgid "{n} edit"
msgid_plural "{n} edits"
msgstr[0] "{n} Änderung"
msgstr[1] "{n} Änderungen"

msgid "%(n)s probe of %(subject)s"
msgid_plural "%(n)s probes of %(subject)s"
msgstr[0] "%(n)s Probe zu %(subject)s"
msgstr[1] "%(n)s Proben zu %(subject)s"

#: lab/edits.py
msgid "The {name} holds {{}}: {value}. Write it with {most} letters at most."
msgstr "Im Feld {name} hat {value} {{}}. Schreiben Sie höchstens {most} Buchstaben."

#: facts/readers.py
msgid "{path}: {error}"
msgstr "{path}: {error}"

#: editlab/web/core/forms.py lab/edits.py
msgid "new object"
msgstr "neues Objekt"

#: web/core/engine.py
msgid "“{text}”"
msgstr "„{text}“"

msgctxt "lever"
msgid "Stop"
msgstr "Hebel"

msgid ".,"
msgstr ",."

#: web/core/page.js
msgid "Log in"
msgstr "Anmelden"
"""


@pytest.fixture
def german(tmp_path, monkeypatch):
    """Offers a little German."""
    (tmp_path / "de.po").write_text(GERMAN, encoding="utf-8")
    monkeypatch.setattr(language, "FOLDER", tmp_path)
    monkeypatch.setattr(language, "LANGUAGES", ("en", "de"))
    caches = language.catalogue, language._translations, engine._forms
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture(scope="module")
def messages(tmp_path_factory) -> Catalog:
    """All messages of the page."""
    with extract(tmp_path_factory.mktemp("messages") / "messages.pot").open("rb") as file:
        return read_po(file)


def sentences(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def faults(messages: Catalog, catalogue: Catalog) -> list[str]:
    """What is wrong with a catalogue: messages that are missing or uncertain, and placeholders that are others."""
    found = []
    for message in messages:
        if not message.id:
            continue
        own = catalogue.get(message.id)
        if own is None or own.fuzzy or not all(sentences(own.string)):
            found.append(f"not translated: {message.id}")
            continue
        *_, most = (set(PLACEHOLDER.findall(text)) for text in sentences(message.id))
        for text in sentences(own.string):
            used = set(PLACEHOLDER.findall(text))
            if not used <= most or (text is sentences(own.string)[-1] and used != most):
                found.append(f"other placeholders: {text}")
    return found


def test_every_language_that_is_offered_says_all_that_english_says(messages):
    assert len(messages) > 5
    for name in language.LANGUAGES:
        if name != language.ENGLISH:
            assert faults(messages, language.catalogue(name)) == []


def test_a_message_that_is_missing_uncertain_or_has_other_placeholders_is_a_fault():
    messages, catalogue = Catalog(), Catalog(locale="de")
    for text in ("Stop", "Undo", "{n} of {all}", ("{n} edit", "{n} edits"), "Log in", "%(a)s"):
        messages.add(text)
    catalogue.add("Stop", "Halt", flags=["fuzzy"])
    catalogue.add("{n} of {all}", "{n} von {alle}")
    catalogue.add(("{n} edit", "{n} edits"), ("ein Edit", "{n} Edits"))
    catalogue.add("Log in", "")
    catalogue.add("%(a)s", "%(a)s")
    assert faults(messages, catalogue) == [
        "not translated: Stop",
        "not translated: Undo",
        "other placeholders: {n} von {alle}",
        "not translated: Log in",
    ]


def test_the_language_is_the_stated_one_else_what_the_browser_likes_most(german):
    assert choose(("de", None), "en") == "de"
    assert choose((None, "de"), "en") == "de"
    assert choose(("tlh", None), "de-AT,de;q=0.9,en;q=0.5") == "de"
    assert choose((), "en-GB, de;q=0.9") == "en"
    assert choose((), "fr, de;q=0.4, en;q=0.6") == "en"
    assert choose((), "de;q=0, *") == "en"
    assert choose((), "") == choose((), "\x00;;q=,,") == "en"


def test_a_message_is_said_in_the_language_of_the_visit(german):
    assert gettext("Remove") == "Remove"
    with speaking("de"):
        assert gettext("Remove") == "Löschen"
        assert [ngettext("{n} edit", "{n} edits", n).format(n=n) for n in (1, 2)] == ["1 Änderung", "2 Änderungen"]
        assert gettext("Stop") == "Stop"  # the translation is uncertain
        assert gettext("Unheard") == "Unheard"
        assert gettext("") == ""
        assert language.of_scripts() == {"Log in": "Anmelden"}
    assert [ngettext("{n} edit", "{n} edits", n).format(n=n) for n in (1, 2)] == ["1 edit", "2 edits"]
    assert language.of_scripts() == {}


def test_every_step_of_a_generator_is_said_in_its_language(german):
    def steps():
        try:
            yield gettext("Remove")
            yield gettext("Remove")
        finally:
            ended.append(gettext("Remove"))

    ended = []
    first, second = spoken("de", steps()), spoken("en", steps())
    assert [next(first), next(second), next(first), next(second)] == ["Löschen", "Remove"] * 2
    assert gettext("Remove") == "Remove"
    assert next(first, None) is None and ended == ["Löschen"]


def test_templates_are_translated_and_what_they_are_given_is_escaped(german):
    template = ENVIRONMENT.from_string(
        "{% trans n=n, subject=subject %}{{ n }} probe of {{ subject }}{% pluralize %}{{ n }} probes of {{ subject }}"
        "{% endtrans %}, {{ _('Remove') }}"
    )
    assert template.render(n=1, subject="<b>") == "1 probe of &lt;b&gt;, Remove"
    with speaking("de"):
        assert template.render(n=2, subject="<b>") == "2 Proben zu &lt;b&gt;, Löschen"


def test_numbers_and_lists_are_written_as_in_the_language_of_the_visit(german):
    def said():
        return [
            wording.number(1200),
            wording.number(0.431, ".2f"),
            wording.percent(0.0431),
            wording.size(13.5e9),
            wording.join("abc"),
            wording.join(["a", "b"]),
            wording.duration(300),
            wording.duration(5_400),
            wording.duration(21_600),
        ]

    english = ["1,200", "0.43", "4.3 %", "13.5 GB", "a, b and c", "a and b", "5 minutes", "1.5 hours", "6 hours"]
    assert said() == english
    with speaking("de"):
        assert said()[:6] == ["1.200", "0,43", "4,3 %", "13,5 GB", "a, b und c", "a und b"]


def test_a_text_of_the_lab_is_told_with_all_that_it_was_made_of(german):
    text = Message("Remove", edits=Message(("{n} edit", "{n} edits"), n=1_200))
    nested = Message("{a}, {b}", a=text.values["edits"], b="Remove")
    assert wording.tell(text) == "Remove" and wording.tell(nested) == "1,200 edits, Remove"
    with speaking("de"):
        assert wording.tell(text) == "Löschen"
        assert wording.tell(nested) == "1.200 Änderungen, Remove"  # what somebody wrote is not translated
        assert wording.tell("Remove") == "Remove"


def test_a_word_that_means_two_things_is_told_apart(german):
    assert pgettext("lever", "Stop") == "Stop"
    with speaking("de"):
        assert pgettext("lever", "Stop") == "Hebel" and gettext("Log in") == "Anmelden"


def test_a_figure_is_in_the_language_of_the_visit_and_in_english_elsewhere(german):
    def drawn():
        figure = bars(["a"], [0.5], ["#000"], "share")
        return figure.layout.separators, figure.layout.annotations[0].text

    assert drawn() == (".,", "<b>0.50</b>  a")
    with speaking("de"):
        assert drawn() == (",.", "<b>0,50</b>  a")
    assert drawn()[0] == ".,"


def test_a_sentence_of_the_engine_is_told_with_its_values_which_may_be_sentences(german):
    text = "The new object holds {}: 'a.b'. Write it with 1,200 letters at most"
    told = "Im Feld neues Objekt hat „a.b“ {}. Schreiben Sie höchstens 1.200 Buchstaben"
    assert said(BadRequest(text)) == text
    with speaking("de"):
        assert said(BadRequest(f"{text}.")) == f"{told}."
        assert said(f"my.csv, 1,200: {text}.") == f"my.csv, 1,200: {told}."
        assert said(text) == told  # within a longer sentence the last stop may be missing
        assert said(TooLarge(Message(("{n} edit", "{n} edits"), n=2))) == "2 Änderungen"
        assert said("Nobody wrote the new object.") == "Nobody wrote the new object."
        assert said(f"{text} {'x' * engine.LONGEST}.").startswith(text)


def test_an_error_stands_on_the_page_in_the_language_of_the_visit(german):
    error = BadRequest("The new object holds {}: 'x'. Write it with 9 letters at most.", "target_new")
    with speaking("de"):
        update = problem(error)
    assert all("Im Feld neues Objekt hat „x“ {}." in str(html) for html in update.values()) and len(update) == 2
    assert "The new object" in str(problem(error)["message"])


def test_an_f_string_of_the_engine_is_a_message():
    source = """
raise BadRequest(f"{error.strerror} in {path!r}, {len(options):,} {{}} of {', '.join(known)}." if x else "No {} here.")
progress(0.5, f"edit {done + 1} of {len(rows)}")
more = noop(f"{path.name}, {other.name} and {path.name}") + noop(f"{a}{b}") + noop("{n} hours")
said = f"{count(missing, 'event is', 'events are')} gone" + count(n, "fault")
print(f"not {this}")
"""
    found = [texts for _, _, texts, _ in read_engine(io.BytesIO(source.encode()), (), (), {})]
    assert set(found) == {
        "{strerror} in {path}, {options} {{}} of {known}.",
        "No {{}} here.",
        "edit {done} of {rows}",
        "{name}, {name2} and {name}",
        "{n} hours",
        ("{n} event is", "{n} events are"),
        ("{n} fault", "{n} faults"),
    }


def test_what_people_read_of_a_scenario_is_collected():
    toml = """
title = "REP mends it"
[[steps]]
do = "say"
text = "Other names."
[[steps]]
do = "ask"
prompt = "The currency of Nihon is the"
[[steps]]
do = "guess"
question = "How do people pay?"
options = ["in euros", "in yen"]
"""
    found = [texts for _, _, texts, _ in read_preset(io.BytesIO(toml.encode()), (), (), {})]
    assert found == ["REP mends it", "Other names.", "How do people pay?", "in euros", "in yen"]


@pytest.mark.parametrize("name", [name for name in language.LANGUAGES if name != language.ENGLISH])
def test_every_sentence_of_the_engine_is_recognised_and_keeps_its_values(name):
    with speaking(name):
        known = engine._forms(name)
        assert len(known) > 500
        for _, _, message in known:
            for n, form in enumerate(message, start=1):
                fields = [field for _, field, _, _ in Formatter().parse(form) if field]
                values = {field: str(n) if field == "n" else f"<{field}>" for field in fields}
                own = ngettext(*message, n) if len(message) > 1 else gettext(form)
                assert said(form.format(**values)) == own.format(**values)


ELSEWHERE = (
    "GONE",
    "NOBODY",
    "_missing(",
    "experts(",
    "gguf.experts(",
    "message",
    "noop(",
    "reason",
    "self.sentence()",
    "str(error)",
)
"""How texts of errors begin that are marked where they are made."""


def test_every_error_below_the_page_says_a_sentence_that_is_collected():
    ignored = ("atlas", "bench", "cli", "web")
    for file in (ROOT / "editlab").rglob("*.py"):
        if file.relative_to(ROOT / "editlab").parts[0] in ignored:
            continue
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ERRORS:
                text = ast.unparse(call.args[0])
                assert text.startswith(ELSEWHERE) or list(forms(call.args[0])), f"{file}: {text}"


def said_in(file: Path) -> set[str | tuple[str, ...]]:
    """The messages in a file of Python, as Python itself reads it."""
    found = set()
    for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("_", "noop", "ngettext"):
            texts = [argument.value for argument in call.args[:2] if isinstance(argument, ast.Constant)]
            found |= {tuple(texts) if call.func.id == "ngettext" else text for text in texts}
    return found


def test_every_message_is_collected(messages):
    """Babel finds none within an f-string, and none whose arguments stand in brackets of their own."""
    collected = {message.id for message in messages}
    for file in (ROOT / "editlab").rglob("*.py"):
        assert said_in(file) <= collected, file
