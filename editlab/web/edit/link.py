"""Links: what an address asks the page to do, and the question that comes first where it matters.

Anybody can send a link. It may show something. Before it opens another workspace or changes a shared one, the page asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup

from editlab.facts import EditRequest
from editlab.lab import Workspace, WorkspaceInfo
from editlab.lab.ledger.events import name_of
from editlab.web.core import forms
from editlab.web.core.html import render
from editlab.web.core.inputs import Id, Pressed, Switch
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.wording import join

SWITCHES = {
    "mask": (noop("turns the reversal mask off"), noop("turns the reversal mask on")),
    "guard": (noop("turns the guard off"), noop("turns the guard on")),
}
"""The switches that an address can set, and what a link does that turns them off or on."""
FIELDS = ("subject", "prompt", "new", "true")
"""The parameters of a request in an address."""


class PressedLink(Pressed):
    """An answer to the question that a link brings."""

    press: Literal["follow", "stay", "run"]
    workspace: Id = ""
    mask: Switch | None = None
    guard: Switch | None = None


@dataclass(frozen=True)
class Link:
    """What an address asks for: to open the workspace `there`, and to set the switches that differ there.

    shown: whether the owner of this computer has asked for that workspace in a notebook.
    """

    there: WorkspaceInfo
    here: WorkspaceInfo
    switches: Mapping[str, bool] = field(default_factory=dict)
    shown: bool = False

    @property
    def acts(self) -> bool:
        """Return whether it would change anything."""
        return self.there.id != self.here.id or bool(self.switches)

    @property
    def asks(self) -> bool:
        """Return whether to ask first: it opens another workspace, or others would see the change."""
        moves = self.there.id != self.here.id
        return self.acts and (self.here.shared or moves) and not (self.shown and moves and not self.switches)


def switches(parameters: Mapping[str, str], workspace: Workspace) -> dict[str, bool]:
    """Return the switches that an address wants to be different from what they are in a workspace."""
    now = {"mask": workspace.masked, "guard": workspace.guarded}
    wanted = {name: parameters[name] == "on" for name in SWITCHES if parameters.get(name) in ("off", "on")}
    return {name: on for name, on in wanted.items() if on != now[name]}


def question(link: Link) -> Markup:
    """Return the question whether to do what a link asks for, with both answers."""
    moves = link.there.id != link.here.id
    states = {name: "on" if on else "off" for name, on in link.switches.items()}
    opens = _("opens the shared workspace “{name}”") if link.there.shared else _("opens the workspace “{name}”")
    turns = [_(SWITCHES[name][on]) for name, on in link.switches.items()]
    acts = join([opens.format(name=link.there.name)] * moves + turns)
    does = _("This link {acts} there.") if moves and turns else _("This link {acts}.")
    if link.here.shared:
        seen = _("You are in “{name}”, which others can see and change.")
    else:
        seen = _("You are in “{name}”, which only you can see.")
    text = f"{does.format(acts=acts)} {seen.format(name=link.here.name)}"
    yes, no = (_("Open it"), _("Stay here")) if moves else (_("Do it"), _("Leave it as it is"))
    return render("edit/link.html", text=text, press="follow", workspace=link.there.handle, switches=states, yes=yes, no=no)


def request_of(parameters: Mapping[str, str]) -> EditRequest | None:
    """Return the request that an address holds, None where it holds none. Raises `BadRequest` where it is not valid."""
    if not parameters.get("subject") and not parameters.get("prompt"):
        return None
    subject, prompt, new, true = (parameters.get(name, "") for name in FIELDS)
    return forms.read_request(subject, prompt, new, true)


def run_question(request: EditRequest, here: WorkspaceInfo) -> Markup:
    """Return the question whether to apply the edit that a link brings."""
    if here.shared:
        text = _("This link applies an edit: {edit}. It goes into “{name}”, which others see, and can be undone.")
    else:
        text = _("This link applies an edit: {edit}. It goes into “{name}”, which only you see, and can be undone.")
    text, yes, no = text.format(edit=name_of(request), name=here.name), _("Apply it"), _("Only look")
    return render("edit/link.html", text=text, press="run", workspace="", switches={}, yes=yes, no=no)


def where(info: WorkspaceInfo | None, event: int) -> Markup:
    """Return the line that names the open workspace, with the number of its last event; empty without one."""
    return Markup() if info is None else render("edit/where.html", info=info, event=event)
