"""The handlers of the Monitor tab: check-ups and alarms of the edits, the way back, alarm limits, and the service.

The page polls every 2 s while the tab is visible and sends which check-up it shows, so that nothing is drawn twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

import plotly.graph_objects as go
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
from editlab.lab.workspaces.alarms import ABILITY, LOWER_LIMITS, Alarm, AlarmLimits, is_beyond, limits_of
from editlab.web.core.components import folded
from editlab.web.core.display import EditDisplay
from editlab.web.core.handlers import CHANGED, Handlers, handler
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import Id, Inputs, OwnProbes, Place, Pressed
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext
from editlab.web.core.updates import Update, Updates
from editlab.web.core.visit import Visit
from editlab.web.core.wording import number, tell
from editlab.web.monitor import panels, table, words
from editlab.web.monitor.panels import BANDS, LINES, PANELS
from editlab.web.monitor.verdict import has_edits, none_for_nan, verdict

LEAD_HEIGHT = 360
"""Pixels of the trend that matters most."""
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
                _("The edits have changed meanwhile. Nothing was undone. Check the list, then press Return again.")
            )
        change = workspace.return_to(pressed.to)
        yield {**self._status(workspace), **self._edits(workspace)}
        yield from self.display.changed(
            workspace, _("You have {change}. Undo reverses this.").format(change=tell(change)), own
        )

    @handler(cost=Cost(prompts=300))
    def monitor_again(self, visit: Visit) -> Updates:
        """Queue a check-up, even if nothing has changed since the last one."""
        yield from super().ready(visit)
        workspace = visit.workspace
        if not has_edits(workspace):
            raise BadRequest(_("No edit is applied, so there is nothing to check. Apply one on the Edit tab."))
        self.lab.monitor.submit(workspace, again=True)
        yield {"message": pieces.message(_(words.QUEUED)), **self._status(workspace)}

    @handler(cost=Cost(changes=1))
    def monitor_limits(self, visit: Visit, fields: LimitFields) -> Updates:
        """Save other alarm limits and draw the tab by them."""
        yield from super().ready(visit)
        workspace = visit.workspace
        workspace.set_limits(read_limits(fields))
        text = _("The alarm limits are saved. All check-ups are assessed by them now.")
        yield {**self._edits(workspace), "message": pieces.message(text)}

    @handler(cost=Cost(files=1))
    def monitor_files(self, visit: Visit) -> Updates:
        """Offer the check-ups and the scores of the edits as CSV files."""
        yield from super().ready(visit)
        workspace = visit.workspace
        monitor = self.lab.monitor
        scores = monitor.edits(workspace)
        names = {id: tell(edit.name) for id, edit in known_edits(workspace).items()}
        scores.insert(2, "edit", scores["id"].map(names))
        files = {}
        for name, frame in {"check-ups": monitor.health(workspace).table, "edits": scores}.items():
            path = self.lab.downloads.new_folder() / f"{name}.csv"
            path.write_text(frame_csv(frame), encoding="utf-8")
            token = self.lab.downloads.offer(workspace.name, path)
            text = ngettext("Download {file} ({n} row)", "Download {file} ({n} rows)", len(frame))
            files[token] = text.format(file=path.name, n=number(len(frame)))
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
            **draw_lead(checkups, limits, health.alarms),
            "monitor-limits-fold": folded(_(words.TITLES["limits"]), words.limits(limits != AlarmLimits())),
            **{f"monitor-limit-{name}": in_field(name, getattr(limits, name)) for name in LIMITS},
            **draw_retention(checkups, monitor.edits(workspace), workspace),
            "monitor-files-said": "",
        }

    def _service(self, visit: Visit) -> Update:
        """Return the state of the service, without anything about who asked; of its metrics nothing to who has limits."""
        lab, metrics = self.lab, self.lab.metrics
        now = metrics.now()
        status = words.service(now["waiting"], now["running"], len(now["faults"]))
        fold = {"monitor-service-fold": folded(_(words.TITLES["service"]), status.rstrip("."))}
        if lab.limits.restricts(visit.asker):
            said = pieces.message(status, "finding")
            return fold | {"monitor-service": said, "monitor-jobs": "", "monitor-operations": ""}
        rows = table.operation_rows(metrics.table())
        return fold | {
            "monitor-service": render(
                "monitor/service.html",
                about=_(words.SERVICE),
                status=status,
                faults=now["faults"] if lab.settings.auth is None else [],
                memory=words.memory(now["process_bytes"], now["gpu_bytes"], now["planned_bytes"]),
                since=metrics.since,
            ),
            "monitor-jobs": render("monitor/jobs.html", jobs=table.open_jobs(lab.worker.open, time.monotonic())),
            "monitor-operations": render("monitor/operations.html", heads=map(_, table.OPERATION_HEADS), rows=rows),
        }


def with_labels(checkups: DataFrame, changes: Sequence[Moment]) -> DataFrame:
    """Return the check-ups with a column `label` for the figures, which names the change before each."""
    labels = []
    for row in checkups.itertuples():
        before = [moment for moment in changes if moment.number <= row.number]
        labels.append(words.check_up(int(row.edits), before[-1] if before else None))
    return checkups.assign(label=labels)


def draw_panels(checkups: DataFrame, limits: AlarmLimits) -> Update:
    """Return the head and the curve of each panel, and which of them are beyond their limits."""
    update: Update = {}
    for name in PANELS:
        head, figure = draw_panel(name, checkups, limits)
        update |= {f"monitor-{name}": head, f"monitor-{name}-plot": figure}
    beyond = [name for name in PANELS if any(_beyond(name, checkups, limits)[-1:])]
    return update | {"monitor-metrics-fold": folded(_(words.TITLES["metrics"]), words.trends(beyond, len(checkups)))}


def draw_panel(
    name: str, checkups: DataFrame, limits: AlarmLimits, height: int = figures.HEIGHT
) -> tuple[str, go.Figure | None]:
    """Return the head of a panel and its curve; no curve where there is no data."""
    panel, limit = PANELS[name], getattr(limits, name, None)
    values, beyond = _values(name, checkups), _beyond(name, checkups, limits)
    head = render(
        "monitor/panel.html",
        title=_(panel.title),
        meaning=_(panel.meaning),
        value=panels.metric(name, values[-1]) if values else "",
        beside=panels.beside(name, checkups.iloc[-1]) if values else "",
        limit=panels.limit(name, limit),
        beyond=bool(beyond and beyond[-1]),
    )
    if all(value is None for value in values):
        return head, None
    frame = checkups[["edits", "label", *METRICS, *ABILITY]].assign(beyond=beyond)
    lines = {
        column: _(title) for column, title in LINES.get(name, {name: panel.title}).items() if checkups[column].notna().any()
    }
    return head, figures.curve(frame, lines, limit, name in panels.SHARES, height, BANDS.get(name))


def draw_lead(checkups: DataFrame, limits: AlarmLimits, alarms: Sequence[Alarm]) -> Update:
    """Return the trend that matters most: of the metric with the oldest alarm, else of the edits that hold."""
    name = min(alarms, key=lambda alarm: alarm.since).metric if alarms else "holds"
    head, figure = draw_panel(name, checkups, limits, LEAD_HEIGHT)
    if figure is None:
        return {"monitor-lead": "", "monitor-lead-plot": None, "monitor-lead-about": ""}
    return {"monitor-lead": head, "monitor-lead-plot": figure, "monitor-lead-about": pieces.about(_(words.TREND))}


def _values(name: str, checkups: DataFrame) -> list[float | None]:
    return [none_for_nan(value) for value in checkups[name]]


def _beyond(name: str, checkups: DataFrame, limits: AlarmLimits) -> list[bool]:
    limit = getattr(limits, name, None)
    return [limit is not None and is_beyond(name, value, limit) for value in _values(name, checkups)]


def draw_retention(checkups: DataFrame, scores: DataFrame, workspace: Workspace) -> Update:
    """Return the figure and the table of the scores of each edit, numbered as in the list. `scores`: of `Monitor.edits`."""
    title = _(words.TITLES["retention"])
    if scores.empty:
        return {"monitor-retention-fold": folded(title), "monitor-retention-plot": None, "monitor-retention-table": ""}
    known, places = known_edits(workspace), {edit.id: place for place, edit in enumerate(workspace.state.chain, 1)}
    ids = sorted(dict.fromkeys(scores["id"]), key=lambda id: places.get(id, len(places) + 1))
    shares = scores.pivot(index="id", columns="number", values="share")
    shares = shares.reindex(index=ids, columns=checkups["number"].tolist())
    names = [known[id].name if id in known else id for id in ids]
    values = [[none_for_nan(value) for value in row] for row in shares.to_numpy().tolist()]
    rows = table.edit_rows(checkups, scores, known, places)
    now = [row.now for row in rows if row.now is not None]
    return {
        "monitor-retention-fold": folded(title, words.retained(now)),
        "monitor-retention-plot": figures.retention(checkups, names, [places.get(id) for id in ids], values),
        "monitor-retention-table": render(
            "monitor/edits.html", heads=map(_, table.EDIT_HEADS), rows=rows, score=panels.score
        ),
    }


def read_limits(fields: LimitFields) -> dict[str, float]:
    """Return the alarm limits that were entered. Raises `BadRequest` for an empty field."""
    limits = {}
    for name in LIMITS:
        value = getattr(fields, name)
        if value is None:
            raise BadRequest(_("“{field}” is empty. Write a number.").format(field=_(PANELS[name].limit)))
        limits[name] = value / 100 if name in LOWER_LIMITS else value
    return limits


def in_field(name: str, limit: float) -> float:
    """Return an alarm limit as its field shows it: a share in percent."""
    return round(100 * limit, 6) if name in LOWER_LIMITS else limit


def known_edits(workspace: Workspace) -> dict[str, Edit]:
    """Return by id every edit that was ever applied in a workspace."""
    return {edit.id: edit for chain in workspace.state.chains for edit in chain}
