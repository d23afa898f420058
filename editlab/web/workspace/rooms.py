"""The workspaces on the page: those that a visitor may open, and the head of the one that is open.

Names and every other text of a person go through `Markup`, which escapes them.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from editlab.lab import Moment, WorkspaceInfo
from editlab.lab.ledger.directory import LONGEST_NAME
from editlab.web.workspace import words

TYPED = """
const send = (button) => {
  const text = button.closest("details")?.querySelector("input")?.value ?? "";
  trigger("select", { ...button.dataset, text });
};
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-press]");
  if (button) send(button);
});
element.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && event.target.matches("input")) {
    event.preventDefault();
    send(event.target.closest("details").querySelector("[data-press]"));
  }
});
"""
"""As `parts.PRESSED`, with what was typed in the field beside the button; Enter in the field presses it."""


def rooms(own: Sequence[WorkspaceInfo], current: WorkspaceInfo, deleted: Sequence[WorkspaceInfo] = ()) -> str:
    """All workspaces as buttons, the open one marked, a way to make another one, and what can be brought back."""
    items = Markup("").join(_room(room, current) for room in own)
    new = _typed("New workspace", "New workspace’s name", "", "new", "Make it", current)
    gone = Markup("").join(
        Markup(
            '<li><span>{}</span><button type="button" data-press="restore" data-room="{}">Bring back</button></li>'
        ).format(room.name, room.handle)
        for room in deleted
    )
    bin = Markup("<details><summary>Deleted ({})</summary><ul>{}</ul></details>").format(len(deleted), gone)
    return Markup('<nav aria-label="Workspaces"><ul class="rooms" tabindex="0">{}</ul></nav>{}{}').format(
        items, new, bin if deleted else ""
    )


def _room(room: WorkspaceInfo, current: WorkspaceInfo) -> Markup:
    here = room.id == current.id
    who = "private" if not room.shared else "shared by you" if room.mine else "shared with you"
    return Markup(
        '<li><button type="button" data-press="enter" data-room="{}"{}><b>{}</b><span>{}</span></button></li>'
    ).format(room.handle, Markup(' aria-current="true"') if here else "", room.name, who)


def head(room: WorkspaceInfo, lies: str, visitors: str) -> str:
    """The open workspace: its name, who sees it, what lies in it, and what can be done to it as a whole."""
    share = ("private", "Make private") if room.shared else ("share", "Share")
    own = Markup("")
    if room.mine:
        own = Markup('<button type="button" data-press="{}" data-room="{}">{}</button>').format(
            share[0], room.handle, share[1]
        )
        own += Markup(
            "<details><summary>Delete</summary><div><p>Delete “{}”? It leaves the list; its events are kept, and you can "
            'bring it back.</p><button type="button" class="harm" data-press="delete" data-room="{}">Delete it</button>'
            "</div></details>"
        ).format(room.name, room.handle)
    rename = _typed("Rename", f"New name of {room.name}", room.name, "rename", "Rename it", room)
    return Markup(
        '<div class="title" data-room="{}" data-shared="{}"><h2>{}</h2><p>{} {}</p></div><div class="actions">{}{}</div>'
    ).format(
        room.handle,
        "yes" if room.shared else "",
        room.name,
        words.who_sees(room, visitors),
        lies,
        rename,
        own,
    )


def _typed(title: str, label: str, value: str, press: str, button: str, room: WorkspaceInfo) -> Markup:
    """A name that is asked for when its button is opened."""
    return Markup(
        '<details><summary>{}</summary><div><input type="text" maxlength="{}" placeholder="Name" aria-label="{}" value="{}">'
        '<button type="button" data-press="{}" data-room="{}" data-was="{}">{}</button></div></details>'
    ).format(title, LONGEST_NAME, label, value, press, room.handle, room.name, button)


def when(at: str) -> Markup:
    """A time; the page's script writes it as the reader's clock shows it."""
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at, at, at[:16].replace("T", " ")) if at else Markup("")


def moment(found: Moment | None) -> str:
    """The sentence of a moment; None: before anything happened."""
    if found is None:
        return Markup('<p class="finding">Before the first change: no edit lay over the model.</p>')
    return Markup('<p class="finding">{}: {}; {}.</p>').format(when(found.at), words.happened(found), words.lay(found.edits))
