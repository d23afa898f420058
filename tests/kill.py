"""Kills EditLab with SIGKILL in the middle of edits and looks at what is left: python -m tests.kill [KILLS] [--seed S]

A child makes edit after edit in one workspace and tells what it has done; it is killed at a random moment. Then the ledger
has to verify, every edit that was told has to be there and answer bit for bit as before, of an unfinished one nothing, and
the workspace has to say that it was interrupted. Prints one JSON object; status 1 where anything of that did not hold.
"""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from editlab.facts import EditRequest, FactBase
from editlab.lab import Lab, Workspace, archive
from editlab.lab.history import fold
from editlab.lab.ledger import Key
from editlab.model import LanguageModel
from editlab.probes import Passages
from tests.tiny_models import tiny_model

PROCESSES = multiprocessing.get_context("fork")
"""A forked child has the model already; with one thread, PyTorch survives that."""
PLACES = ("Slovenia", "Japan", "France", "Brazil", "Kenya", "Canada", "Norway", "Peru")
TIMEOUT = 120.0


def request(number: int) -> EditRequest:
    return EditRequest("{} belongs to the continent of", PLACES[number % len(PLACES)], PLACES[(number + 3) % len(PLACES)])


def open_lab(model: LanguageModel, data: Path) -> Lab:
    return Lab(model, FactBase((), {}, {}), Passages((), ()), data=data)


def answer(workspace: Workspace) -> list[float]:
    model = workspace._lab.model
    return model.logits([request(0).text], workspace.view)[0].tolist()


def edit_for_ever(model: LanguageModel, data: Path, name: str, told: Connection) -> None:
    """The child: edit after edit; each is told once it is kept."""
    workspace = open_lab(model, data).workspace(name)
    told.send("ready")
    for number in range(10**6):
        record = workspace.apply(request(number), config={"steps": 8}).result(TIMEOUT)
        told.send((record.id, answer(workspace)))


def seconds_of_an_edit(model: LanguageModel) -> float:
    """How long one takes, so that the moments lie within it."""
    with tempfile.TemporaryDirectory() as folder:
        lab = open_lab(model, Path(folder))
        try:
            lab.workspace("first").apply(request(0), config={"steps": 8}).result(TIMEOUT)
            began = time.perf_counter()
            lab.workspace("first").apply(request(1), config={"steps": 8}).result(TIMEOUT)
            return time.perf_counter() - began
        finally:
            lab.close()


def killed(model: LanguageModel, data: Path, name: str, after: float) -> list[tuple[str, list[float]]]:
    """Start a child, kill it so many seconds after it is ready, and return what it had told."""
    here, there = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=edit_for_ever, args=(model, data, name, there))
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


def look_at(model: LanguageModel, data: Path, name: str, said: list[tuple[str, list[float]]]) -> tuple[str, list[str]]:
    """How the edit that was killed ended, and everything that is not as it should be."""
    faults = []
    lab = open_lab(model, data)
    try:
        before = fold(event for event, _ in lab.ledger.read(Key(model.fingerprint, name)))
        workspace = lab.workspace(name)
        kept, told = [record.id for record in workspace.records], [id for id, _ in said]
        if kept[: len(told)] != told or len(kept) > len(told) + 1:
            faults.append(f"{name}: told {told}, kept {kept}")
        if len(kept) == len(told) and said and answer(workspace) != said[-1][1]:
            faults.append(f"{name}: answers otherwise than before")
        notice = workspace.notice
        if (before.started is not None) != (notice is not None):
            faults.append(f"{name}: says {notice!r}, with {before.started} begun")
        report = archive.verify(lab.ledger)
        faults += report.faults
        workspace.apply(request(5), config={"steps": 1}).result(TIMEOUT)  # and work goes on
    finally:
        lab.close()
    return "interrupted" if notice else "kept" if len(kept) > len(told) else "between edits", faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng, model = random.Random(options.seed), tiny_model("llama")
    length = seconds_of_an_edit(model)
    ends: dict[str, int] = {}
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        for number in range(options.kills):
            said = killed(model, data, f"visitor {number}", rng.uniform(0, 3 * length))
            end, found = look_at(model, data, f"visitor {number}", said)
            ends[end] = ends.get(end, 0) + 1
            faults += found
    print(json.dumps({"kills": options.kills, "seconds_of_an_edit": round(length, 3), "ended": ends, "faults": faults}))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
