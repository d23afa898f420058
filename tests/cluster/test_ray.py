"""Cases of a benchmark over two processes: the rows of one process, also where a worker is killed."""

import os
import signal
from dataclasses import replace

import pytest
from paths import PRESETS

from editlab import EditCase, EditRequest
from editlab.bench import robustness
from editlab.bench.cluster import LOCAL, Ask, Cluster
from editlab.bench.editing import Setup
from editlab.errors import BadRequest
from editlab.facts import FactBase
from editlab.model import LanguageModel
from editlab.probes import Ground, passages
from editlab.settings import Settings

SETUP = Setup("rome", {"steps": 3, "contexts": 2, "whiten": False})
SUBJECTS = ("Slovenia", "New France", "Ana", "Rome", "Austria", "Norway", "Peru", "Egypt")
CASES = [
    EditCase(id=str(n), request=EditRequest("The capital of {} is", subject, "river", "people"))
    for n, subject in enumerate(SUBJECTS)
]


@pytest.fixture
def settings(saved_model, tmp_path) -> Settings:
    return Settings(model=str(saved_model), data=tmp_path, presets=PRESETS)


@pytest.fixture
def ground(settings) -> Ground:
    model = LanguageModel.load(settings.model, settings=settings)
    return Ground(model, FactBase.load(PRESETS / "facts"), passages(model, PRESETS / "texts", 40), 0)


def plain(rows):
    """Rows by their keys, without what a clock gave."""
    return {row.key: replace(row, seconds=0.0, peak=None) for row in rows}


def test_the_rows_are_those_of_one_process_also_where_a_worker_is_killed(settings, ground, monkeypatch):
    monkeypatch.setattr("editlab.bench.editing.CASES_AT_ONCE", 1)
    alone = plain(robustness.measure(CASES, SETUP, ground))
    cluster = Cluster(LOCAL, 2, Ask.of(ground, settings, 2))
    try:
        found = []
        for row in cluster.measure(CASES, SETUP, ground, ()):
            found.append(row)
            if len(found) == 1:
                os.kill(cluster.processes[0], signal.SIGKILL)
        assert plain(found) == alone and len(found) == len(CASES)
        assert all(row.skipped is None for row in found)
        rest = list(cluster.measure(CASES, SETUP, ground, {row.key for row in found[2:]}))
        assert plain(rest) == plain(found[:2])
    finally:
        cluster.close()


def test_a_worker_with_another_model_and_an_address_without_a_cluster_are_sentences(settings, ground):
    ask = replace(Ask.of(ground, settings, 1), fingerprint="another")
    with pytest.raises(BadRequest, match="another model"):
        Cluster(LOCAL, 1, ask)
    with pytest.raises(BadRequest, match="no Ray cluster at 127\\.0\\.0\\.1:1"):
        Cluster("127.0.0.1:1", 1, ask)
