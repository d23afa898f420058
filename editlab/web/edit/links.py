"""Links: what an address asks the page to do, and the question that comes first where it matters.

Anybody can send a link. It may show something. Before it opens another workspace or changes a shared one, the page asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

from editlab.lab import Workspace, WorkspaceInfo
from editlab.web.core import forms

TURNS = {"mask": "the reversal mask", "guard": "the guard"}
"""The switches that an address can set."""


@dataclass(frozen=True)
class Link:
    """What an address asks for: to open `room`, and to set the switches that stand differently there."""

    room: WorkspaceInfo
    here: WorkspaceInfo
    switches: Mapping[str, str] = field(default_factory=dict)

    @property
    def acts(self) -> bool:
        """Return whether it would change anything."""
        return self.room.id != self.here.id or bool(self.switches)

    @property
    def asks(self) -> bool:
        """Return whether to ask first: it opens another workspace, or others would see the change."""
        return self.acts and (self.room.id != self.here.id or self.here.shared)


def switches(url: Mapping[str, str], workspace: Workspace) -> dict[str, str]:
    """Return the switches that an address wants to be different from what they are in a workspace."""
    now = {"mask": workspace.masked, "guard": workspace.guarded}
    wanted = {name: url[name] for name in TURNS if url.get(name) in forms.SWITCHED}
    return {name: state for name, state in wanted.items() if forms.read_switch(state) != now[name]}


def question(link: Link) -> str:
    """Return the question whether to do what a link asks for, with both answers, as HTML."""
    moves = link.room.id != link.here.id
    turned = [f"turns {TURNS[name]} {state}" for name, state in link.switches.items()]
    does = [f"opens the {'shared ' * link.room.shared}workspace “{link.room.name}”"] * moves + turned
    said = f"This link {' and '.join(does)}{' there' * bool(moves and turned)}. "
    own = "which others can see and change" if link.here.shared else "which only you can see"
    told = f"You are in “{link.here.name}”, {own}."
    yes, no = ("Open it", "Stay here") if moves else ("Do it", "Leave it as it is")
    data = Markup("").join(Markup(' data-{}="{}"').format(name, state) for name, state in link.switches.items())
    return Markup(
        '<section class="asks" role="alertdialog" aria-label="What this link asks for"><p>{}{}</p><div>'
        '<button type="button" class="go" data-press="follow" data-room="{}"{}>{}</button>'
        '<button type="button" data-press="stay">{}</button></div></section>'
    ).format(said, told, link.room.handle, data, yes, no)


def where(room: WorkspaceInfo | None) -> str:
    """Return the line that names the open workspace, as HTML; empty without one."""
    if room is None:
        return ""
    who = "shared: others can see and change it" if room.shared else "private"
    return Markup('<p class="where"><span>Workspace</span> <b>{}</b> <span>{}</span></p>').format(room.name, who)
