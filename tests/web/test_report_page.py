"""The button that makes a report of the edit that is shown, without a browser."""

import re

import pytest
from visitors import Visitor


@pytest.fixture
def visitor(lab, request) -> Visitor:
    return Visitor(lab, request.node.name[:60])


def test_without_an_edit_a_sentence_says_what_to_do(visitor, lab):
    visitor.does("open")
    assert "Apply this one first" in visitor.does("report_edit")["message"]


def test_the_report_of_an_edit_is_one_file_to_download(visitor, lab, few_steps, few_probes):
    visitor.does("open")
    visitor.applies()
    page = visitor.does("report_edit")
    token, name = re.search(r'href="exports/([\w-]+)" download>Download (\S+)', page["report-file"]).groups()
    path = lab.downloads.take(token, None)
    assert path.name == name and path.suffix == ".html"
    assert "Slovenia" in path.read_text(encoding="utf-8") and page["progress"] == ""
    visitor.does("undo")
    assert "Apply this one first" in visitor.does("report_edit")["message"]
