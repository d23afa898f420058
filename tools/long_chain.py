"""Measure what a long chain of edits costs: python -m tools.long_chain DATA WORKSPACE [--events 1000]

Takes a shared workspace of many edits (`editlab bench chain --keep DATA`), copies its data folder, adds events until there
are so many, and times: opening the workspace from the disk, verifying the ledger, asking all edits again, a forward under
all edits against one under none, and opening the page in Chromium. Prints one JSON object.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from editlab.facts import FactBase
from editlab.lab import Lab
from editlab.lab.ledger import audit
from editlab.model import LanguageModel
from editlab.patches import BASE
from editlab.probes import passages
from editlab.settings import Settings
from tests.app_process import running
from tests.chromium import PATIENCE_SECONDS, chromium

ROUNDS = 15


def seconds_of(work: Callable[[], Any]) -> float:
    """Time one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def opened(model: LanguageModel, data: Path) -> Lab:
    """Open a data folder."""
    settings = Settings()
    facts, texts = FactBase.load(settings.presets / "facts"), passages(model, settings.presets / "texts")
    return Lab(model, facts, texts, data=data)


def grown(model: LanguageModel, data: Path, name: str, events: int) -> str:
    """Switch the last edit off and on until there are so many events; the workspace's id."""
    lab = opened(model, data)
    try:
        info = lab.directory.adopt(name)
        workspace = lab.workspace(info.id)
        if workspace.events()[-1].kind == "returned":  # as the benchmark leaves it
            workspace.undo()
        last = workspace.records[-1]
        while workspace.state.number < events or not workspace.records[-1].on:
            workspace.switch(last.id, not workspace.records[-1].on)
        return info.id
    finally:
        lab.close()


def measured(model: LanguageModel, data: Path, id: str) -> dict[str, Any]:
    """Time a workspace without its page."""
    lab = opened(model, data)
    try:
        first, again = seconds_of(lambda: lab.workspace(id)), seconds_of(lambda: lab.workspace(id))
        workspace = lab.workspace(id)
        verify = seconds_of(lambda: audit.verify(lab.ledger))
        lab.worker.submit(
            lambda progress, cancel: lab.monitor._held_to()
        ).result()  # what a model is held to is measured once
        check = lab.worker.submit(lambda progress, cancel: lab.monitor.check(workspace, progress, cancel))
        check_seconds = seconds_of(check.result)
        texts = [record.request.text for record in workspace.records[:8]]
        forwards: dict[str, list[float]] = {"none": [], "all": []}
        for _ in range(ROUNDS):
            for which, view in (("none", BASE), ("all", workspace.view)):
                forwards[which].append(seconds_of(lambda view=view: model.logits(texts, view)))
        return {
            "events": workspace.state.number,
            "edits_on": sum(record.on for record in workspace.records),
            "seconds_to_open_the_workspace": round(first, 3),
            "and_again": round(again, 4),
            "seconds_to_verify": round(verify, 3),
            "seconds_to_ask_all_again": round(check_seconds, 2),
            "forward_of_8_questions_against_none": round(
                statistics.median(a / b for a, b in zip(forwards["all"], forwards["none"], strict=True)), 3
            ),
        }
    finally:
        lab.close()


def seconds_of_the_page(folder: Path, id: str, edits: int) -> dict[str, float]:
    """Time the page from the address to the first answer, and to the list of all edits."""
    with running(folder, threads=None) as app, chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        began = time.perf_counter()
        page.goto(f"{app.address}/?workspace={id}")
        page.wait_for_selector("#answer-base .said")
        answered = time.perf_counter() - began
        page.wait_for_function(f"document.querySelectorAll('#edits [role=switch]').length >= {edits}")
        listed = time.perf_counter() - began
    return {"seconds_to_the_first_answer": round(answered, 2), "seconds_to_the_list_of_edits": round(listed, 2)}


def main() -> int:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("workspace")
    parser.add_argument("--events", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = LanguageModel.load("atlas")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        shutil.copytree(options.data, data)
        id = grown(model, data, options.workspace, options.events)
        found = measured(model, data, id)
        print(json.dumps(found | seconds_of_the_page(Path(folder), id, found["edits_on"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
