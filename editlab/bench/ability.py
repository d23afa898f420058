"""What a model can do apart from its edits, before and after: EditLab's own tasks, lm-evaluation-harness's, loss on prose.

EditLab's own tasks (`probes/ability.py`) and the loss need nothing else; any other task is asked through the harness.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import stdev
from typing import TYPE_CHECKING, Any

import numpy as np

from editlab.bench.bootstrap import mean_difference, mean_rate
from editlab.errors import BadRequest
from editlab.facts.script import WORD_JOINER
from editlab.insight.prose import halved, losses
from editlab.model.completion import Prompt, complete, together, tokens_of
from editlab.patches import View
from editlab.probes import ability
from editlab.work import Progress, no_progress, part_of

if TYPE_CHECKING:
    from editlab.model import LanguageModel

TASKS = Path(__file__).with_name("tasks")
OURS = tuple(ability.TASKS)
LOSS = "prose"
"""The task of which loss is the metric."""
BATCH = 64
"""Requests that are scored at a time."""
TOKENS = 256
"""Tokens of a generated answer, where a task does not say how many."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A metric of a task under one view: the sum over documents of `hits` divided by that of `items`; each 1, it is a mean.

    Without them, where the harness gives none or no mean, it has `value` alone, and no interval.
    """

    task: str
    metric: str
    value: float
    n: int | None
    stderr: float | None = None
    hits: tuple[float, ...] = ()
    items: tuple[float, ...] = ()

    @classmethod
    def of(cls, task: str, metric: str, hits: Sequence[float], items: Sequence[float] = ()) -> Measured:
        """Return the metric of a task's documents. Without `items` each counts once, and the mean has a standard error."""
        stderr = None if items or len(hits) < 2 else stdev(hits) / math.sqrt(len(hits))
        items = tuple(items) or (1.0,) * len(hits)
        value = math.fsum(hits) / math.fsum(items)
        return cls(task, metric, value, len(hits), stderr, tuple(map(float, hits)), tuple(map(float, items)))


def rows(view: str, found: Sequence[Measured], base: Sequence[Measured] | None, seed: int = 0) -> list[dict[str, Any]]:
    """Return a row a metric: its value with a 95 % interval, and its change from the base model with one, or None.

    Both by bootstrap over documents; for the change, the same documents are drawn of both views. A value that is not finite,
    as a destroyed model's loss, has no interval.
    """
    before = {(own.task, own.metric): own for own in base or ()}
    made = []
    for own in found:
        row: dict[str, Any] = {"view": view, "task": own.task, "metric": own.metric, "value": own.value}
        row |= {"stderr": own.stderr, "n": own.n, "ci": None, "change": None, "change_ci": None}
        other = before.get((own.task, own.metric))
        drawn = bool(own.hits) and math.isfinite(own.value)
        if drawn:
            row["ci"] = list(mean_rate(*_arrays(own), seed)[1])
        if drawn and other is not None and math.isfinite(other.value) and len(other.hits) == len(own.hits):
            row["change"], interval = mean_difference(_arrays(own), _arrays(other), seed)
            row["change_ci"] = list(interval)
        made.append(row)
    return made


def _arrays(own: Measured) -> tuple[np.ndarray, np.ndarray]:
    return np.array([own.hits]), np.array([own.items])


def measure(
    model: LanguageModel,
    view: View,
    tasks: Sequence[str] = OURS,
    limit: int | None = None,
    subjects: Sequence[str] = (),
    prose: Sequence[str] = (),
    progress: Progress = no_progress,
) -> list[Measured]:
    """Return what a view can do: each metric of each task, and its loss on passages of `prose`, where there are any.

    `limit`: only the first documents of each. Our questions that name one of the `subjects` are left out: what an edit is
    about may change. Raises `BadRequest` for a task of the harness where that is not installed, or has no such task at hand.
    """
    check(tasks)
    found: list[Measured] = []
    for number, name in enumerate(tasks):
        part = part_of(progress, number / len(tasks), (number + 1) / len(tasks))
        found += _ours(model, view, name, limit, subjects, part) if name in OURS else _theirs(model, view, name, limit, part)
    if prose:
        progress(1.0, f"loss on {len(prose[:limit])} passages")
        nats, tokens = zip(*losses(model, [halved(text) for text in prose[:limit]], view), strict=True)
        found.append(Measured.of(LOSS, "loss", nats, tokens))
    return found


def check(tasks: Sequence[str]) -> None:
    """Raise `BadRequest` for tasks of the harness where that is not installed."""
    theirs = [name for name in tasks if name not in OURS]
    if theirs and find_spec("lm_eval") is None:
        raise BadRequest(
            f"The task {theirs[0]!r} needs lm-evaluation-harness. Install it in EditLab's folder: "
            f".venv/bin/pip install -e '.[eval]'. Without it there are {' and '.join(OURS)}."
        )


def _ours(
    model: LanguageModel, view: View, task: str, limit: int | None, subjects: Sequence[str], progress: Progress
) -> list[Measured]:
    choices = ability.without(ability.TASKS[task](), subjects)[:limit]
    picked = []
    for start in range(0, len(choices), ability.AT_ONCE):
        progress(start / len(choices), f"{task}: {start:,} of {len(choices):,} questions")
        picked += ability.pick(model, choices[start : start + ability.AT_ONCE], view)
    rights = [choice.right for choice in choices]
    metrics = {"acc": [own.likeliest for own in picked], "acc_norm": [own.per_letter for own in picked]}
    return [
        Measured.of(task, name, [float(own == right) for own, right in zip(chosen, rights, strict=True)])
        for name, chosen in metrics.items()
    ]


def _theirs(model: LanguageModel, view: View, task: str, limit: int | None, progress: Progress) -> list[Measured]:
    """Return the metrics of one of the harness's tasks."""
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Asked(LM):
        """The view as the harness asks it."""

        def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            return list(log_likelihoods(model, view, [request.args for request in requests], progress))

        def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
            return list(rolling(model, view, [request.args[0] for request in requests]))

        def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
            return list(written(model, view, [request.args for request in requests]))

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    manager = TaskManager(include_path=str(TASKS))
    if task not in manager.all_tasks:
        raise BadRequest(f"The harness has no task {task!r}. EditLab's own are {' and '.join(OURS)}.")
    try:
        found = simple_evaluate(Asked(), tasks=[task], task_manager=manager, limit=limit, bootstrap_iters=100)
    except (OSError, ConnectionError) as error:
        raise BadRequest(
            f"The data of {task} is not on this computer, and EditLab fetches none: {error}. Download it with "
            "the datasets library first, or choose another task."
        ) from error
    return list(of_harness(found))


def of_harness(found: dict[str, Any]) -> Iterator[Measured]:
    """Yield the metrics of the harness's results; with the documents' own values where the metric is their mean."""
    for task, scores in found["results"].items():
        samples = found.get("samples", {}).get(task, [])
        count = found.get("n-samples", {}).get(task, {}).get("effective")
        for name, value in scores.items():
            metric, _, way = name.partition(",")
            if not way or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            own = [one.get(metric) for one in samples if one.get("filter", way) == way]
            plain = len(own) == count and all(isinstance(each, int | float) for each in own)
            if own and plain and math.isclose(math.fsum(own) / len(own), value, rel_tol=1e-6, abs_tol=1e-9):
                yield Measured.of(task, metric, own)
            else:
                error = scores.get(f"{metric}_stderr,{way}")
                yield Measured(task, metric, float(value), count, error if isinstance(error, float) else None)


def log_likelihoods(
    model: LanguageModel, view: View, pairs: Sequence[tuple[str, str]], progress: Progress = no_progress
) -> Iterator[tuple[float, bool]]:
    """Yield how likely each continuation is after its text, and whether it is what the model would say.

    A continuation brings its own white space. What begins a document stands before an empty text.
    """
    for start in range(0, len(pairs), BATCH):
        progress(start / len(pairs), f"{start:,} of {len(pairs):,} continuations scored")
        part = pairs[start : start + BATCH]
        plain = [(text, rest) for text, rest in part if _is_plain(text, rest)]
        targets = [rest if rest.startswith(" ") else WORD_JOINER + rest for _, rest in plain]
        scored = iter(model.score([text for text, _ in plain], targets, view))
        for text, rest in part:
            if _is_plain(text, rest):
                one = next(scored)
                yield one.log_p, one.hit
            else:
                yield _behind(model, view, text, rest)


def rolling(model: LanguageModel, view: View, texts: Sequence[str]) -> Iterator[float]:
    """Yield the log-probability of each text."""
    for text in texts:
        yield _behind(model, view, "", text)[0]


def written(model: LanguageModel, view: View, asked: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """Yield what the view writes behind each text, until one of its ends. Raises `TooLong` beyond the context."""
    prompts = [_prompt(text, given) for text, given in asked]
    sizes = [tokens_of(model, prompt, view) for prompt in prompts]
    found: dict[int, str] = {}
    for group in together(model, prompts, sizes):
        *_, last = complete(model, [prompts[n] for n in group], [view] * len(group))
        found |= {n: one.text for n, one in zip(group, last, strict=True)}
    yield from (found[n] for n in range(len(prompts)))


def _is_plain(text: str, rest: str) -> bool:
    """Return whether a continuation is an object as edits have them, with one space before it or none."""
    return bool(text.strip()) and rest.removeprefix(" ") == rest.strip() != ""


def _behind(model: LanguageModel, view: View, text: str, rest: str) -> tuple[float, bool]:
    """Return the same of one continuation with whatever white space."""
    *_, [found] = complete(model, [Prompt(text + rest, 0, top=1, echo=True)], [view])
    alone, both = (model.tok.encode(view.asks(one)) for one in (text, text + rest))
    shared = next((place for place, (a, b) in enumerate(zip(alone, both, strict=False)) if a != b), len(alone))
    told = [said for said in found.echoed[len(found.echoed) - (len(both) - shared) :] if said.log_p is not None]
    return math.fsum(said.log_p or 0.0 for said in told), all(said.log_p == said.top[0][1] for said in told)


def _prompt(text: str, given: dict[str, Any]) -> Prompt:
    ends = given.get("until") or ()
    stop = (ends,) if isinstance(ends, str) else tuple(ends)
    drawn = bool(given.get("do_sample", given.get("temperature")))
    most = int(given.get("max_gen_toks", TOKENS))
    temperature = float(given.get("temperature") or 0.0) if drawn else 0.0
    return Prompt(text, most, temperature, float(given.get("top_p") or 1.0), stop=tuple(end for end in stop if end))
