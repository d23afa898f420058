"""Let several clients use one EditLab, then each alone: python -m tools.clients [--clients 8] [--operations 300]

Every client has a workspace and does in a random order what people do: ask, edit, switch, take back, probe, and stop what
they began. Then each client's operations are done once more by one client alone in a fresh EditLab; every answer has to be
the same: likeliest token equal, probabilities within 1e-3. Prints one JSON object with the throughput of both and the times
by operation; status 1 where an answer differs.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from editlab.errors import Cancelled
from editlab.facts import EditRequest, FactBase
from editlab.lab import Lab, Workspace
from editlab.lab.asking import answers
from editlab.lab.workspaces import edits
from editlab.model import LanguageModel
from editlab.probes import passages
from editlab.settings import Settings

WORK = {"ask": 60, "look": 12, "edit": 6, "switch": 6, "undo": 4, "redo": 4, "probe": 3, "stop edit": 3, "stop ask": 2}
"""What people do, and how often in a hundred."""
PLACES = ("Slovenia", "Japan", "France", "Brazil", "Kenya", "Canada", "Norway", "Peru", "Egypt", "India")
CONTINENTS = ("Africa", "Asia", "Europe", "Oceania", "Antarctica")
TOLERANCE, TIMEOUT = 1e-3, 600.0


@dataclass(frozen=True)
class Step:
    """One operation as it is drawn: it is the same whenever it is done again. `after`: seconds until it is stopped."""

    what: str
    place: str
    object: str
    pick: float
    after: float


@dataclass
class Client:
    """One person: their operations, what each answered (None where it was stopped), and how long each took."""

    name: str
    steps: list[Step]
    answers: list[Any] = field(default_factory=list)
    kept: list[bool] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def steps(seed: str, count: int) -> list[Step]:
    """Draw the operations of one client."""
    rng = random.Random(seed)
    kinds = rng.choices(list(WORK), list(WORK.values()), k=count)
    return [Step(what, rng.choice(PLACES), rng.choice(CONTINENTS), rng.random(), rng.uniform(0, 0.3)) for what in kinds]


def run(lab: Lab, client: Client, kept: list[bool] | None = None) -> None:
    """Do all operations; `kept`: which of the stopped edits had ended before, in the run that this one repeats."""
    workspace = lab.workspace(lab.directory.current(client.name).id)
    for number, step in enumerate(client.steps):
        began = time.monotonic()
        answer, stays = do(workspace, step, None if kept is None else kept[number])
        client.seconds[step.what].append(time.monotonic() - began)
        client.answers.append(answer)
        client.kept.append(stays)


def do(workspace: Workspace, step: Step, kept: bool | None) -> tuple[Any, bool]:
    """One operation: what the model said, where it said anything; and whether an edit that was to be stopped stays."""
    request = EditRequest("{} belongs to the continent of", step.place, step.object)
    records = workspace.records
    if step.what == "ask":
        return answers.live(workspace, request.text).result(TIMEOUT), False
    if step.what == "look":
        return answers.look(workspace, request).result(TIMEOUT), False
    if step.what == "probe":
        frame = answers.ask(workspace, request, most=1, probes_alone=True).result(TIMEOUT).probes
        return [list(map(str, row)) for row in frame.filter(like=".answer").to_numpy().tolist()], False
    if step.what == "edit" or (step.what == "stop edit" and kept):
        return edits.apply(workspace, request).result(TIMEOUT) and None, True
    if step.what == "switch" and records:
        record = records[int(step.pick * len(records))]
        workspace.switch(record.id, not record.on)
    elif step.what == "undo" and workspace.can_undo:
        workspace.undo()
    elif step.what == "redo" and workspace.can_redo:
        workspace.redo()
    elif step.what in ("stop edit", "stop ask") and kept is None:
        job = edits.apply(workspace, request) if step.what == "stop edit" else answers.live(workspace, request.text)
        time.sleep(step.after)
        job.cancel()
        try:
            job.result(TIMEOUT)
            return None, step.what == "stop edit"
        except Cancelled:
            pass
    return None, False


def differs(one: Any, other: Any) -> str:
    """How two answers to the same operation differ; empty where they do not."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return "" if one == other else f"{one} and {other}"
    if list(one) != list(other):
        return f"views {list(one)} and {list(other)}"
    for view, said in one.items():
        for (first, p), (second, q) in zip(said["top"], other[view]["top"], strict=True):
            if abs(p - q) > TOLERANCE:
                return f"{view}: {first} {p:.5f} and {second} {q:.5f}"
        if said["top"][0][0] != other[view]["top"][0][0] and said["top"][0][1] - said["top"][1][1] > TOLERANCE:
            return f"{view}: {said['top'][0]} and {other[view]['top'][0]}"
    return ""


def main() -> int:
    """Run the clients together and alone, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--operations", type=int, default=300)
    parser.add_argument("--model", default="atlas")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings(model=options.model)
    model, facts = LanguageModel.load(options.model), FactBase.load(settings.presets / "facts")
    texts = passages(model, settings.presets / "texts")

    def opened(folder: str) -> Lab:
        return Lab(model, facts, texts, data=Path(folder))

    drawn = {f"client {n}": steps(f"{options.seed}/{n}", options.operations) for n in range(options.clients)}
    together = [Client(name, own) for name, own in drawn.items()]
    with tempfile.TemporaryDirectory() as folder:
        lab = opened(folder)
        began = time.monotonic()
        with ThreadPoolExecutor(len(together)) as threads:
            list(threads.map(lambda client: run(lab, client), together))
        seconds_together = time.monotonic() - began
        lab.close()
    faults, seconds_alone = [], 0.0
    for client in together:
        with tempfile.TemporaryDirectory() as folder:
            lab, alone = opened(folder), Client(client.name, client.steps)
            began = time.monotonic()
            run(lab, alone, client.kept)
            seconds_alone += time.monotonic() - began
            lab.close()
        for number, (one, other) in enumerate(zip(client.answers, alone.answers, strict=True)):
            if told := differs(one, other):
                faults.append(f"{client.name}, operation {number}, {client.steps[number].what}: {told}")
    done = options.clients * options.operations
    found = {
        "clients": options.clients,
        "operations": done,
        "answers_compared": sum(answer is not None for client in together for answer in client.answers),
        "seconds_together": round(seconds_together, 1),
        "seconds_one_after_the_other": round(seconds_alone, 1),
        "throughput_against_one_client": round(seconds_alone / seconds_together, 2),
        "p50_p95_seconds": {what: quantiles(together, what) for what in WORK},
        "faults": faults,
    }
    print(json.dumps(found))
    return 1 if faults else 0


def quantiles(clients: list[Client], what: str) -> list[float]:
    """Return p50 and p95 of the seconds that an operation took."""
    seconds = sorted(second for client in clients for second in client.seconds[what])
    return [round(seconds[min(len(seconds) - 1, int(share * len(seconds)))], 3) for share in (0.5, 0.95)] if seconds else []


if __name__ == "__main__":
    sys.exit(main())
