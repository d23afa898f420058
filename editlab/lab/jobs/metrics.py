"""Metrics of the service: queue, latency, errors, memory and readiness; for the page, Prometheus and the log."""

from __future__ import annotations

import hashlib
import logging
import math
import secrets
import threading
import time
from collections import Counter as Tally
from collections import defaultdict, deque
from collections.abc import Sized
from typing import Any

import psutil
from pandas import DataFrame
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from editlab.errors import EditLabError
from editlab.lab.job import Job
from editlab.lab.ledger.ledger import Ledger, now
from editlab.lab.loaded import Loaded
from editlab.lab.worker import Worker
from editlab.model import memory
from editlab.wording import noop

KEPT = 1_000
"""Jobs of a kind, the latest ones, from which the percentiles are computed."""
BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
CHECK_SECONDS, HUNG_SECONDS = 5.0, 60.0
"""How long an answer about the ledger is reused, and after how long a missing answer is a fault itself."""
COLUMNS = ("kind", "count", "wait_p50", "wait_p95", "run_p50", "run_p95", "errors")

log = logging.getLogger(__name__)


class Metrics:
    """Measures one lab's worker since EditLab was started (`since`, ISO 8601). Nothing is kept across a restart."""

    def __init__(self, worker: Worker, loaded: Loaded, ledger: Ledger, workspaces: Sized) -> None:
        self._worker, self._loaded, self._ledger, self._workspaces, self.since = worker, loaded, ledger, workspaces, now()
        self._lock = threading.Lock()
        self._times: defaultdict[str, deque[tuple[float, float]]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._counts: Tally[str] = Tally()
        self._errors: Tally[str] = Tally()
        self._planned: tuple[Any, int | None] | None = None
        self._checking, self._trying_since = threading.Lock(), math.inf
        self._checked, self._writable = -math.inf, True
        self._key = secrets.token_bytes(16)
        self._make_metrics()
        worker.watchers.append(self._watch)

    def table(self) -> DataFrame:
        """Return a row per kind of job: how many ended, p50 and p95 of the latest 1,000 in seconds, and errors.

        Columns: kind, count, wait_p50, wait_p95, run_p50, run_p95, errors.
        """
        with self._lock:
            times = {kind: list(pairs) for kind, pairs in self._times.items()}
            counts, errors = dict(self._counts), dict(self._errors)
        rows = []
        for kind in sorted(times):
            quantiles = DataFrame(times[kind], columns=["wait", "run"]).quantile([0.5, 0.95])
            times_of = [float(quantiles.loc[q, name]) for name in ("wait", "run") for q in (0.5, 0.95)]
            rows.append((kind, counts[kind], *times_of, errors.get(kind, 0)))
        return DataFrame(rows, columns=list(COLUMNS))

    def now(self) -> dict[str, Any]:
        """Return the state of the service now. Memory is in bytes, None where it is unknown or there is no GPU."""
        jobs = self._worker.open
        on_gpu = self._loaded.device.type == "cuda"
        return {
            "waiting": sum(job.state == "waiting" for job in jobs),
            "running": sum(job.state == "running" for job in jobs),
            "process_bytes": psutil.Process().memory_info().rss,
            "gpu_bytes": memory.used(self._loaded.device)["reserved"] if on_gpu else None,
            "planned_bytes": self.planned(),
            "workspaces": len(self._workspaces),
            "events": self._ledger.event_count,
            "faults": self.faults(),
        }

    def planned(self) -> int | None:
        """Return the bytes that the loaded model needs by its plan; None if it cannot be planned."""
        loaded = self._loaded
        if self._planned is None or self._planned[0] != loaded.choice:
            try:
                self._planned = loaded.choice, loaded.plan(loaded.choice).total
            except EditLabError:
                self._planned = loaded.choice, None
        return self._planned[1]

    def faults(self) -> list[str]:
        """Return why the service is not ready; empty if it is.

        One caller at a time tries to write the ledger, at most once in 5 s, because a try takes the ledger's write lock.
        Other callers do not wait for it: they get the answer of the try before.
        """
        faults = []
        if not self._worker.alive:
            faults.append(noop("The model's worker has ended."))
        if not self._loaded.in_memory:
            faults.append(noop("The model is not in memory."))
        if self._checking.acquire(blocking=False):
            self._trying_since = time.monotonic()
            try:
                self._check_ledger()
            finally:
                self._trying_since = math.inf
                self._checking.release()
        elif time.monotonic() - self._trying_since > HUNG_SECONDS:
            faults.append(noop("The ledger does not answer."))
        if not self._writable:
            faults.append(noop("The ledger cannot be written."))  # without its path, which visitors should not see
        return faults

    def _check_ledger(self) -> None:
        if time.monotonic() - self._checked < CHECK_SECONDS:
            return
        try:
            self._ledger.check_writable()
            self._writable = True
        except EditLabError as error:
            log.error({"event": "ledger", "error": str(error)})
            self._writable = False
        self._checked = time.monotonic()

    def metrics(self) -> bytes:
        """Return all metrics in the format of Prometheus."""
        return generate_latest(self._registry)

    def digest(self, workspace: str) -> str:
        """Return the pseudonym of a workspace for the log. It stays the same until EditLab is restarted."""
        return hashlib.blake2b(workspace.encode(errors="replace"), digest_size=6, key=self._key).hexdigest()

    def _make_metrics(self) -> None:
        self._registry = CollectorRegistry()
        own = {"registry": self._registry}
        self._jobs = Counter("editlab_jobs", "Jobs that ended.", ["kind", "state"], **own)
        self._failed = Counter("editlab_errors", "Jobs that failed, by the kind of error.", ["kind"], **own)
        self._wait = Histogram("editlab_job_wait_seconds", "From submission to start.", ["kind"], buckets=BUCKETS, **own)
        self._run = Histogram("editlab_job_run_seconds", "From start to end.", ["kind"], buckets=BUCKETS, **own)

        def gauge(name: str, text: str, read: Any) -> None:
            Gauge(f"editlab_{name}", text, **own).set_function(read)

        gauge("jobs_waiting", "Jobs that wait.", lambda: sum(job.state == "waiting" for job in self._worker.open))
        gauge("jobs_running", "Jobs that run now.", lambda: sum(job.state == "running" for job in self._worker.open))
        gauge("process_memory_bytes", "Resident memory.", lambda: psutil.Process().memory_info().rss)
        gauge(
            "planned_memory_bytes",
            "Planned memory of the model; NaN if unknown.",
            lambda: _number(self.planned()),
        )
        gauge("workspaces", "Workspaces in memory.", lambda: len(self._workspaces))
        gauge("events", "Events ever written to the ledger.", lambda: self._ledger.event_count)
        if self._loaded.device.type == "cuda":
            gauge("gpu_memory_bytes", "Reserved memory.", lambda: memory.used(self._loaded.device)["reserved"])

    def _watch(self, job: Job[Any]) -> None:
        if job.state in ("waiting", "running"):
            return
        wait, run = job.began - job.submitted, job.seconds
        failed = type(job.error).__name__ if job.state == "failed" else None
        self._jobs.labels(job.kind, job.state).inc()
        self._wait.labels(job.kind).observe(wait)
        self._run.labels(job.kind).observe(run)
        if failed is not None:
            self._failed.labels(failed).inc()
        with self._lock:
            self._times[job.kind].append((wait, run))
            self._counts[job.kind] += 1
            self._errors[job.kind] += failed is not None
        entry = {"event": "job", "kind": job.kind, "state": job.state, "wait": round(wait, 3), "run": round(run, 3)}
        entry |= {"workspace": self.digest(job.about["workspace"])} if "workspace" in job.about else {}
        log.info(entry | ({"error": failed} if failed is not None else {}))


def _number(value: int | None) -> float:
    return float("nan") if value is None else value
