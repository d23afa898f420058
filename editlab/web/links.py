"""What an address asks for when somebody opens it, and the question that comes first where others would see the change.

A link comes from anybody. It may show something; what it would change, or where it would lead, is asked first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

from editlab.lab import Room, Workspace
from editlab.web import forms

TURNS = {"mask": "the reversal mask", "guard": "the guard"}
"""What an address can turn on and off."""


@dataclass(frozen=True)
class Link:
    """What an address asks for beside what it shows: to open `room`, and to turn the switches that stand otherwise there."""

    room: Room
    here: Room
    switches: Mapping[str, str] = field(default_factory=dict)

    @property
    def acts(self) -> bool:
        """Whether it asks for anything at all."""
        return self.room.id != self.here.id or bool(self.switches)

    @property
    def asks(self) -> bool:
        """Whether that is asked first: it leads elsewhere, or others would see the change."""
        return self.acts and (self.room.id != self.here.id or self.here.shared)


def switches(url: Mapping[str, str], workspace: Workspace) -> dict[str, str]:
    """Return the switches that an address wants otherwise than they are in a workspace."""
    now = {"mask": workspace.masked, "guard": workspace.guarded}
    wanted = {name: url[name] for name in TURNS if url.get(name) in forms.SWITCHED}
    return {name: state for name, state in wanted.items() if forms.read_switch(state) != now[name]}


def question(link: Link) -> str:
    """Return the question whether a link may do what it asks for, with both answers."""
    moves = link.room.id != link.here.id
    turned = [f"turns {TURNS[name]} {state}" for name, state in link.switches.items()]
    does = [f"opens the {'shared ' * link.room.shared}workspace “{link.room.name}”"] * moves + turned
    said = f"This link {' and '.join(does)}{' there' * bool(moves and turned)}. "
    own = "which others see and change too" if link.here.shared else "which you alone see"
    told = f"You are in “{link.here.name}”, {own}."
    yes, no = ("Open it", "Stay here") if moves else ("Turn it", "Leave it as it is")
    data = Markup("").join(Markup(' data-{}="{}"').format(name, state) for name, state in link.switches.items())
    return Markup(
        '<section class="asks" role="alertdialog" aria-label="What this link asks for"><p>{}{}</p><div>'
        '<button type="button" class="go" data-press="follow" data-room="{}"{}>{}</button>'
        '<button type="button" data-press="stay">{}</button></div></section>'
    ).format(said, told, link.room.handle, data, yes, no)


def where(room: Room | None) -> str:
    """Return the line that names the workspace somebody is in; empty where nobody knows it by a name."""
    if room is None:
        return ""
    who = "others see and change it too" if room.shared else "private"
    return Markup('<p class="where"><span>Workspace</span> <b>{}</b> <span>{}</span></p>').format(room.name, who)
