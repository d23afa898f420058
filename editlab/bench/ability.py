"""What a model can do apart from its edits: lm-evaluation-harness under a view, next to the base model."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from editlab.errors import BadRequest
from editlab.facts.script import WORD_JOINER
from editlab.model import LanguageModel
from editlab.model.completion import Prompt, complete
from editlab.model.tokens import in_chunks
from editlab.patches import View
from editlab.work import Progress, no_progress

TASKS = Path(__file__).with_name("tasks")
OURS = ("editlab_facts", "editlab_prose")
BATCH = 64
"""Requests that are scored at a time."""
TOKENS = 256
"""Tokens of a generated answer, where a task does not say how many."""


def measure(
    model: LanguageModel,
    view: View,
    tasks: Sequence[str] = OURS,
    limit: int | None = None,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Return a row for each task and metric: `task`, `metric`, `value`, `stderr`, `n`.

    Raises `BadRequest` where the harness is not installed, or has no such task at hand.
    """
    if find_spec("lm_eval") is None:
        raise BadRequest(
            "This needs lm-evaluation-harness. Install it in EditLab's folder: .venv/bin/pip install -e '.[eval]'"
        )
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
    unknown = [name for name in tasks if name not in manager.all_tasks]
    if unknown:
        raise BadRequest(f"The harness has no task {unknown[0]!r}. EditLab's own are {' and '.join(OURS)}.")
    try:
        found = simple_evaluate(Asked(), tasks=list(tasks), task_manager=manager, limit=limit, bootstrap_iters=100)
    except (OSError, ConnectionError) as error:
        raise BadRequest(
            f"The data of {', '.join(tasks)} is not on this computer, and EditLab fetches none: {error}. Download it with "
            "the datasets library first, or choose another task."
        ) from error
    return [row for name, scores in found["results"].items() for row in _rows(name, scores, found["n-samples"].get(name))]


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
    """Yield what the view writes behind each text, until one of its ends."""
    prompts = [_prompt(text, given) for text, given in asked]
    sizes = [len(model.tok.encode(view.asks(prompt.text))) + prompt.max_tokens for prompt in prompts]
    found: dict[int, str] = {}
    for chunk in in_chunks(sizes, model.tokens_per_forward):
        *_, last = complete(model, [prompts[n] for n in chunk], [view] * len(chunk))
        found |= {n: one.text for n, one in zip(chunk, last, strict=True)}
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


def _rows(task: str, scores: dict[str, Any], samples: dict[str, int] | None) -> Iterator[dict[str, Any]]:
    for name, value in scores.items():
        metric, _, way = name.partition(",")
        if way and not metric.endswith("_stderr") and isinstance(value, int | float):
            error = scores.get(f"{metric}_stderr,{way}")
            stderr = error if isinstance(error, int | float) else None
            count = None if samples is None else samples["effective"]
            yield {"task": task, "metric": metric, "value": value, "stderr": stderr, "n": count}
