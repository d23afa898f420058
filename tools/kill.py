"""Kills EditLab with SIGKILL in the middle of work and looks at what is left: python -m tools.kill [KILLS] [--seed S]

A child works in one workspace, edits, batches of a file, exports and check-ups in a random order, and tells what it has
done; it is killed at a random moment. Then the ledger has to verify; every edit that was told has to be there and answer bit
for bit as before, of an unfinished one nothing, and the workspace has to say that it was interrupted; every job has to be
done or marked as interrupted, and every export to be there whole or not at all. Prints one JSON object; status 1 where
anything of that did not hold.
"""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from editlab.facts import EditRequest, FactBase
from editlab.lab import Lab, Workspace
from editlab.lab.ledger import audit
from editlab.lab.ledger.events import fold
from editlab.lab.ledger.ledger import Key
from editlab.lab.workspaces import edits
from editlab.lab.workspaces.edit_files import EditFile
from editlab.lab.workspaces.exports import export
from editlab.model import LanguageModel
from editlab.probes import Passages
from tests.tiny_models import tiny_model

PROCESSES = multiprocessing.get_context("fork")
"""A forked child has the model already; with one thread, PyTorch survives that."""
PLACES = ("Slovenia", "Japan", "France", "Brazil", "Kenya", "Canada", "Norway", "Peru")
WORK = ("edit", "edit", "edits", "export", "checkup")
PROSE = ("The road went down to the river, and beyond it the hills were grey with rain that had fallen since the morning.",)
TIMEOUT = 120.0


def request(number: int) -> EditRequest:
    """Return the edit of a number."""
    return EditRequest("{} belongs to the continent of", PLACES[number % len(PLACES)], PLACES[(number + 3) % len(PLACES)])


def open_lab(model: LanguageModel, data: Path) -> Lab:
    """Open a data folder without facts."""
    return Lab(model, FactBase((), {}, {}), Passages(PROSE, PROSE), data=data)


def answer(workspace: Workspace) -> list[float]:
    """Return the logits after one question under the workspace's view."""
    model = workspace.context.model
    return model.logits([request(0).text], workspace.view)[0].tolist()


def do(lab: Lab, workspace: Workspace, what: str, number: int, exports: Path) -> None:
    """One piece of work, to its end."""
    if what == "edit" or not workspace.records:
        edits.apply(workspace, request(number), config={"steps": 8}).result(TIMEOUT)
    elif what == "edits":
        file = EditFile.of([request(number), request(number + 1)], f"file {number}")
        edits.apply_many(workspace, file, "rome", {"steps": 8}, batch=1).result(TIMEOUT)
    elif what == "export":
        work = lambda progress, cancel: export(workspace, "peft", exports / str(number), progress, cancel)  # noqa: E731
        workspace.submit(work, "export", title="peft").result(TIMEOUT)
    else:
        lab.monitor.submit(workspace).result(TIMEOUT)


def work_for_ever(model: LanguageModel, data: Path, name: str, seed: int, told: Connection) -> None:
    """The child: one piece of work after the other; each is told once it is done."""
    lab, rng = open_lab(model, data), random.Random(seed)
    workspace = lab.workspace(lab.directory.current(name).id)
    told.send("ready")
    for number in range(10**6):
        what = rng.choice(WORK)
        told.send(("begins", what))
        do(lab, workspace, what, number, data / "exports" / name)
        told.send(("done", [record.id for record in workspace.records], answer(workspace)))


def seconds_of_work(model: LanguageModel) -> float:
    """How long an edit takes, so that the moments lie within one."""
    with tempfile.TemporaryDirectory() as folder:
        lab = open_lab(model, Path(folder))
        try:
            edits.apply(lab.workspace("first"), request(0), config={"steps": 8}).result(TIMEOUT)
            began = time.perf_counter()
            edits.apply(lab.workspace("first"), request(1), config={"steps": 8}).result(TIMEOUT)
            return time.perf_counter() - began
        finally:
            lab.close()


def killed(model: LanguageModel, data: Path, name: str, seed: int, after: float) -> list[Any]:
    """Start a child, kill it so many seconds after it is ready, and return what it had told."""
    here, there = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=work_for_ever, args=(model, data, name, seed, there))
    child.start()
    there.close()
    assert here.recv() == "ready"
    time.sleep(after)
    child.kill()
    child.join()
    said = []
    try:
        while True:
            said.append(here.recv())
    except (EOFError, OSError):
        here.close()
        child.close()
        return said


def look_at(model: LanguageModel, data: Path, name: str, said: list[Any]) -> tuple[str, list[str]]:
    """In what the process was killed and how that ended; and everything that is not as it should be."""
    faults = []
    done = [item for item in said if item[0] == "done"]
    doing = said[-1][1] if said and said[-1][0] == "begins" else "nothing"
    told = done[-1][1] if done else []
    lab = open_lab(model, data)
    try:
        info = lab.directory.current(name)
        before = fold(event for event, _ in lab.ledger.read(Key(model.fingerprint, info.id)))
        workspace = lab.workspace(info.id)
        kept = [record.id for record in workspace.records]
        if kept[: len(told)] != told or len(kept) > len(told) + 2:
            faults.append(f"{name}: told {told}, kept {kept}")
        if kept == told and done and answer(workspace) != done[-1][2]:
            faults.append(f"{name}: answers otherwise than before")
        notice = workspace.notice
        if (before.started is not None) != (notice is not None):
            faults.append(f"{name}: says {notice!r}, with {before.started} begun")
        rows = lab.jobs.rows(name, most=1000)
        faults += [f"{name}: {row.kind} is {row.state}" for row in rows if row.state not in ("done", "interrupted")]
        faults += whole(data / "exports" / name)
        faults += audit.verify(lab.ledger).faults
        edits.apply(workspace, request(5), config={"steps": 1}).result(TIMEOUT)  # and work goes on
    finally:
        lab.close()
    interrupted = notice is not None or any(row.state == "interrupted" for row in rows)
    return f"{doing}: {'interrupted' if interrupted else 'kept' if kept != told else 'between steps'}", faults


def whole(exports: Path) -> list[str]:
    """What is wrong with the exports of a folder: each that has its name has to be complete."""
    faults = []
    for folder in exports.glob("[0-9]*"):
        try:
            load_file(folder / "adapter_model.safetensors")
            json.loads((folder / "adapter_config.json").read_text())
        except Exception as error:
            faults.append(f"{folder}: {error}")
    return faults


def main() -> int:
    """Kill as often as asked, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng, model = random.Random(options.seed), tiny_model("llama")
    length = seconds_of_work(model)
    ends: Counter[str] = Counter()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        for number in range(options.kills):
            name, seed = f"visitor {number}", rng.randrange(2**32)
            said = killed(model, data, name, seed, rng.uniform(0, 8 * length))
            end, found = look_at(model, data, name, said)
            ends[end] += 1
            faults += found
    ended = dict(sorted(ends.items()))
    print(json.dumps({"kills": options.kills, "seconds_of_an_edit": round(length, 3), "ended": ended, "faults": faults}))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
