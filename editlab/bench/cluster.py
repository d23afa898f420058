"""A benchmark's cases over many processes and machines, by Ray: a model an actor, a call of cases a task.

A worker that is lost costs the cases that it was at, and these are asked again elsewhere; rows come as they are measured, so
that a stopped run is resumed by the rows that it has kept. The rows are those of one process: nothing of a row depends on
where it was measured but its seconds.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from editlab.bench import robustness
from editlab.bench.editing import Pack, Setup, in_calls, packs_of
from editlab.bench.robustness import CaseRow
from editlab.errors import BadRequest
from editlab.facts import EditCase, FactBase
from editlab.probes import Ground, Passages
from editlab.settings import Settings
from editlab.work import Progress, no_progress

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, which ends with the benchmark."""
ANSWER_SECONDS = 5.0
TRIES = 3
"""Workers that cases may cost before they are given up."""


@dataclass(frozen=True)
class Ask:
    """All that a worker needs to ask as the process does that sends it cases.

    `fingerprint`: the model's, as it has to be at the worker's end.
    """

    settings: Settings
    fingerprint: str
    facts: FactBase
    passages: Passages
    prose: tuple[str, ...]
    threads: int

    @classmethod
    def of(cls, ground: Ground, settings: Settings, workers: int) -> Ask:
        """Return what workers need to ask as on this ground, this machine's cores shared among them."""
        own = settings.model_copy(update={"seed": ground.seed})
        threads = max(1, (os.cpu_count() or 1) // workers)
        return cls(own, ground.model.fingerprint, ground.facts, ground.passages, tuple(ground.prose), threads)

    def ground(self) -> Ground:
        """Load the model and return the ground. Raises `BadRequest` where it is another model."""
        import torch

        from editlab.model import LanguageModel

        torch.set_num_threads(self.threads)
        s = self.settings
        model = LanguageModel.load(
            s.model, quantization=s.quantization, dtype=s.dtype, device=s.device, seed=s.seed, settings=s
        )
        if model.fingerprint != self.fingerprint:
            raise BadRequest(f"A worker's {s.model} is another model than the one here. Give all the same files.")
        return Ground(model, self.facts, self.passages, s.seed, self.prose)


class Worker:
    """One process with the model."""

    def __init__(self, ask: Ask) -> None:
        self._ground = ask.ground()

    def ready(self) -> int:
        """Return the process's number once the model is loaded."""
        return os.getpid()

    def measure(self, cases: Sequence[EditCase], setup: Setup, done: Collection[str]) -> list[CaseRow]:
        """Return the rows of cases."""
        return list(robustness.measure(cases, setup, self._ground, done))


class Cluster:
    """Workers on a Ray cluster. Raises `BadRequest` where Ray is not installed or the address does not answer."""

    def __init__(self, address: str, workers: int, ask: Ask) -> None:
        if find_spec("ray") is None:
            raise BadRequest("This needs Ray. Install it in EditLab's folder: .venv/bin/pip install -e '.[ray]'")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        self._ray, self._started = ray, not ray.is_initialized()
        _check_answers(address)
        where = {"num_cpus": workers, "include_dashboard": False} if address == LOCAL else {"address": address}
        try:
            ray.init(**where, log_to_driver=False, logging_level="error", ignore_reinit_error=True)
        except Exception as error:
            raise BadRequest(
                f"There is no Ray cluster at {address}. Start one (ray start --head), or take: local."
            ) from error
        self._kind, self._ask = ray.remote(num_cpus=1)(Worker), ray.put(ask)
        self._workers = [self._new() for _ in range(workers)]
        try:
            self.processes: list[int] = ray.get([worker.ready.remote() for worker in self._workers])
        except ray.exceptions.RayActorError as error:
            self.close()
            raise BadRequest(f"A worker could not begin: {str(error).strip().splitlines()[-1]}") from error

    def _new(self) -> Any:
        return self._kind.remote(self._ask)

    def measure(
        self,
        cases: Sequence[EditCase],
        setup: Setup,
        ground: Ground,
        done: Collection[str],
        progress: Progress = no_progress,
    ) -> Iterator[CaseRow]:
        """Yield the rows that `robustness.measure` yields for the same arguments, in the order in which they are ready.

        Cases at which `TRIES` workers were lost are given up: their rows say so.
        """
        waiting = [_Task(call) for call in in_calls(packs_of(cases, setup), setup)]
        waiting = [task for task in waiting if any(k not in done for keys in task.keys(setup, ground) for k in keys)]
        count, asked, free = sum(len(task.cases) for task in waiting), 0, list(self._workers)
        running: dict[Any, tuple[_Task, Any]] = {}
        while waiting or running:
            while waiting and free:
                task, worker = waiting.pop(0), free.pop(0)
                known = [key for keys in task.keys(setup, ground) for key in keys if key in done]
                running[worker.measure.remote(task.cases, setup, known)] = task, worker
            ready, _ = self._ray.wait(list(running), num_returns=1)
            task, worker = running.pop(ready[0])
            try:
                rows = self._ray.get(ready[0])
            except self._ray.exceptions.RayTaskError as fault:  # not of a case: it ends the run, as in one process
                raise fault.cause from fault
            except self._ray.exceptions.RayActorError:
                self._workers.remove(worker)
                self._workers.append(self._new())
                free.append(self._workers[-1])
                task.tries += 1
                if task.tries < TRIES:
                    waiting.insert(0, task)
                    continue
                rows = task.given_up(setup, ground)
            else:
                free.append(worker)
            asked += len(task.cases)
            progress(asked / count, f"{setup.method}: {asked} of {count} cases")
            yield from rows

    def close(self) -> None:
        """End the workers, and the cluster where it was started here."""
        for worker in self._workers:
            self._ray.kill(worker)
        if self._started:
            self._ray.shutdown()


def _check_answers(address: str) -> None:
    """Raise `BadRequest` where nothing listens at HOST:PORT; Ray itself would ask for minutes. Other addresses are Ray's."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()) or "://" in address:
        return
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise BadRequest(f"There is no Ray cluster at {address}. Start one (ray start --head), or take: local.") from error


@dataclass
class _Task:
    """Cases that are edited in one call, and how many workers they have cost."""

    packs: Sequence[Pack]
    tries: int = 0

    @property
    def cases(self) -> list[EditCase]:
        return [case for pack in self.packs for case in pack]

    def keys(self, setup: Setup, ground: Ground) -> list[list[str]]:
        return robustness.keys(self.cases, setup, ground)

    def given_up(self, setup: Setup, ground: Ground) -> list[CaseRow]:
        """Return rows that say why there is nothing."""
        return [
            CaseRow(
                key, case.id, setup.method, rep.recipe, (), rep.fires_above, setup.chain, skipped="its workers were lost"
            )
            for case, keys in zip(self.cases, self.keys(setup, ground), strict=True)
            for rep, key in zip(setup.reps, keys, strict=True)
        ]
