"""The pieces of the Monitor tab that are set from numbers: the verdict and the way back, the edits, the service.

Every text of a person or of the model goes through `Markup`, which escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup, escape
from pandas import DataFrame

from editlab.lab import Job
from editlab.lab.ledger.events import EditFields
from editlab.web.monitor import words as words
from editlab.web.workspace.rooms import when

LOOKS = """
const look = () => {
  if (!element.isConnected) clearInterval(timer);
  else if (!document.hidden && element.offsetParent) {
    const shown = document.querySelector("#monitor-verdict [data-stamp]")?.dataset.stamp ?? "";
    trigger("select", { press: "look", stamp: shown });
  }
};
const timer = setInterval(look, 2000);
"""
"""Asks every 2 s what is new, as long as the tab is seen; says which check-up it shows, so that it is not drawn twice."""
LOCAL = """
element.setAttribute("aria-live", "polite");
const local = () => {
  for (const time of element.querySelectorAll("time:not([data-local])")) {
    const at = new Date(time.dateTime), today = at.toDateString() === new Date().toDateString();
    time.dataset.local = "";
    time.textContent = at.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
  }
};
new MutationObserver(local).observe(element, { childList: true, characterData: true, subtree: true });
local();
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-press]");
  if (button) trigger("select", { ...button.dataset });
});
"""
"""As `parts.PRESSED`; a sentence is said when it changes, and times stand as the reader's clock shows them."""


def ruling(tone: str, sentences: Sequence[str], notes: Sequence[str], stamp: str, way_back: str = "") -> str:
    """The first sentence, large, then the others; `tone`: good, bad, old or none. `way_back` stands beside the first one."""
    first, *more = map(_glued, sentences)
    rest = Markup("").join(Markup("<li>{}</li>").format(text) for text in more)
    said = Markup("").join(Markup('<p class="hint">{}</p>').format(text) for text in notes)
    return Markup('<div class="ruling {}" data-stamp="{}"><h2 class="large">{}</h2>{}{}{}</div>').format(
        tone, stamp, first, way_back, Markup('<ul class="also">{}</ul>').format(rest) if more else "", said
    )


def _glued(text: str) -> Markup:
    """A sentence in which no number is parted from its sign."""
    return Markup(re.sub(r"(?<=\d) (?=%)", "\N{NO-BREAK SPACE}", escape(text)))


def way_back(number: int, edits: int | None, seen: int, leave: Sequence[EditFields], come: Sequence[EditFields]) -> str:
    """The one button: it shows first which edits leave and which come back. `seen`: the event that the page has seen."""
    lists = Markup("").join(
        Markup('<div><h3>{}</h3><ol tabindex="0" aria-label="{}">{}</ol></div>').format(
            title, title, Markup("").join(Markup("<li>{}</li>").format(edit.name) for edit in changed)
        )
        for title, changed in (("These leave", leave), ("These come back", come))
        if changed
    )
    counts = (sum(len(edit.requests) for edit in changed) for changed in (leave, come))
    return Markup(
        '<details class="return"><summary>{}</summary><div><p>{}</p>{}<button type="button" data-press="return" '
        'data-to="{}" data-seen="{}">Return</button></div></details>'
    ).format(words.return_title(edits), words.leaving(*counts), lists, number, seen)


def panel(name: str, value: str, limit: str, beyond: bool) -> str:
    """A panel's head: what it is called, its number now, its limit, and what it means."""
    own = words.PANELS[name]
    return Markup('<h3>{}</h3><p class="now {}"><b>{}</b> <span>{}</span></p><p class="hint">{}</p>').format(
        own.title, "beyond" if beyond else "", value, limit, own.meaning
    )


def edits(rows: DataFrame) -> str:
    """Each edit, those first of which most was lost. Columns: `place`, `name`, `at`, `birth`, `now`, `told`, `lost`."""
    if rows.empty:
        return ""
    cells = Markup("").join(
        Markup('<tr class="{}"><td class="number">{}</td><th scope="row">{}</th><td>{}</td>{}{}<td>{}</td></tr>').format(
            "lost" if row["lost"] else "",
            f"{row['place']:,}",
            row["name"],
            when(row["at"]),
            _share(row["birth"]),
            _share(row["now"]),
            row["told"],
        )
        for row in rows.to_dict("records")
    )
    heads = ("No.", "Edit", "Applied", "When made", "Now", "Its own question")
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(text) for text in heads)
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="What each edit still holds"><table><thead><tr>{}</tr>'
        "</thead><tbody>{}</tbody></table></div>"
    ).format(head, cells)


def _share(value: float | None) -> Markup:
    if value is None or value != value:
        return Markup('<td class="number">–</td>')
    return Markup('<td class="number">{}</td>').format(words.figure("retention", value))


def service(said: str, faults: Sequence[str], memory: str, since: str) -> str:
    """How the service does: a sentence, what is wrong, memory, and since when these figures are counted."""
    wrong = Markup("").join(Markup('<p class="problem">{}</p>').format(fault) for fault in faults)
    return Markup('<p class="finding">{}</p>{}<p>{}</p><p class="hint">Counted since {}.</p>').format(
        said, wrong, memory, when(since)
    )


def jobs(open_jobs: Sequence[Job], clock: float) -> str:
    """What runs and waits: its kind and its seconds, nothing of who asked. `clock`: the monotonic one."""
    if not open_jobs:
        return ""
    items = Markup("").join(
        Markup('<li class="{}"><b>{}</b> <span>{} for {}</span></li>').format(
            job.state,
            words.KINDS.get(job.kind, job.kind),
            "runs" if job.state == "running" else "waits",
            words.seconds(clock - (job.began if job.state == "running" else job.submitted)),
        )
        for job in open_jobs
    )
    return Markup('<ol class="line" tabindex="0" aria-label="What runs and waits">{}</ol>').format(items)


def operations(table: DataFrame) -> str:
    """The service's table: how often each operation was asked for, how long it waited and ran, and its errors."""
    if table.empty:
        return Markup('<p class="hint">Nothing has been asked since EditLab was started.</p>')
    heads = (
        "Operation",
        "How often",
        "Half waited up to",
        "95 % waited up to",
        "Half ran up to",
        "95 % ran up to",
        "Errors",
    )
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(text) for text in heads)
    rows = Markup("").join(_operation(row) for row in table.to_dict("records"))
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="Operations"><table><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>"
    ).format(head, rows)


def _operation(row: dict) -> Markup:
    times = (words.seconds(row[name]) for name in ("wait_p50", "wait_p95", "run_p50", "run_p95"))
    cells = Markup("").join(
        Markup('<td class="number">{}</td>').format(text) for text in (f"{row['count']:,}", *times, f"{row['errors']:,}")
    )
    kind = words.KINDS.get(row["kind"], row["kind"])
    return Markup('<tr class="{}"><th scope="row">{}</th>{}</tr>').format("lost" if row["errors"] else "", kind, cells)
