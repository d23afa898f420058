"""While nobody asks anything, the contexts of edits are written and the passages of long contexts are read."""

import pytest
from test_background_statistics import opened
from visitors import CONTINENT, TIMEOUT, Visitor

from editlab.lab.kinds import Kind
from editlab.lab.workspaces import edits
from editlab.model import beginnings
from editlab.model.language_model import LanguageModel
from editlab.probes import Passages

SHORT = " ".join(["the river and the old garden"] * 17)


@pytest.fixture
def lab(two_models, facts, tmp_path, few_steps):
    lab = opened(two_models, tmp_path, facts)
    lab.context.passages = Passages((SHORT,), (SHORT,))
    yield lab
    lab.close()


def prepared(lab):
    lab.prepare()
    for job in lab.worker.open:
        if job.kind == Kind.PREPARATION:
            job.result(TIMEOUT)


def test_the_first_edit_finds_its_contexts_written(lab, monkeypatch):
    prepared(lab)
    monkeypatch.setattr(LanguageModel, "generate", lambda *given, **named: pytest.fail("a context is written"))
    visitor = Visitor(lab, "ada")
    assert edits.apply(visitor.workspace, CONTINENT).result(TIMEOUT).health["p_new"] > 0


def test_a_passage_is_read_once(lab, monkeypatch):
    passage = lab.context.passages.outside[0]
    prepared(lab)
    read = []
    monkeypatch.setattr(beginnings, "_read", lambda *given: read.append(given))
    lab.model.score([f"{passage} {CONTINENT.text}"], ["Europe"])
    assert lab.model.beginnings.bases and not read


def test_a_model_is_prepared_once(lab):
    prepared(lab)
    lab.prepare()
    assert not [job for job in lab.worker.open if job.kind == Kind.PREPARATION]


def test_another_model_ends_the_preparation_of_the_one_before(lab):
    lab.worker.submit(lambda progress, cancel: lab.prepare() or lab.loaded.drop(), Kind.OTHER).result(TIMEOUT)
    for job in lab.worker.open:
        job.wait(TIMEOUT)
    assert not lab.loaded.in_memory
