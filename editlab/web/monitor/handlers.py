"""The handlers of the Monitor tab: check-ups and alarms of the edits, the way back, alarm limits, and the service.

The page polls every 2 s while the tab is visible and sends which check-up it shows, so that nothing is drawn twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Literal

from pandas import DataFrame
from pydantic import Field

from editlab.errors import BadRequest
from editlab.facts.writers import frame_csv
from editlab.figures import monitor as figures
from editlab.insight.checkup import METRICS
from editlab.lab import Lab, Moment, Workspace
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.ledger.events import Edit
from editlab.lab.workspaces import history
from editlab.lab.workspaces.alarms import LOWER_LIMITS, AlarmLimits, is_beyond, limits_of
from editlab.web.core.display import EditDisplay
from editlab.web.core.handlers import CHANGED, Handlers, handler
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import Id, Inputs, OwnProbes, Place, Pressed
from editlab.web.core.updates import Update, Updates
from editlab.web.core.visit import Visit
from editlab.web.monitor import table, words
from editlab.web.monitor.verdict import has_edits, none_for_nan, verdict
from editlab.wording import count

LIMITS = tuple(asdict(AlarmLimits()))
Percent = Annotated[float, Field(ge=0, le=100)]
Amount = Annotated[float, Field(ge=0, le=1e12)]


class LimitFields(Inputs):
    """The fields of the alarm limits, shares in percent. An emptied field is None."""

    holds: Annotated[Percent | None, Field(alias="monitor-limit-holds")]
    locality: Annotated[Percent | None, Field(alias="monitor-limit-locality")]
    same_subject: Annotated[Percent | None, Field(alias="monitor-limit-same_subject")]
    loss: Annotated[Amount | None, Field(alias="monitor-limit-loss")]
    kl: Annotated[Amount | None, Field(alias="monitor-limit-kl")]


class Shown(Pressed):
    """What the page shows when it polls."""

    press: Literal["look"]
    stamp: Id


class PressedReturn(Pressed):
    """The button of the way back: the event to return to, and the latest event that the page shows."""

    press: Literal["return"]
    to: Place
    seen: Place


class MonitorHandlers(Handlers):
    """The handlers of the Monitor tab. A return is drawn on the Edit tab as well, by `display`."""

    def __init__(self, lab: Lab, display: EditDisplay) -> None:
        super().__init__(lab)
        self.display = display

    def ready(self, visit: Visit) -> Updates:
        """Wait for nothing: the service can be looked at without the model. Handlers that need it wait themselves."""
        yield from ()

    @handler(cost=Cost(prompts=60))
    def monitor_open(self, visit: Visit) -> Updates:
        """Draw the tab when it is opened, and check the edits where that has not been done."""
        yield self._service(visit)
        yield from super().ready(visit)
        workspace = visit.workspace
        if has_edits(workspace) and not self.lab.monitor.fresh(workspace):
            self.lab.monitor.changed(workspace)
        yield {**self._status(workspace), **self._edits(workspace), "message": ""}

    @handler(cost=FREE)
    def monitor_look(self, visit: Visit, shown: Shown) -> Updates:
        """Draw the service, and the rest where the page shows an older check-up."""
        yield self._service(visit)
        if not self.lab.loaded.in_memory or not self.lab.knows(visit.session):
            return
        workspace = visit.workspace
        edits = {} if shown.stamp == self._stamp(workspace) else self._edits(workspace)
        yield {**self._status(workspace), **edits}

    @handler(cost=CHANGED)
    def monitor_return(self, visit: Visit, own: OwnProbes, pressed: PressedReturn) -> Updates:
        """Return to the last healthy state, after the visitor has confirmed which edits that removes."""
        yield from super().ready(visit)
        workspace = visit.workspace
        state = workspace.state
        if pressed.seen > state.number or state.chains[pressed.seen] != state.chain:
            yield self._edits(workspace)
            raise BadRequest(
                "The edits have changed meanwhile. Nothing was undone. Check the list, then press Return again."
            )
        change = workspace.return_to(pressed.to)
        yield {**self._status(workspace), **self._edits(workspace)}
        yield from self.display.changed(workspace, f"You have {change}. Undo reverses this.", own)

    @handler(cost=Cost(prompts=300))
    def monitor_again(self, visit: Visit) -> Updates:
        """Queue a check-up, even if nothing has changed since the last one."""
        yield from super().ready(visit)
        workspace = visit.workspace
        if not has_edits(workspace):
            raise BadRequest("No edit is applied, so there is nothing to check. Apply one on the Edit tab.")
        self.lab.monitor.submit(workspace, again=True)
        yield {"message": pieces.message(words.QUEUED), **self._status(workspace)}

    @handler(cost=Cost(changes=1))
    def monitor_limits(self, visit: Visit, fields: LimitFields) -> Updates:
        """Save other alarm limits and draw the tab by them."""
        yield from super().ready(visit)
        workspace = visit.workspace
        workspace.set_limits(read_limits(fields))
        text = "The alarm limits are saved. All check-ups are assessed by them now."
        yield {**self._edits(workspace), "message": pieces.message(text)}

    @handler(cost=Cost(files=1))
    def monitor_files(self, visit: Visit) -> Updates:
        """Offer the check-ups and the scores of the edits as CSV files."""
        yield from super().ready(visit)
        workspace = visit.workspace
        monitor = self.lab.monitor
        scores = monitor.edits(workspace)
        names = {id: edit.name for id, edit in known_edits(workspace).items()}
        scores.insert(2, "edit", scores["id"].map(names))
        files = {}
        for name, frame in {"check-ups": monitor.health(workspace).table, "edits": scores}.items():
            path = self.lab.downloads.new_folder() / f"{name}.csv"
            path.write_text(frame_csv(frame), encoding="utf-8")
            token = self.lab.downloads.offer(workspace.name, path)
            files[token] = f"Download {path.name} ({count(len(frame), 'row')})"
        yield {"monitor-files-said": render("monitor/downloads.html", files=files.items())}

    def _stamp(self, workspace: Workspace) -> str:
        """Return which state of the edits and which check-up is drawn."""
        number, at = self.lab.monitor.latest(workspace)
        return f"{self.lab.metrics.digest(workspace.name)} {workspace.state.number} {number} {at}"

    def _status(self, workspace: Workspace) -> Update:
        """Return the progress of the check-up that waits or runs, or why the last one failed."""
        job = self.lab.monitor.open(workspace)
        if job is None:
            problem = self.lab.monitor.problem(workspace)
            return {"monitor-now": pieces.message(words.failed(problem), "problem") if problem else ""}
        text = words.status(job.state, job.fraction, workspace.ahead(job))
        return {"monitor-now": pieces.progress(text, job.fraction, "")}

    def _edits(self, workspace: Workspace) -> Update:
        """Return all that is drawn of the edits."""
        monitor = self.lab.monitor
        health = monitor.health(workspace)
        changes = [moment for moment in history.timeline(workspace) if moment.changed]
        limits = limits_of(workspace.state.limits)
        checkups = with_labels(health.table, changes)
        result = verdict(workspace, health, changes, monitor.fresh(workspace))
        return {
            "monitor-verdict": render("monitor/verdict.html", verdict=result, stamp=self._stamp(workspace)),
            **draw_panels(checkups, limits),
            **{f"monitor-limit-{name}": in_field(name, getattr(limits, name)) for name in LIMITS},
            **draw_retention(checkups, monitor.edits(workspace), known_edits(workspace)),
            "monitor-files-said": "",
        }

    def _service(self, visit: Visit) -> Update:
        """Return the state of the service, without anything about who asked."""
        lab, metrics = self.lab, self.lab.metrics
        now = metrics.now()
        private = lab.limits.demo or lab.settings.auth is not None or visit.participant is not None
        rows = table.operation_rows(metrics.table())
        return {
            "monitor-service": render(
                "monitor/service.html",
                status=words.service(now["waiting"], now["running"], len(now["faults"])),
                faults=[] if private else now["faults"],
                memory=words.memory(now["process_bytes"], now["gpu_bytes"], now["planned_bytes"]),
                since=metrics.since,
            ),
            "monitor-jobs": render("monitor/jobs.html", jobs=table.open_jobs(lab.worker.open, time.monotonic())),
            "monitor-operations": render("monitor/operations.html", heads=table.OPERATION_HEADS, rows=rows),
        }


def with_labels(checkups: DataFrame, changes: Sequence[Moment]) -> DataFrame:
    """Return the check-ups with a column `label` for the figures, which names the change before each."""
    labels = []
    for row in checkups.itertuples():
        before = [moment for moment in changes if moment.number <= row.number]
        labels.append(words.check_up(int(row.edits), before[-1] if before else None))
    return checkups.assign(label=labels)


def draw_panels(checkups: DataFrame, limits: AlarmLimits) -> Update:
    """Return the head and the curve of each panel."""
    update: Update = {}
    for name, panel in words.PANELS.items():
        limit = getattr(limits, name, None)
        values = [none_for_nan(value) for value in checkups[name]]
        beyond = [limit is not None and is_beyond(name, value, limit) for value in values]
        update[f"monitor-{name}"] = render(
            "monitor/panel.html",
            title=panel.title,
            meaning=panel.meaning,
            value=words.metric(name, values[-1]) if values else "",
            limit=words.limit(name, limit),
            beyond=bool(beyond and beyond[-1]),
        )
        frame = checkups[["edits", "label", *METRICS]].assign(beyond=beyond)
        lines = {name: "own prompt"} | ({"retention": "all three prompts"} if name == "holds" else {})
        known = any(value is not None for value in values)
        update[f"monitor-{name}-plot"] = figures.curve(frame, lines, limit, name in words.SHARES) if known else None
    return update


def draw_retention(checkups: DataFrame, scores: DataFrame, known: Mapping[str, Edit]) -> Update:
    """Return the figure and the table of the scores of each edit. `scores`: of `Monitor.edits`."""
    if scores.empty:
        return {"monitor-retention-plot": None, "monitor-retention-table": ""}
    ids = list(dict.fromkeys(scores["id"]))
    shares = scores.pivot(index="id", columns="number", values="share")
    shares = shares.reindex(index=ids, columns=checkups["number"].tolist())
    names = [known[id].name if id in known else id for id in ids]
    values = [[none_for_nan(value) for value in row] for row in shares.to_numpy().tolist()]
    rows = table.edit_rows(checkups, scores, known)
    return {
        "monitor-retention-plot": figures.retention(checkups, names, values),
        "monitor-retention-table": render("monitor/edits.html", heads=table.EDIT_HEADS, rows=rows, score=words.score),
    }


def read_limits(fields: LimitFields) -> dict[str, float]:
    """Return the alarm limits that were entered. Raises `BadRequest` for an empty field."""
    limits = {}
    for name in LIMITS:
        value = getattr(fields, name)
        if value is None:
            raise BadRequest(f"“{words.PANELS[name].limit}” is empty. Write a number.")
        limits[name] = value / 100 if name in LOWER_LIMITS else value
    return limits


def in_field(name: str, limit: float) -> float:
    """Return an alarm limit as its field shows it: a share in percent."""
    return round(100 * limit, 6) if name in LOWER_LIMITS else limit


def known_edits(workspace: Workspace) -> dict[str, Edit]:
    """Return by id every edit that was ever applied in a workspace."""
    return {edit.id: edit for chain in workspace.state.chains for edit in chain}
