"""Many edits from a file: checked before the first, made batch by batch, resumed, and taken back as they were made."""

import json
from pathlib import Path

import pytest
import torch
from paths import DATA
from visitors import TIMEOUT

from editlab import methods
from editlab.errors import BadFile, BadRequest, Cancelled, DegenerateKey
from editlab.facts import EditRequest
from editlab.lab import Lab, read_edit_file
from editlab.lab.asking import answers
from editlab.lab.ledger.events import Edit
from editlab.lab.workspaces import edit_files, edits
from editlab.probes import Passages

HEADER = "subject,prompt,target_new,target_true"
PLACES = ("Slovenia", "Japan", "France", "Brazil", "Kenya", "Canada", "Norway")
ROWS = [f"{place},{{}} belongs to the continent of,Antarctica,Europe" for place in PLACES]


@pytest.fixture
def workspace(lab, request):
    return lab.workspace(request.node.name)


@pytest.fixture
def file(lab, tmp_path):
    """Looks a file of these lines over."""

    def write(*lines: str, name: str = "edits.csv"):
        path = tmp_path / name
        path.write_text("\n".join((HEADER, *lines)), encoding="utf-8")
        return read_edit_file(lab.model, path)

    return write


def logits(workspace):
    return workspace.context.model.logits(["Slovenia belongs to the continent of"], workspace.view)


# Looking over


def test_every_fault_has_its_row_its_column_and_its_reason(file, lab):
    looked = file(
        ROWS[0],
        "Peru,{} is in {},Asia,",
        "Slovenia,{} belongs to the continent of,Asia,",
        ROWS[0],
        "Peru,{} is in,,",
        f"Peru,{{}} is in {'the ' * 600},Asia,",
        ROWS[1],
    )
    assert (looked.count, len(looked.rows)) == (7, 2)
    assert [(fault.place.row, fault.column) for fault in looked.faults] == [
        (3, "prompt"),
        (4, "target_new"),
        (5, "prompt"),
        (6, "target_new"),
        (7, "prompt"),
    ]
    reasons = [fault.reason for fault in looked.faults]
    assert reasons[0].startswith("The prompt has 2 {}")
    assert (
        reasons[1] == "It contradicts line 2, which has the new object 'Antarctica' for the same text. Keep one of the two."
    )
    assert reasons[2] == "It repeats line 2. Remove one of the two."
    assert reasons[3].startswith("The new object is empty") and "Shorten" in reasons[4]


def test_a_prompt_without_room_for_the_texts_in_front_is_a_fault(file, lab):
    context = lab.model.tok.context
    words = " the" * (context - edit_files.ROOM // 2 - len(lab.model.tok.encode("Peru is")) - 4)
    (fault,) = file(f"Peru,{{}} is{words},Asia,").faults
    assert f"holds {context:,}, and {edit_files.ROOM}" in fault.reason


def test_more_rows_than_can_be_made_are_refused(file, monkeypatch):
    monkeypatch.setattr(edit_files, "MOST_ROWS", 2)
    with pytest.raises(BadFile, match="3 rows; 2 are the most"):
        file(*ROWS[:3])


def test_json_faults_name_the_record(lab, tmp_path):
    path = tmp_path / "edits.json"
    good = {"subject": "Leo Arons", "prompt": "Leo Arons died in", "target_new": "Paris"}
    path.write_text(json.dumps([good, {"subject": "Leo", "prompt": "He died in"}, good | {"subject": "Leon"}]))
    looked = read_edit_file(lab.model, path, "mine.json")
    assert [(fault.place.row, str(fault.place), fault.column) for fault in looked.faults] == [
        (2, "record 2", "target_new"),
        (3, "record 3", "prompt"),
    ]
    path.write_text("[")
    with pytest.raises(BadFile) as caught:
        read_edit_file(lab.model, path, "mine.json")
    assert "mine.json" in str(caught.value) and str(tmp_path) not in str(caught.value)


# Applying


def test_a_batch_is_one_edit_of_the_chain_and_is_taken_back_as_one(workspace, file, few_steps):
    base = logits(workspace)
    job = edits.apply_many(workspace, file(*ROWS), "rome", batch=3)
    done = job.result(TIMEOUT)
    assert (done.rows, done.done, done.resumed) == (7, 7, 0) and 0 <= done.said <= 1 and done.held is not None
    assert [len(record.requests) for record in workspace.records] == [3, 3, 1]
    first, *_, last = workspace.records
    assert first.name == "Slovenia → Antarctica and 2 more" and last.name == "Norway → Antarctica"
    assert len(first.solves) == 1 and [len(patch.A) for patch in first.patches] == [3] * len(first.layers)
    assert first.source["rows"] == [2, 4] and first.source["name"] == "edits.csv"
    workspace.switch(first.id, False)
    workspace.switch(first.id, True)
    for _ in range(4):
        workspace.undo()
    assert workspace.undo() == "applied Slovenia → Antarctica and 2 more"
    assert torch.equal(logits(workspace), base)
    workspace.redo()
    workspace.clear()
    assert workspace.undo() == "removed all 3 edits"


def test_a_batch_changes_what_its_edits_change_alone(workspace, lab, file, few_steps):
    edits.apply_many(workspace, file(*ROWS[:3]), "rome").result(TIMEOUT)
    (batch,) = workspace.records
    total = {layer: 0 for layer in batch.layers}
    for place in PLACES[:3]:
        alone = lab.workspace(f"{place} alone")
        request = EditRequest("{} belongs to the continent of", place, "Antarctica", "Europe")
        for patch in edits.apply(alone, request, "rome").result(TIMEOUT).patches:
            total[patch.layer] = total[patch.layer] + patch.dense()
    for patch in batch.patches:
        assert torch.allclose(patch.dense(), total[patch.layer], atol=1e-4 * total[patch.layer].abs().max())


def test_the_next_batch_is_computed_under_the_one_before(lab, file, few_steps):
    one, other = lab.workspace("in one"), lab.workspace("in two")
    looked = file(*ROWS[:2])
    edits.apply_many(one, looked, "rome", batch=2).result(TIMEOUT)
    edits.apply_many(other, looked, "rome", batch=1).result(TIMEOUT)
    (both,), (_, second) = one.records, other.records
    assert not torch.equal(both.patches[0].A[1:], second.patches[0].A) or not torch.equal(
        both.patches[0].B[:, 1:], second.patches[0].B
    )


def test_a_joint_solve_spares_what_lies_below_it_and_is_on(workspace, file, few_steps, monkeypatch):
    rome, spared = methods.get("rome"), []

    class Joint(methods.Method):
        name, title, config, joint, spares = "memit", "Joint", rome.config, True, True

        def edit(self, *given, earlier):
            spared.append(tuple(request.subject for request in earlier))
            return rome.edit(*given)

    monkeypatch.setitem(methods.METHODS, "memit", Joint())
    edits.apply_many(workspace, file(*ROWS[:5]), "memit", batch=2).result(TIMEOUT)
    assert spared == [(), PLACES[:2], PLACES[:4]]
    workspace.switch(workspace.records[0].id, False)
    edits.apply(workspace, EditRequest("{} is in", "Peru", "Asia"), "memit").result(TIMEOUT)
    assert spared[3:] == [PLACES[2:5]]
    edits.remake(workspace).result(TIMEOUT)
    assert spared[4:] == [(), PLACES[2:4], PLACES[2:5]]


def test_remade_a_batch_keeps_its_requests_and_its_file(workspace, file, few_steps):
    looked = file(*ROWS[:3])
    edits.apply_many(workspace, looked, "rome").result(TIMEOUT)
    before = workspace.records
    (again,) = edits.remake(workspace).result(TIMEOUT)
    assert again.requests == before[0].requests and again.source == before[0].source
    assert edits.file_progress(workspace, looked, "rome").done == 3
    assert workspace.undo() == "recomputed 3 edits"


def test_rep_is_refused_for_a_batch(workspace, file, few_steps):
    edits.apply_many(workspace, file(*ROWS[:2]), "rome").result(TIMEOUT)
    with pytest.raises(BadRequest, match="a batch of 2"):
        edits.refine(workspace, workspace.records[0].id)


@pytest.mark.parametrize("batch", [0, 1001, 2.5, True, None, "many"])
def test_a_batch_of_another_size_is_refused(workspace, file, batch):
    with pytest.raises(BadRequest, match="whole number from 1 to 1,000"):
        edits.apply_many(workspace, file(*ROWS), "rome", batch=batch)


def test_a_file_without_a_good_row_is_refused(workspace, file):
    with pytest.raises(BadRequest, match="no row that can be edited"):
        edits.apply_many(workspace, file("Peru,{} is in {},Asia,"), "rome")


def test_the_edits_of_a_case_are_one_batch_and_made_once(workspace, lab, few_steps):
    looked = read_edit_file(lab.model, DATA / "mquake.json")
    assert (looked.forms, len(looked.rows), looked.faults) == ({"MQuAKE": 20}, 30, ())
    for size in (1, 2, 5, 100):
        batches = edit_files.remaining_batches(looked, (), size)
        assert [placed for batch in batches for placed in batch] == list(looked.rows)
        assert all(len(batch) <= max(size, 2) for batch in batches)
        groups = [{placed.case.group for placed in batch} - {""} for batch in batches]
        assert len(set().union(*groups)) == sum(map(len, groups)) == 10
    done = edits.apply_many(workspace, looked, "rome", batch=15).result(TIMEOUT)
    assert done.done == 30 and len(done.missed) == round((1 - done.held) * 30)


def test_an_edit_of_two_cases_is_made_once_and_a_bad_one_takes_its_case_with_it(lab, tmp_path):
    record = json.loads((DATA / "mquake.json").read_text(encoding="utf-8"))[1]
    bad = json.loads(json.dumps(record))
    bad["requested_rewrite"][1]["prompt"] = "no subject here"
    bad["requested_rewrite"][0]["subject"] = "Somebody"
    path = tmp_path / "edits.json"
    path.write_text(json.dumps([record, record | {"case_id": 99}, bad]), encoding="utf-8")
    looked = read_edit_file(lab.model, path)
    assert (len(looked.rows), len(looked.faults)) == (2, 1)
    assert looked.notes == ("2 edits of a case stand in an earlier case too, and are made once.",)


# Going on


def test_stopped_it_keeps_what_is_done_and_goes_on_behind_it(workspace, lab, file, few_steps, monkeypatch):
    looked, answer = file(*ROWS), lab.context.live.answer
    monkeypatch.setattr(lab.context.live, "answer", lambda: (answer(), workspace.stop()))
    with pytest.raises(Cancelled, match=r"Stopped\. 2 of 7 edits are applied\. Give the file again"):
        edits.apply_many(workspace, looked, "rome", batch=2).result(TIMEOUT)
    monkeypatch.setattr(lab.context.live, "answer", answer)
    kept = workspace.records
    assert [len(record.requests) for record in kept] == [2]
    done = edits.apply_many(workspace, looked, "rome", batch=3).result(TIMEOUT)
    assert (done.resumed, done.done) == (2, 7)
    assert workspace.records[0] is kept[0] and [len(record.requests) for record in workspace.records] == [2, 3, 2]
    again = edits.apply_many(workspace, looked, "rome").result(TIMEOUT)
    assert (again.resumed, again.done, len(workspace.records)) == (7, 7, 3) and again.seconds_left is None


def test_a_batch_that_was_taken_back_is_made_again(workspace, file, few_steps):
    looked = file(*ROWS[:4])
    edits.apply_many(workspace, looked, "rome", batch=2).result(TIMEOUT)
    workspace.remove(workspace.records[0].id)
    assert edits.file_progress(workspace, looked, "rome").done == 2
    edits.apply_many(workspace, looked, "rome", batch=2).result(TIMEOUT)
    assert [record.request.subject for record in workspace.records] == ["France", "Slovenia"]


def test_other_settings_or_another_method_are_not_the_same_edits(workspace, file, few_steps):
    looked = file(*ROWS[:2])
    edits.apply_many(workspace, looked, "rome").result(TIMEOUT)
    assert edits.file_progress(workspace, looked, "rome").done == 2
    assert edits.file_progress(workspace, looked, "rome", {"clamp": 3}).done == 0
    assert edits.file_progress(workspace, looked, "memit").done == 0


def test_a_mended_file_goes_on_where_it_was(workspace, file, few_steps):
    edits.apply_many(workspace, file(*ROWS[:3], "Peru,{} is in {},Asia,"), "rome").result(TIMEOUT)
    mended = file(*ROWS[1:3], "Peru,{} is in,Asia,", name="mended.csv")
    assert edits.file_progress(workspace, mended, "rome").done == 2
    done = edits.apply_many(workspace, mended, "rome").result(TIMEOUT)
    assert (done.resumed, done.done) == (2, 3) and 0 <= done.said <= 1
    assert workspace.records[-1].requests == (EditRequest("{} is in", "Peru", "Asia"),)


def test_a_batch_that_cannot_be_solved_names_its_rows_and_keeps_the_others(workspace, file, few_steps, monkeypatch):
    from editlab.methods.rome import edit

    real = edit.rank_one

    def degenerate(*args):
        if len(workspace.records) == 1:
            raise DegenerateKey("The update would break the model. Use other settings.")
        return real(*args)

    monkeypatch.setattr(edit, "rank_one", degenerate)
    with pytest.raises(DegenerateKey, match=r"The batch from line 4 to line 5 was not applied: .* 2 of 7 edits are applied"):
        edits.apply_many(workspace, file(*ROWS), "rome", batch=2).result(TIMEOUT)
    assert len(workspace.records) == 1 and workspace.editing is None and workspace.can_undo


def test_what_was_interrupted_is_said(lab, tiny_llama, facts, tmp_path):
    body = {
        "request": EditRequest("{} is in", "Peru", "Asia").as_dict(),
        "method": "rome",
        "session": "of a process that was killed",
        "source": {"file": "0" * 16, "name": "edits.csv", "rows": [101, 200]},
    }
    first = Lab(tiny_llama, facts, Passages((), ()), data=tmp_path)
    try:
        first.workspace("anna").chain.write(lambda state: ("started", body))
    finally:
        first.close()
    second = Lab(tiny_llama, facts, Passages((), ()), data=tmp_path)
    try:
        assert "edits.csv were interrupted at rows 101 to 200" in (second.workspace("anna").notice or "")
    finally:
        second.close()


def test_live_questions_are_answered_between_two_batches(lab, workspace, file, few_steps):
    job = edits.apply_many(workspace, file(*ROWS), "rome", batch=1)
    said = answers.live(lab.workspace("somebody else"), "Slovenia is").result(TIMEOUT)
    assert not job.done and said["base"]["top"]
    assert job.result(TIMEOUT).done == 7


def test_ledgers_from_before_batches_are_read(workspace, few_steps):
    record = edits.apply(workspace, EditRequest("{} is in", "Peru", "Asia")).result(TIMEOUT)
    body = workspace.chain.state.chain[0].as_json()
    old = Edit.read(json.loads(json.dumps({key: value for key, value in body.items() if key not in ("more", "source")})))
    assert old.requests == (record.request,) and old.source is None and old.name == "Peru → Asia"


def test_a_lab_that_opens_again_finds_the_batches(tiny_llama, facts, tmp_path, few_steps):
    path = tmp_path / "edits.csv"
    path.write_text("\n".join((HEADER, *ROWS)), encoding="utf-8")
    seen = []
    for _ in range(2):
        lab = Lab(tiny_llama, facts, Passages((), ()), data=Path(tmp_path / "data"))
        try:
            workspace, looked = lab.workspace("anna"), read_edit_file(tiny_llama, path)
            done = edits.apply_many(workspace, looked, "rome", batch=4).result(TIMEOUT)
            seen.append((done.resumed, done.said, [len(record.requests) for record in workspace.records], logits(workspace)))
        finally:
            lab.close()
    assert [resumed for resumed, *_ in seen] == [0, 7] and seen[0][1:3] == seen[1][1:3]
    assert torch.equal(seen[0][3], seen[1][3])
