"""Compare with EasyEdit in one process: `python -m tools.beside_easyedit edits CHECKOUT MODEL --rows FILE`.

CHECKOUT is a folder with github.com/zjunlp/EasyEdit, whose ROME and evaluation are run as `tools.easyedit` says. `edits`:
facts that the model knows are edited by both in turn. `batteries`: what is asked around an edit is asked by EasyEdit's
evaluation, by a forward for each prompt, object and view, and by `probes.ask`. A row a fact is added to FILE; `table` prints
what FILE holds as Markdown: every ratio is taken fact by fact, with 95 % intervals over the facts.
"""

import argparse
import json
import math
import statistics as middle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from editlab import EditRequest, methods, probes
from editlab.bench import plain
from editlab.bench.bootstrap import rate_interval
from editlab.facts import FactBase
from editlab.model import LanguageModel
from editlab.model.beginnings import read_ahead
from editlab.patches import BASE, LowRank
from editlab.probes import Ground, Probe
from editlab.probes.verdict import KEPT
from editlab.settings import Settings
from tools.easyedit import EasyEdit, Rome
from tools.starts import COLUMNS, known, measured, rate

NEVER = 1e9
EASY, SAME, PRESET = "EasyEdit", "ours, its steps and contexts", "ours, preset"
EVALUATED = "EasyEdit's evaluation: hits"
ONE = "a forward for each prompt and view: p of one object"
EACH = "a forward for each prompt, object and view: p"
WRITTEN = "`generate` for each prompt and view: answers"
PLAIN = (EVALUATED, ONE)
OURS = {
    "ours: p and hits": (EACH,),
    "ours: p and hits, passages read ahead": (EACH,),
    "ours: p, hits and answers": (EACH, WRITTEN),
    "ours: p, hits and answers, passages read ahead": (EACH, WRITTEN),
}
"""Our ways to ask a battery, and the plain ways that together say the same."""


Row = dict[str, Any]


def timed(work: Callable[[], Any]) -> tuple[Any, Row]:
    """Return what a work makes, and its seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    made = work()
    return made, {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}


def main() -> None:
    """Edit or ask side by side and keep the rows, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("edits", "batteries", "table"))
    parser.add_argument("checkout", type=Path)
    parser.add_argument("model", help="a folder with a Llama in safetensors")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--facts", type=int, default=24)
    parser.add_argument("--part", default="1/1", help="every so-manyth fact, as 1/2, for processes side by side")
    parser.add_argument(
        "--same", type=int, default=4, help="facts that ours edits with EasyEdit's steps and contexts as well"
    )
    parser.add_argument("--set", action="append", default=[], help="other settings of our ROME, as contexts=3,steps=10")
    given = parser.parse_args()
    if given.what == "table":
        rows = [json.loads(line) for line in given.rows.read_text(encoding="utf-8").splitlines()]
        for kind, print_of in (("edits", _edit_tables), ("batteries", _battery_table)):
            if own := [row[kind] for row in rows if kind in row]:
                print_of(own)
        return
    presets = Settings().presets
    model, facts = LanguageModel.load(given.model, dtype="float32"), FactBase.load(presets / "facts")
    (layer,) = methods.config_for("rome", model).layers
    editor = Rome(EasyEdit(given.checkout, model, given.model), layer)
    halves = [known(model, facts, first, given.facts // 2) for first in (True, False)]
    part, parts = map(int, given.part.split("/"))
    requests = [request for pair in zip(*halves, strict=True) for request in pair][part - 1 :: parts]
    made = (
        _edits(model, editor, facts, requests, given.set, given.same)
        if given.what == "edits"
        else _batteries(editor, Ground(model, facts, probes.passages(model, presets / "texts")), requests)
    )
    for row in made:
        with given.rows.open("a", encoding="utf-8") as file:
            file.write(json.dumps({given.what: row}) + "\n")


def _edits(
    model: LanguageModel,
    editor: Rome,
    facts: FactBase,
    requests: Sequence[EditRequest],
    changes: Sequence[str],
    same: int,
) -> Iterator[dict[str, Row]]:
    """Yield what the edits of each fact take and reach: seconds, hits, and how far the update is from EasyEdit's."""
    texts = editor.contexts
    alike = replace(model, memo=model.memo | {"contexts 5 10 0": texts[:10], "contexts 10 10 0": texts[10:]})
    as_there = methods.config_for("rome", model, keys="original", contexts=20, steps=25, plain_below=NEVER)
    settings: dict[str, dict[str, Any]] = {PRESET: {}} | {
        f"ours, {pairs}": {name: _number(value) for name, value in (pair.split("=") for pair in pairs.split(","))}
        for pairs in changes
    }
    ours = {SAME: (alike, as_there)}
    ours |= {name: (model, methods.config_for("rome", model, **own)) for name, own in settings.items()}

    def edit(request: EditRequest, name: str) -> LowRank:
        if name == EASY:
            (update,) = editor.edit([request])
            return update
        (update,) = methods.get("rome").edit(ours[name][0], [request], BASE, ours[name][1]).patches
        return update

    for name in (EASY, *ours):  # to warm up; the model writes its contexts once
        edit(requests[0], name)
    for number, request in enumerate(requests):
        found: dict[str, Row] = {}
        theirs = None
        for name in (EASY, *ours):
            if name != SAME or number < same:
                update, found[name] = timed(lambda name=name, request=request: edit(request, name))
                theirs = theirs or update
                hits = measured(model, facts, [request], SimpleNamespace(solves=[(update,)]))
                found[name] |= {"apart": _apart(update, theirs)} | {column: own[0] for column, own in hits.items()}
        yield found


def _batteries(editor: Rome, ground: Ground, requests: Sequence[EditRequest]) -> Iterator[dict[str, Row]]:
    """Yield what the battery of each edit takes, and how far the answers are apart."""
    for request in requests:
        battery = [probe for probe in ground.battery(ground.case(request)) if probe.expected is not None]
        (update,) = methods.get("rome").edit(ground.model, [request]).patches
        made, row = dict[str, Any](), dict[str, Row]()
        for name, (before, work) in _ways(editor, ground, request, battery, update).items():
            before()
            made[name], row[name] = timed(work)
        yield row | {"unlike": _unlike(editor.easy, request, battery, made)}


def _edit_tables(rows: Sequence[dict[str, Row]]) -> None:
    """Print what the edits took and reached, and how that differs from EasyEdit's."""
    names = list(max(rows, key=len))
    print(f"| edit | facts | seconds | of the processor | EasyEdit's / this | {' | '.join(COLUMNS)} | update |")
    print("|---" * (6 + len(COLUMNS)) + "|")
    for name in names:
        own = [row for row in rows if name in row]
        hits = [rate([row[name][column] for row in own]) for column in COLUMNS]
        cells = [str(len(own)), *seconds(own, name), gains(own, (EASY,), name), *hits]
        print(f"| {name} | {' | '.join(cells)} | {middle.median(row[name]['apart'] for row in own):.0e} |")
    print(f"\n| minus EasyEdit's | {' | '.join(COLUMNS)} |\n|---{'|---' * len(COLUMNS)}|")
    for name in names[1:]:
        own = [row for row in rows if name in row]
        cells = [_difference([row[name][c] for row in own], [row[EASY][c] for row in own]) for c in COLUMNS]
        print(f"| {name} | {' | '.join(cells)} |")


def _battery_table(rows: Sequence[dict[str, Row]]) -> None:
    """Print what the batteries took, and how far the answers were apart."""
    unlike = [row["unlike"] for row in rows]
    total = {name: sum(one[name] for one in unlike) for name in ("prompts", "hits", "answers")}
    print(f"\n{len(rows)} batteries, {total['prompts']} prompts x 2 views; largest difference of p", end=" ")
    print(f"{max(one['p'] for one in unlike):.1e}; hits unlike EasyEdit's: {total['hits']}", end="; ")
    print(f"answers unlike `generate`: {total['answers']}\n")
    print(f"| battery | seconds | of the processor | {' | '.join(f'{name} / this' for name in (*PLAIN, 'all it says'))} |")
    print("|---" * (4 + len(PLAIN)) + "|")
    for name in (EVALUATED, ONE, EACH, WRITTEN, *OURS):
        others = [*((plainly,) for plainly in PLAIN), OURS[name]] if name in OURS else []
        cells = [*seconds(rows, name), *(gains(rows, these, name) for these in others)]
        print(f"| {name} | {' | '.join(cells)} |")


def _ways(
    editor: Rome, ground: Ground, request: EditRequest, battery: Sequence[Probe], update: LowRank
) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Return the ways in which a battery is asked, each with what is done before, which is not timed."""
    easy, model, texts = editor.easy, ground.model, [probe.text for probe in battery]
    views = {"base": BASE, "edited": BASE.with_patches((update,))}
    record = _record(request, battery)

    def both(ask: Callable[[], Any]) -> list[Any]:
        found = [ask()]
        with easy.updated([update]):
            return [*found, ask()]

    def scores(objects: Callable[[Probe], Sequence[str]]) -> dict[tuple[str, str, str], float]:
        asked = [(probe.text, target, view) for probe in battery for target in objects(probe) for view in views]
        columns = [list(column) for column in zip(*asked, strict=True)]
        return dict(zip(asked, plain.scores(model, *columns[:2], [views[name] for name in columns[2]]), strict=True))

    def read_passages() -> None:
        model.forget()
        for text in (*ground.passages.inside, *ground.passages.outside):
            if any(own.startswith(text) for own in texts):
                read_ahead(model, text, update.layer)

    def ask(answers: bool) -> Any:
        return probes.ask(model, request, battery, views, answers=answers)

    return {
        EVALUATED: (model.forget, lambda: both(lambda: easy.evaluate(editor.given, record))),
        ONE: (model.forget, lambda: scores(lambda probe: (probe.expected,))),
        EACH: (model.forget, lambda: scores(lambda probe: _objects(request, probe))),
        WRITTEN: (model.forget, lambda: both(lambda: easy.answers(texts))),
        "ours: p and hits": (model.forget, lambda: ask(False)),
        "ours: p and hits, passages read ahead": (read_passages, lambda: ask(False)),
        "ours: p, hits and answers": (model.forget, lambda: ask(True)),
        "ours: p, hits and answers, passages read ahead": (read_passages, lambda: ask(True)),
    }


def _unlike(easy: EasyEdit, request: EditRequest, battery: Sequence[Probe], made: Mapping[str, Any]) -> Row:
    """Return how far answers are apart: the largest difference of p, and how many hits and texts are others."""
    found: Row = {"prompts": len(battery), "p": 0.0, "hits": 0, "answers": 0}
    for number, probe in enumerate(battery):
        for place, view in enumerate(("base", "edited")):
            for name in OURS:
                row = made[name].iloc[number]
                for key, target in (("p_new", request.target_new), ("p_true", request.target_true)):
                    apart = abs(row[f"{view}.{key}"] - math.exp(made[EACH][probe.text, target, view]))
                    found["p"] = max(found["p"], float(apart))
            found["hits"] += int(bool(row[f"{view}.hit"]) != _hit(easy, made[EVALUATED][place], battery, number))
            found["answers"] += int(not made[WRITTEN][place][number].strip().startswith(row[f"{view}.answer"]))
    return found


def _record(request: EditRequest, battery: Sequence[Probe]) -> dict[str, Any]:
    """Return a battery as a record of EasyEdit: what should be said is portability, what should stay is locality."""
    record: dict[str, Any] = {"prompt": request.text, "target_new": request.target_new, "ground_truth": request.target_true}
    for probe in battery:
        if probe.kind != "success":
            part = record.setdefault("locality" if probe.kind in KEPT else "portability", {})
            own = part.setdefault(probe.kind, {"prompt": [], "ground_truth": []})
            own["prompt"].append(probe.text)
            own["ground_truth"].append(probe.expected)
    return record


def _objects(request: EditRequest, probe: Probe) -> list[str]:
    """Return the objects whose p `probes.ask` says at a probe, each once."""
    objects = (probe.expected, request.target_new, request.target_true, probe.before)
    return [target for target in dict.fromkeys(objects) if target is not None]


def _hit(easy: EasyEdit, said: Mapping[str, Any], battery: Sequence[Probe], number: int) -> bool:
    """Return whether EasyEdit's evaluation has the expected object of a probe as the arg max."""
    probe = battery[number]
    place = sum(other.kind == probe.kind for other in battery[:number])
    if probe.kind == "success":
        return said["rewrite_acc"][place] == 1
    if probe.kind in KEPT:
        return said["locality"][f"{probe.kind}_output"][place] == easy.raw.encode(
            f" {probe.expected}", add_special_tokens=False
        )
    return said["portability"][f"{probe.kind}_acc"][place] == 1


def _apart(update: LowRank, reference: LowRank) -> float:
    """Return |update - reference| / |reference|."""
    return float((update.B @ update.A - reference.B @ reference.A).norm() / (reference.B @ reference.A).norm())


def seconds(rows: Sequence[dict[str, Row]], name: str) -> list[str]:
    """Return the median over facts of a way's seconds, by clock and by processor."""
    return [f"{middle.median(row[name][kind] for row in rows):.2f}" for kind in ("wall", "processor")]


def gains(rows: Sequence[dict[str, Row]], others: Sequence[str], name: str) -> str:
    """Return the median over facts of how many times quicker one way is than others together, by clock and by processor."""
    cells = []
    for kind in ("wall", "processor"):
        gains = np.array([sum(row[other][kind] for other in others) / row[name][kind] for row in rows])
        drawn = np.median(gains[np.random.default_rng(0).integers(len(gains), size=(2000, len(gains)))], axis=1)
        low, high = np.quantile(drawn, (0.025, 0.975))
        cells.append(f"{np.median(gains):.1f} ({low:.1f}-{high:.1f})")
    return "; ".join(cells)


def _difference(hits: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> str:
    """Return how far two rates over the same prompts are apart, with its interval over the facts."""
    sums, counts = [sum(a) - sum(b) for a, b in zip(hits, others, strict=True)], [len(own) for own in hits]
    low, high = rate_interval(sums, counts, 0)
    return f"{sum(sums) / sum(counts):+.2f} ({low:+.2f} to {high:+.2f})"


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


if __name__ == "__main__":
    main()
