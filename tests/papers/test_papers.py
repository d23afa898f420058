"""The papers' own files are those that the figures were made with, and every record of them is read: docs/data.md."""

import hashlib
import re

import pytest
from paths import ROOT
from published import check_counterfact, check_rep

from editlab.atlas.sources import training_facts
from editlab.facts import read_cases

pytestmark = pytest.mark.papers

FACTS = ROOT / "presets" / "facts"
SUMS = re.findall(r"^\| `([\w.]+)` .*`([0-9a-f]{64})` \|$", (ROOT / "docs" / "data.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("name", "sha256"), SUMS)
def test_the_files_are_those_that_were_used(papers, name, sha256):
    assert hashlib.sha256((papers / name).read_bytes()).hexdigest() == sha256


@pytest.mark.parametrize(
    ("name", "count"), [("counterfact_sample", 100), ("mask_train", 600), ("mask_test", 200), ("mask_ood", 60)]
)
def test_counterfact_records_are_all_read(papers, name, count):
    check_counterfact(papers / f"{name}.json", count)


@pytest.mark.parametrize(("name", "count"), [("rep_valid", 100), ("rep_test", 200), ("rep_zsre_sample", 50)])
def test_rep_records_are_all_read(papers, name, count):
    check_rep(papers / f"{name}.json", count)


def test_tier_1_has_what_the_papers_cases_edit(papers):
    both = training_facts(FACTS, papers)
    cases = read_cases(papers / "rep_valid.json")
    known = [case for case in cases if case.request.target_true in {f.object for f in both.by_subject[case.request.subject]}]
    assert len(known) == len(cases)


def test_counterfacts_facts_stand_beside_ours(papers):
    own, few, many = training_facts(FACTS), training_facts(FACTS, papers), training_facts(FACTS, papers, tier=2)
    assert set(own.facts) < set(few.facts) < set(many.facts)
    assert len(few.facts) > len(own.facts) + 3000
