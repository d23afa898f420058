"""A report says what was edited and how it came out, fetches nothing, and shows what people wrote as text."""

import base64
import hashlib
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from paths import PRESETS
from visitors import TIMEOUT

from editlab import exports as formats
from editlab import probes
from editlab.errors import BadRequest, Cancelled
from editlab.exports import Past, pdf, report
from editlab.facts import EditRequest
from editlab.lab import Lab
from editlab.lab.kinds import Kind
from editlab.lab.workspaces import edits, exports
from editlab.model import LanguageModel
from editlab.web.core.speaking import speaking
from editlab.work import never, no_progress

CONTINENT = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
HOSTILE = EditRequest("The capital of {} is", "<script>alert(1)</script>", "<img src=http://x.y onerror=alert(2)>", "A & B")
WHY = '</script><script src="http://x.y/a.js"></script> =1+1 ; url(http://x.y)'


class Page(HTMLParser):
    """What a browser makes of a page: its tags with their attributes, and the text of its scripts and of the rest."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.words, self.within = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.within = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.within = ""

    def handle_data(self, data):
        if self.within == "script":
            self.scripts[-1] += data
        elif self.within != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def anna(saved_model, facts, tmp_path_factory):
    """A workspace with an edit with REP, one whose author wants to break the report, and one that is off."""
    model = LanguageModel.load(str(saved_model))
    lab = Lab(model, facts, probes.passages(model, PRESETS / "texts"), data=tmp_path_factory.mktemp("data"))
    anna, config = lab.workspace("anna"), {"steps": 2}
    edits.apply(anna, CONTINENT, config=config, recipe="default", reason="a demo").result(TIMEOUT)
    edits.apply(anna, HOSTILE, config=config, reason=WHY).result(TIMEOUT)
    anna.switch(edits.apply(anna, EditRequest("{} is in", "Chile", "Africa"), config=config).result(TIMEOUT).id, False)
    yield anna
    lab.close()


@pytest.fixture(scope="module")
def contents(anna):
    return exports._export_of(anna)


@pytest.fixture(scope="module")
def found(contents):
    return [finding for finding in report.ask(contents, no_progress, never) if finding is not None]


@pytest.fixture(scope="module")
def page(contents, found):
    return Page(report.page(contents, found))


def test_a_report_has_answers_probes_settings_history_and_the_command(anna, contents, found, page):
    assert [finding.request for finding in found] == [CONTINENT, HOSTILE]
    first, views = found[0], ["base", "edited", "rep"]
    assert list(first.answers) == views and first.judged == "rep" and first.gates is not None
    assert len(first.probes) == len(contents.ground.battery(contents.ground.case(CONTINENT)))
    for said in (
        first.said("base"),
        first.said("rep"),
        contents.model.fingerprint,
        "a demo",
        "2 facts edited",
        "Learning rate",
    ):
        assert said in page.text
    for count in first.counts:
        rows = first.probes[(first.probes["kind"] == count.kind) & (first.probes["domain"] == count.domain)]
        judged = {
            view: [probes.tone(probes.judge(count.kind, row, view)) for row in rows.to_dict("records")] for view in views
        }
        assert count.right == {view: tones.count("good") for view, tones in judged.items()}
        assert f"{count.right['rep']} of {count.asked}" in page.text
    events = anna.context.ledger.read(anna.key)
    assert events[-1][1] in page.text and "Chile" in page.text, "the history tells of the edit that is off"
    applied = next(hash for event, hash in events if event.kind == "applied")
    assert f"SHA-256 {applied}" in page.text
    command = re.search(r"editlab edit (--subject=Slovenia.*?\$workspace\S*)", page.text)[1]
    assert shlex.split(command)[:3] == ["--subject=Slovenia", f"--prompt={CONTINENT.prompt}", "--target=Antarctica"]
    assert "--set=steps=2" in shlex.split(command) and "--rep=default" in shlex.split(command)


def test_nothing_is_fetched_and_only_the_reports_own_scripts_run(page):
    for tag, attributes in page.tags:
        assert not {"src", "srcset", "action", "background", "data", "poster"} & set(attributes), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert attributes.get("href", "#").startswith("#"), (tag, attributes)
    allowed = {"html", "head", "meta", "title", "style", "body", "header", "main", "footer", "script", "details", "summary"}
    allowed |= {
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "div",
        "section",
        "span",
        "s",
        "strong",
        "b",
        "i",
        "small",
        "mark",
        "code",
        "pre",
    }
    allowed |= {"dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "a", "button", "figure", "figcaption"}
    assert {tag for tag, _ in page.tags} <= allowed
    policy = next(attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
    kinds = [attributes.get("type") for tag, attributes in page.tags if tag == "script"]
    run = [text for text, kind in zip(page.scripts, kinds, strict=True) if kind is None]
    hashes = [f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}" for text in run]
    assert re.findall(r"'(sha256-[^']+)'", policy) == hashes and len(run) == 2
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


def test_what_people_wrote_is_text(page):
    for written in (HOSTILE.subject, HOSTILE.target_new, WHY):
        assert " ".join(written.split()) in page.text
    data = [json.loads(text) for text in page.scripts if text.startswith("{")]
    assert len(data) == 4 and any("&lt;img" in trace.get("name", "") for figure in data for trace in figure["data"])


def test_only_the_latest_of_many_are_asked_and_the_report_says_so(contents, monkeypatch):
    monkeypatch.setattr(report, "MOST", 1)
    found = [finding for finding in report.ask(contents, no_progress, never) if finding is not None]
    assert [finding.request for finding in found] == [HOSTILE]
    text = Page(report.page(contents, found)).text
    assert "The latest 1 were asked" in text and "Slovenia" in text


def test_faults_of_the_ledger_stand_in_the_report(contents, found):
    past = replace(contents.past(), faults=("Event 2 was changed after it was written.",))
    text = Page(report.page(replace_past(contents, past), found)).text
    assert "1 fault: events or files are not as they were written." in text and past.faults[0] in text
    assert "All events and files of this workspace were as they were written" not in text
    assert "History" not in Page(report.page(replace_past(contents, Past("x")), found)).text


def replace_past(contents, past):
    return replace(contents, past=lambda: past)


def test_one_edit_alone_opens_with_its_answer(anna, tmp_path):
    id = exports.id_of(anna, 1)
    (path,) = exports.export(anna, "report", tmp_path / "out", only=id)
    text = Page(path.read_text(encoding="utf-8")).text
    assert "One fact edited" in text and "1 other fact of the workspace is on as well" in text
    assert text.index("Slovenia belongs to") < text.index("The edit") < text.index("Scores") < text.index("Fingerprint")
    (path,) = exports.export(anna, "csv", tmp_path / "csv", only=id)
    assert [line.partition(",")[0] for line in path.read_text(encoding="utf-8").splitlines()] == ["subject", "Slovenia"]
    with pytest.raises(BadRequest, match="There is no edit 3: 2 edits are on"):
        exports.id_of(anna, 3)
    off = next(record.id for record in anna.records if not record.on)
    with pytest.raises(BadRequest, match="This edit is off"):
        exports.export(anna, "report", tmp_path / "off", only=off)


def test_others_get_the_model_between_the_parts_and_a_stop_leaves_nothing(anna, tmp_path):
    parts = list(exports.export_parts(anna, "report", tmp_path / "whole", no_progress, never))
    assert len(parts) > 10
    answers = iter([False, False, True])
    with pytest.raises(Cancelled):
        exports.export(anna, "report", tmp_path / "out", cancel=answers.__next__)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_without_chromium_the_pdf_is_refused_with_what_to_do(anna, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    assert any("apt-get install chromium" in note for note in exports.notes(anna, "pdf"))
    with pytest.raises(BadRequest, match="Export the format “report” and print it"):
        exports.export(anna, "pdf", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert not formats.format_named("pdf").in_demo


def test_a_browser_that_fails_is_told_as_a_sentence(anna, tmp_path, monkeypatch):
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho no display >&2\nexit 3\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setattr(pdf.shutil, "which", lambda name: str(broken))
    monkeypatch.setattr(report, "MOST", 1)
    with pytest.raises(BadRequest, match="Chromium did not print the report: no display"):
        exports.export(anna, "pdf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_report_is_in_the_language_of_who_asks_for_it(anna, tmp_path):
    def work(progress, cancel):
        return exports.export_parts(anna, "report", tmp_path / "report", progress, cancel)

    with speaking("de"):
        job = anna.submit(work, Kind.EXPORT)
    job.result(TIMEOUT)
    written = Page((tmp_path / "report" / "report.html").read_text(encoding="utf-8"))
    assert ("html", {"lang": "de"}) in written.tags
    for text in ("2 Fakten editiert in", "Der Edit griff", "Wie der Edit gemacht wurde", "Umbenannt (nah)", "Fingerabdruck"):
        assert text in written.text
    for text in ("The edit", "How the edit", "Meaning", "Settings", "probability of", "Each event", "Base model"):
        assert text not in written.text
    assert any('"Schicht"' in script or "Schicht" in script for script in written.scripts)
