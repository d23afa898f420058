"""What happens on the Monitor tab: how the edits do by the check-ups, the way back, the limits; and how the service does.

The page asks every 2 s what is new, as long as the tab is seen; it says which check-up it shows, and nothing is drawn twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import gradio as gr
from markupsafe import Markup
from pandas import DataFrame

from editlab.errors import BadRequest
from editlab.facts.writers import frame_csv
from editlab.figures import monitor as figures
from editlab.insight.checkup import METRICS
from editlab.lab import Lab, Moment, Workspace
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.ledger.events import Edit
from editlab.lab.workspaces import history
from editlab.lab.workspaces.alarms import LEAST, Alarm, AlarmLimits, Health, beyond, limits_of
from editlab.web.core import forms, render
from editlab.web.core.handlers import CHANGED, Handlers, Update, Updates, handler
from editlab.web.edit.display import ShowingHandlers
from editlab.web.monitor import table as monitor_table
from editlab.web.monitor import words
from editlab.web.workspace.table import link

LIMITS = tuple(asdict(AlarmLimits()))
CHECKING = "Everything is asked again as soon as nobody waits for anything else."


class MonitorHandlers(ShowingHandlers):
    """The handlers of the Monitor tab. A return is drawn on the Edit tab as well, whose handlers are `beside`."""

    def __init__(self, lab: Lab, beside: Handlers) -> None:
        super().__init__(lab)
        self._turns = beside._turns

    def ready(self, request: gr.Request) -> Updates:
        """The service can be looked at without the weights; what needs them waits for them itself."""
        yield from ()

    @handler(Cost(prompts=60))
    def monitor_open(self, visitor: Any, request: gr.Request) -> Updates:
        """The tab was opened. Updates: all of it."""
        yield self._service()
        yield from super().ready(request)
        workspace = self.workspace(visitor, request)
        if _lies(workspace) and not self.lab.monitor.fresh(workspace):
            self.lab.monitor.changed(workspace)
        yield {**self._now(workspace), **self._all(workspace), "monitor-message": ""}

    @handler(FREE)
    def monitor_look(self, visitor: Any, event: gr.EventData, request: gr.Request) -> Updates:
        """The page looks what is new. Updates: the service; all the rest where it shows another check-up."""
        yield self._service()
        lab = self.lab
        if not lab.loaded.in_memory or not lab.knows(str(request.session_hash)):
            return
        workspace = self.workspace(visitor, request)
        shown = forms.read_pressed(event, "stamp")
        yield {**self._now(workspace), **({} if shown == self._stamp(workspace) else self._all(workspace))}

    @handler(CHANGED)
    def monitor_return(
        self, visitor: Any, rephrases: Any, neighbours: Any, event: gr.EventData, request: gr.Request
    ) -> Updates:
        """The way back was chosen and confirmed. Updates: all of the tab, and as `showing` draws the Edit tab."""
        yield from super().ready(request)
        workspace = self.workspace(visitor, request)
        number, seen = (_whole(forms.read_pressed(event, name)) for name in ("to", "seen"))
        state = workspace.state
        if not 0 <= seen <= state.number or state.chains[seen] != state.chain:
            yield self._all(workspace)
            raise BadRequest("The edits were changed meanwhile. Look again at which of them would leave.")
        told = workspace.return_to(number)
        yield {**self._now(workspace), **self._all(workspace)}
        yield from self._changed(workspace, f"You have {told}. Undo takes that back.", (rephrases, neighbours))

    @handler(Cost(prompts=300))
    def monitor_again(self, visitor: Any, request: gr.Request) -> Updates:
        """Everything shall be asked again. Updates: message, monitor-now."""
        yield from super().ready(request)
        workspace = self.workspace(visitor, request)
        if not _lies(workspace):
            raise BadRequest("No edit lies over the model, so there is nothing to ask. Apply one on the Edit tab.")
        self.lab.monitor.submit(workspace, again=True)
        yield {"message": render.message(CHECKING), **self._now(workspace)}

    @handler(Cost(changes=1))
    def monitor_limits(self, visitor: Any, *fields: Any) -> Updates:
        """Other limits were chosen. Inputs: a field for each of `LIMITS`. Updates: all of the tab."""
        *values, request = fields
        yield from super().ready(request)
        workspace = self.workspace(visitor, request)
        workspace.set_limits(read_limits(values))
        yield {**self._all(workspace), "message": render.message("The limits are saved; the curves are judged by them now.")}

    @handler(Cost(files=1))
    def monitor_files(self, visitor: Any, request: gr.Request) -> Updates:
        """The check-ups shall become files. Updates: monitor-files-said."""
        yield from super().ready(request)
        workspace = self.workspace(visitor, request)
        monitor = self.lab.monitor
        edits = monitor.edits(workspace)
        names = {id: edit.name for id, edit in _known(workspace).items()}
        edits.insert(2, "edit", edits["id"].map(names))
        links = []
        for name, frame in {"check-ups": monitor.health(workspace).table, "edits": edits}.items():
            path = self.lab.downloads.place() / f"{name}.csv"
            path.write_text(frame_csv(frame), encoding="utf-8")
            token = self.lab.downloads.offer(workspace.name, path)
            links.append(link(token, f"Download {path.name} ({len(frame):,} row{'' if len(frame) == 1 else 's'})"))
        yield {"monitor-files-said": Markup(" ").join(links)}

    # --- parts ------------------------------------------------------------------------------------------------------

    def _stamp(self, workspace: Workspace) -> str:
        """Which state of the edits and of the check-ups is shown."""
        number, at = self.lab.monitor.latest(workspace)
        return f"{self.lab.metrics.digest(workspace.name)} {workspace.state.number} {number} {at}"

    def _now(self, workspace: Workspace) -> Update:
        """How far the check-up is that waits or runs, or why the last one came to nothing."""
        job = self.lab.monitor.open(workspace)
        if job is None:
            problem = self.lab.monitor.problem(workspace)
            return {"monitor-now": render.message(words.failed(problem), "problem") if problem else ""}
        text = words.status(job.state, job.fraction, workspace.ahead(job))
        return {"monitor-now": render.progress(text, job.fraction)}

    def _all(self, workspace: Workspace) -> Update:
        """Everything about the edits."""
        health = self.lab.monitor.health(workspace)
        changes = [moment for moment in history.timeline(workspace) if moment.changed]
        limits = limits_of(workspace.state.limits)
        frame = checkups(health.table, changes)
        return {
            "monitor-verdict": self._verdict(workspace, health, changes),
            **panels(frame, limits),
            **{f"monitor-limit-{name}": shown_limit(name, getattr(limits, name)) for name in LIMITS},
            **retention(frame, self.lab.monitor.edits(workspace), _known(workspace)),
            "monitor-files-said": "",
        }

    def _verdict(self, workspace: Workspace, health: Health, changes: Sequence[Moment]) -> str:
        stamp, state, table = self._stamp(workspace), workspace.state, health.table
        if not _lies(workspace):
            return monitor_table.ruling("", ["No edit lies over the model: there is nothing to watch."], [], stamp)
        if table.empty:
            return monitor_table.ruling("", ["Not checked yet."], [words.unchecked(len(changes))], stamp)
        last = table.iloc[-1]
        notes = [words.checked(last["at"], int(last["edits"]), last["seconds"])]
        fresh = self.lab.monitor.fresh(workspace)
        if fresh:
            earlier = same_before(table, state.chains)
            if earlier is not None:
                notes.append(words.restored(*earlier))
        else:
            notes.append(words.unchecked(sum(moment.number > last["number"] for moment in changes)))
        if health.alarms:
            first, *others = by_age(health.alarms)
            said = [words.alarm(first, changes_of(first, table, changes))]
            for found in others:
                cause = changes_of(found, table, changes)
                said.append(words.also(found) if found.since == first.since else words.alarm(found, cause))
            tone, way_back = "bad", self._way_back(workspace, health)
        else:
            count = int(last["edits"])
            said = [words.healthy(round(last["holds"] * count), count, _given(last["locality"]))]
            tone, way_back = "good", ""
        if not fresh:
            said[0], tone = words.earlier(said[0]), "old"
        return monitor_table.ruling(tone, said, notes, stamp, way_back)

    def _way_back(self, workspace: Workspace, health: Health) -> str:
        """The way to the last healthy state; where none was, to the model without edits."""
        state, number = workspace.state, health.healthy or 0
        if state.chains[number] == state.chain:
            return ""
        table = health.table
        edits = int(table[table["number"] == number]["edits"].iloc[0]) if number else None
        now, then = ({edit.id: edit for edit in chain if edit.on} for chain in (state.chain, state.chains[number]))
        leave = [edit for id, edit in now.items() if id not in then]
        come = [edit for id, edit in then.items() if id not in now]
        return monitor_table.way_back(number, edits, state.number, leave, come)

    def _service(self) -> Update:
        """How the service does, with nothing that tells who asks."""
        lab, service = self.lab, self.lab.metrics
        now = service.now()
        faults = now["faults"] if not (lab.limits.demo or lab.settings.auth) else []
        said = words.service(now["waiting"], now["running"], len(now["faults"]))
        memory = words.memory(now["process_bytes"], now["gpu_bytes"], now["planned_bytes"])
        return {
            "monitor-service": monitor_table.service(said, faults, memory, service.since),
            "monitor-jobs": monitor_table.jobs(lab.worker.open, time.monotonic()),
            "monitor-operations": monitor_table.operations(service.table()),
        }


def checkups(table: DataFrame, changes: Sequence[Moment]) -> DataFrame:
    """The check-ups with what hover says of each: the change that it followed."""
    said = []
    for row in table.itertuples():
        before = [moment for moment in changes if moment.number <= row.number]
        said.append(words.followed(int(row.edits), before[-1] if before else None))
    return table.assign(told=said)


def panels(frame: DataFrame, limits: AlarmLimits) -> Update:
    """Every panel's number and meaning, and its curve."""
    update: Update = {}
    for name in words.PANELS:
        limit = getattr(limits, name, None)
        values = [_given(value) for value in frame[name]]
        over = [limit is not None and beyond(name, value, limit) for value in values]
        own = frame[["edits", "told", *METRICS]].assign(beyond=over)
        lines = {name: "own question"} | ({"retention": "all three"} if name == "holds" else {})
        known = any(value is not None for value in values)
        update[f"monitor-{name}"] = monitor_table.panel(
            name,
            words.figure(name, values[-1]) if values else "",
            words.limit(name, limit),
            bool(over and over[-1]),
        )
        share = name in words.SHARES
        update[f"monitor-{name}-plot"] = figures.curve(own, lines, limit, share) if known else None
    return update


def retention(frame: DataFrame, held: DataFrame, known: Mapping[str, Edit]) -> Update:
    """Which edit held when: the picture and its table."""
    if held.empty:
        return {"monitor-retention-plot": None, "monitor-retention-table": ""}
    ids = list(dict.fromkeys(held["id"]))
    shares = held.pivot(index="id", columns="number", values="share").reindex(index=ids, columns=frame["number"].tolist())
    names = [known[id].name if id in known else id for id in ids]
    values = [[_given(value) for value in row] for row in shares.to_numpy().tolist()]
    rows = edit_rows(frame, held, names, [known[id].at if id in known else "" for id in ids])
    return {
        "monitor-retention-plot": figures.retention(frame, names, values),
        "monitor-retention-table": monitor_table.edits(rows),
    }


def edit_rows(frame: DataFrame, held: DataFrame, names: Sequence[str], at: Sequence[str]) -> DataFrame:
    """A row an edit, those first of which most was lost: see `monitor_table.edits`."""
    latest, checked = int(frame["number"].iloc[-1]), frame.set_index("number")
    rows = []
    for place, (_, own) in enumerate(held.groupby("id", sort=False)):
        here = int(own["number"].iloc[-1]) == latest
        now, holds = (float(own["share"].iloc[-1]), bool(own["holds"].iloc[-1])) if here else (None, None)
        held_last = own[own["holds"]]["number"].max()
        after = own[own["number"] > held_last]["number"]
        first = checked.loc[after.iloc[0]] if len(after) else None
        since = None if first is None else (first["at"], int(first["edits"]))
        birth = float(own["share"].iloc[0])
        said = words.lost(now, holds, since)
        rows.append((place + 1, names[place], at[place], birth, now, said, here and not holds))
    table = DataFrame(rows, columns=["place", "name", "at", "birth", "now", "told", "lost"])
    gone = table["now"].isna()
    order = table.assign(gone=gone, fell=table["now"] - table["birth"])
    return table.loc[order.sort_values(["gone", "lost", "fell", "place"], ascending=[True, False, True, True]).index]


def same_before(table: DataFrame, chains: Sequence[tuple[Edit, ...]]) -> tuple[int, int, float] | None:
    """The latest earlier check-up of the same edits with others between: its edits, its event, the largest difference."""
    *before, last = table.to_dict("records")
    between = False
    for row in reversed(before):
        if chains[row["number"]] != chains[last["number"]]:
            between = True
        elif between:
            pairs = [(_given(row[name]), _given(last[name])) for name in METRICS]
            gaps = [0.0 if one == other else abs(one - other) for one, other in pairs if one is not None is not other]
            return int(row["edits"]), int(row["number"]), max(gaps, default=0.0)
    return None


def changes_of(found: Alarm, table: DataFrame, changes: Sequence[Moment]) -> list[Moment]:
    """What changed between the last check-up without an alarm and the first with it."""
    before = table[table["number"] < found.since]["number"]
    start = int(before.iloc[-1]) if len(before) else 0
    return [moment for moment in changes if start < moment.number <= found.since]


def by_age(alarms: Sequence[Alarm]) -> list[Alarm]:
    """The one first that began first."""
    return sorted(alarms, key=lambda found: found.since)


def read_limits(values: Sequence[Any]) -> dict[str, float]:
    """The limits that were typed, shares in percent. Raises `BadRequest` for what is no number."""
    limits = {}
    for name, value in zip(LIMITS, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadRequest(f"“{words.PANELS[name].limit}” is empty. Write a number.")
        limits[name] = value / 100 if name in LEAST else value
    return limits


def shown_limit(name: str, value: float) -> float:
    """A limit as its field shows it: a share in percent."""
    return round(100 * value, 6) if name in LEAST else value


def _lies(workspace: Workspace) -> bool:
    """Whether an edit lies over the model."""
    return any(edit.on for edit in workspace.state.chain)


def _known(workspace: Workspace) -> dict[str, Edit]:
    """Every edit that ever lay here."""
    return {edit.id: edit for chain in workspace.state.chains for edit in chain}


def _given(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise BadRequest("This button is not on the page any more. Reload the page.")
    return int(text)
