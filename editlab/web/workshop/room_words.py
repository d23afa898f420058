"""The words of a workshop: at its door, on a participant's page, and on the presenter's panel."""

from __future__ import annotations

from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.wording import number

DOOR = noop(
    "You get a workspace of your own, without an account. The presenter sees your number, how many edits you make and what "
    "you guess, and not what you write. The workspace is kept on this server like every other one: write nothing private."
)
JOIN = noop("Join")
LOGGED_IN = noop(
    "You are logged in as {}. Participants need no login: open this link in a private window, or log out first."
)
CLOSED, OVER = noop("This link leads nowhere"), noop("The workshop is over")
NOBODY = noop("You take part in no workshop. Open the link that the presenter shows.")
NO_GUESS = noop("This is no guess. Reload the page.")

WAITING = noop("The presenter asks nothing now. Try an edit of your own.")
CHOOSE = noop("What do you think?")
SENT = noop("Sent: {option}. You can change it until the answer is told.")
RIGHT, WRONG, NONE = (
    noop("You said {option}: right."),
    noop("You said {option}. The answer is {answer}."),
    noop("The answer is {answer}."),
)


def said(options: tuple[str, ...], choice: int | None, answer: int | None) -> str:
    """Return what became of a guess, or that it is still open."""
    options = tuple(map(_, options))
    if answer is None:
        return _(CHOOSE) if choice is None else _(SENT).format(option=options[choice])
    if choice is None:
        return _(NONE).format(answer=options[answer])
    text = _(RIGHT) if choice == answer else _(WRONG)
    return text.format(option=options[choice], answer=options[answer])


# The presenter's panel

TITLE, LEAD = (
    noop("Audience"),
    (
        noop(
            "Let people take part on their phones: each gets a copy of the workspace that is open now, without an account, "
            "and guesses before a step tells."
        )
    ),
)
OPEN = noop("The workshop is open until {end} UTC. {n} of {most} have joined.")
ENDED = noop("“{title}” is over. Its results can be exported as long as its workspaces are kept.")
LOOPBACK = noop(
    "Phones cannot reach this address: it is this computer's own. Start EditLab with --host 0.0.0.0 and --auth FILE, then "
    "open this page by this computer's name or address in the room's network."
)
PLAIN_HTTP = noop("The link is not encrypted (http). In a room whose network you do not trust, put TLS in front.")
NO_QUESTION = noop("A scenario's guess is asked here when you reach it.")
OPENED, CLOSED_NOW = noop("“{title}” is open. People can join."), noop("“{title}” is closed.")
REMOVED, RESET = noop("Participant {n} is gone."), noop("Participant {n} has the edits of the beginning again.")
REVEALED_NOW, WITHDRAWN, FORGOTTEN = (
    noop("The answer is told."),
    noop("Nothing is asked now."),
    noop("All guesses are deleted."),
)
NOTHING_ASKED = noop("Nothing is asked now. Go to a guess of a scenario first.")
FILE = noop("Download {file}")


def ago(seconds: float) -> str:
    """Return how long ago something was, in whole minutes: a text that does not change from second to second."""
    minutes = int(max(0.0, seconds) / 60)
    return _("now") if minutes < 1 else _("{n} min ago").format(n=number(minutes))
