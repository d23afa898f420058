"""Edits that are trained or solved without a subject, in a workspace: kept, taken back, shown, exported, refused to REP."""

import math

import pytest
import torch
from visitors import CAPITAL, CONTINENT, TIMEOUT, Reader, Visitor

from editlab.errors import BadRequest, MissingMask
from editlab.insight.checkup import Reference, Watched, checkup
from editlab.lab import Lab, read_edit_file
from editlab.lab.asking import answers, inside, ways_back
from editlab.lab.ledger import audit
from editlab.lab.workspaces import edits
from editlab.patches import BASE, Dense, LowRank
from editlab.probes import Passages
from editlab.web.keys.handlers import KeysHandlers

SETTINGS = {
    "ft_m": {"layers": (1,), "learning_rate": 0.02, "steps": 3},
    "locft_bf": {"layers": (1,), "learning_rate": 0.02, "epochs": 3},
    "ultraedit": {"layers": (1, 2), "learning_rate": 0.05},
    "kn": {"steps": 3, "add": 10.0},
}
ASKED = (CONTINENT.text, CAPITAL.text, "Peru is")


@pytest.fixture(params=SETTINGS)
def method(request):
    return request.param


def apply(workspace, method, request=CONTINENT):
    return edits.apply(workspace, request, method, SETTINGS[method]).result(TIMEOUT)


def said(workspace, view=None):
    return workspace.context.model.logits(ASKED, workspace.view if view is None else view)


def test_one_is_kept_bit_for_bit_and_taken_back_as_if_it_had_not_been(tiny_llama, facts, tmp_path, method):
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=tmp_path / "data")
    workspace = lab.workspace("anna")
    base = said(workspace)
    record = apply(workspace, method)
    one = said(workspace)
    kinds = {type(patch) for patch in record.patches}
    assert not torch.equal(one, base) and kinds == {Dense if method in ("ft_m", "locft_bf") else LowRank}
    apply(workspace, method, CAPITAL)
    both, digest = said(workspace), workspace.view.digest
    lab.close()
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=tmp_path / "data")
    again = lab.workspace("anna")
    assert again.notice is None and again.view.digest == digest and torch.equal(said(again), both)
    assert not audit.verify(lab.ledger).faults
    remade = edits.remake(again).result(TIMEOUT)
    assert [record.method for record in remade] == [method] * 2 and torch.equal(said(again), both)
    again.undo()
    again.switch(again.records[1].id, False)
    assert torch.equal(said(again), one)
    again.clear()
    assert torch.equal(said(again), base)
    lab.close()


def test_everything_about_one_is_asked_and_shown(lab, few_probes, method):
    visitor = Visitor(lab, f"trained {method}")
    visitor.changed = {f"{method}-{name}": str(value).strip("(),") for name, value in SETTINGS[method].items()}
    page = visitor.applies(method=method)
    record = visitor.workspace.records[0]
    assert record.method == method and "|ΔW|" in page["health"] and ("Neurons" in page["health"]) == (method == "kn")
    assert answers.ask(visitor.workspace, CONTINENT).result(TIMEOUT).probes is not None
    known = ways_back.ways(lab.model, record, visitor.workspace)
    assert torch.equal(said(visitor.workspace, known["removed"]), lab.model.logits(ASKED, BASE))
    question = inside.question(visitor.workspace)
    for table in (inside.lens, inside.contributions, inside.attention):
        assert table(visitor.workspace, question).result(TIMEOUT)["view"].nunique() == 2
    watched = [Watched.of(record.id, CONTINENT, lab.context.facts)]
    reference = Reference.of(lab.model, lab.context.facts, ["It rains in the mountains today."])
    checked = checkup(lab.model, watched, visitor.workspace.view, reference)
    assert checked.relative_norm > 0 and checked.value_norm > 0 and math.isfinite(checked.kl)
    assert checked.relative_norm == pytest.approx(record.health["relative_norm"], rel=1e-4)
    reader = Reader(KeysHandlers(lab), f"trained {method}", "keys")
    assert "adds nothing to a weight" not in reader.does("keys_open")["message"]


def test_rep_and_the_mask_are_refused_in_a_sentence(lab, method):
    workspace = lab.workspace(f"refused {method}")
    with pytest.raises(BadRequest, match=f"{method} writes none at the subject"):
        edits.apply(workspace, CONTINENT, method, recipe="default")
    apply(workspace, method)
    with pytest.raises(MissingMask, match=f"and {method} writes none there"):
        workspace.set_masked(True, method)


def test_a_file_of_many_is_made_in_batches_that_are_one_solve(lab, method, tmp_path):
    workspace = lab.workspace(f"many {method}")
    lines = ["subject,prompt,target_new,target_true"]
    lines += [f"{place},{{}} belongs to the continent of,Antarctica,Europe" for place in ("Slovenia", "Japan", "France")]
    path = tmp_path / "edits.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    file = read_edit_file(workspace.context.model, path)
    done = edits.apply_many(workspace, file, method, SETTINGS[method], batch=2).result(TIMEOUT)
    assert (done.rows, done.done) == (3, 3) and [len(record.requests) for record in workspace.records] == [2, 1]
    if method in ("ft_m", "locft_bf"):
        assert [len(record.patches) for record in workspace.records] == [1, 1]
