"""What the loaded model knows: of the examples, and of the facts that the page offers for editing.

It is asked once for a model and its start of a text, in a job that gives the model away between its parts, and kept in the
data folder.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from editlab import probes, storage
from editlab.errors import EditLabError
from editlab.facts import EditRequest
from editlab.lab.context import Context
from editlab.lab.job import Job, JobProgress, Parts
from editlab.lab.kinds import Kind
from editlab.lab.workspaces.examples import Example
from editlab.probes import Knowledge
from editlab.work import Cancel

FACTS_ASKED, FACTS_OFFERED = 8, 2
"""Facts of a relation that are asked, and those that are offered at most."""
NOT_OFFERED = frozenset({"P140"})
"""Relations that are nothing for a show: what somebody believes in."""
PART = 16
"""Facts or examples that are asked before others get the model."""

T = TypeVar("T")


@dataclass(frozen=True)
class KnownFact:
    """A fact that the model knows, as a request that changes it; `p`: the probability of the true object."""

    request: EditRequest
    p: float


class ModelKnowledge:
    """What one lab's model knows."""

    def __init__(self, context: Context, examples: Sequence[Example]) -> None:
        self._context, self._examples = context, tuple(examples)
        own = [example.request for example in self._examples]
        self._of_examples = _Asked(context, TypeAdapter(dict[str, Knowledge]), lambda: own, self._ask_examples)
        self._of_facts = _Asked(context, TypeAdapter(tuple[KnownFact, ...]), self._all_requests, self._ask_facts)

    @property
    def examples(self) -> Mapping[str, Knowledge]:
        """What the model knows of each example, by its name; of those that were asked until now."""
        return self._of_examples.known or {}

    @property
    def first(self) -> Example | None:
        """The first example that the model knows; the first of all where it knows none or was not asked yet."""
        known = [one for one in self._examples if one.name in self.examples and self.examples[one.name].known]
        return next(iter(known or self._examples), None)

    @property
    def facts(self) -> tuple[KnownFact, ...]:
        """The facts to offer that were found until now."""
        return self._of_facts.known or ()

    def ask_examples(self) -> Job[dict[str, Knowledge]] | None:
        """Return the job that asks about the examples, which is shared by all visitors; None where all were asked."""
        return self._of_examples.ask()

    def ask_facts(self) -> Job[tuple[KnownFact, ...]] | None:
        """Return the job that looks for facts to offer, which is shared by all visitors; None where they are known."""
        return self._of_facts.ask()

    def _ask_examples(self) -> Iterator[tuple[float, dict[str, Knowledge]]]:
        """Yield the share that was asked and what is known so far: after the first one, for which a page waits, in parts."""
        found: dict[str, Knowledge] = {}
        for some in (self._examples[:1], *_parts(self._examples[1:])):
            said = probes.knowledge(self._context.model, [example.request for example in some], says=True)
            found = found | {example.name: one for example, one in zip(some, said, strict=True)}
            yield len(found) / max(1, len(self._examples)), found

    def _ask_facts(self) -> Iterator[tuple[float, tuple[KnownFact, ...]]]:
        """Yield the share that was asked and the facts that are known so far, each in its likelier wording."""
        found: list[KnownFact] = []
        offered: Counter[str] = Counter()
        parts = list(_parts(self._facts))
        for number, some in enumerate(parts, start=1):
            requests = [*chain.from_iterable(some)]
            said = dict(zip(requests, probes.knowledge(self._context.model, requests), strict=True))
            for asked in some:
                known = [KnownFact(request, said[request].p) for request in asked if said[request].known]
                relation = self._context.facts.relation_of(asked[0].prompt) or ""
                if known and offered[relation] < FACTS_OFFERED:
                    offered[relation] += 1
                    found.append(max(known, key=lambda fact: fact.p))
            yield number / len(parts), tuple(found)

    def _all_requests(self) -> Sequence[EditRequest]:
        return [*chain.from_iterable(self._facts)]

    @cached_property
    def _facts(self) -> list[list[EditRequest]]:
        """The facts that are asked, each in its wordings; none about an example's subject."""
        ours, facts = {example.request.subject for example in self._examples}, self._context.facts
        chosen = (fact for fact in probes.in_turn(facts, FACTS_ASKED) if fact.relation not in NOT_OFFERED)
        asked = (probes.wordings(facts, fact) for fact in chosen if fact.subject not in ours)
        return [requests for requests in asked if requests]


class _Asked(Generic[T]):
    """Something that each model is asked once: a job, and its result in memory and in the data folder.

    `ask()` yields the share that was asked and the result so far, after each part; `requests()`: all that it asks.
    """

    def __init__(
        self,
        context: Context,
        kept: TypeAdapter[T],
        requests: Callable[[], Sequence[EditRequest]],
        ask: Callable[[], Iterator[tuple[float, T]]],
    ) -> None:
        self._context, self._kept, self._requests, self._ask = context, kept, requests, ask
        self._lock = threading.Lock()
        self._found: dict[str, T] = {}
        self._job: Job[T] | None = None

    @property
    def known(self) -> T | None:
        """The result, or what was found until now; None where nothing was asked."""
        fingerprint, job = self._context.loaded.fingerprint, self._job
        return self._found.get(fingerprint, job.partial if job is not None and job.about["model"] == fingerprint else None)

    def ask(self) -> Job[T] | None:
        """Return the job that asks; a new one where none runs. None where the result is known."""
        with self._lock:
            fingerprint = self._context.loaded.fingerprint
            if fingerprint in self._found:
                return None
            if self._job is None or self._job.done or self._job.about["model"] != fingerprint:
                work = self._context.loaded.only_here(fingerprint, partial(self._work, fingerprint))
                self._job = self._context.worker.submit(work, Kind.KNOWLEDGE, about={"model": fingerprint})
            return self._job

    def _work(self, fingerprint: str, progress: JobProgress, cancel: Cancel) -> Parts[T]:
        path = self._context.ledger.folder / "known" / f"{fingerprint}-{self._digest()}.json"
        found: Any = None
        with suppress(OSError, ValueError, EditLabError):  # a file that cannot be read is asked again
            found = self._kept.validate_json(path.read_bytes())
        if found is None:
            for fraction, found in self._ask():
                progress(fraction, "what the model knows")
                progress.show(found)
                yield
            with suppress(OSError):  # then it is asked again after the next start
                storage.make_folder(path.parent)
                storage.write(path, self._kept.dump_json(found))
        self._found[fingerprint] = found
        return found

    def _digest(self) -> str:
        """Return a hash of all that is asked, token by token: it changes with the wordings and with the start of a text."""
        tok = self._context.model.tok
        asked = [(tok.encode(request.text), request.target_new, request.target_true) for request in self._requests()]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def _parts(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[start : start + PART] for start in range(0, len(items), PART))
