"""The words of a workshop: at its door, on a participant's page, and on the presenter's panel."""

from __future__ import annotations

DOOR = (
    "You get a workspace of your own, without an account. The presenter sees your number, how many edits you make and what "
    "you guess, and not what you write. The workspace is kept on this server like every other one: write nothing private."
)
JOIN = "Join"
LOGGED_IN = "You are logged in as {}. Participants need no login: open this link in a private window, or log out first."
CLOSED, OVER = "This link leads nowhere", "The workshop is over"
NOBODY = "You take part in no workshop. Open the link that the presenter shows."
NO_GUESS = "This is no guess. Reload the page."

WAITING = "The presenter asks nothing now. Try an edit of your own."
CHOOSE = "What do you think?"
SENT = "Sent: {}. You can change it until the answer is told."
RIGHT, WRONG, NONE = "You said {}: right.", "You said {}. The answer is {}.", "The answer is {}."


def said(options: tuple[str, ...], choice: int | None, answer: int | None) -> str:
    """Return what became of a guess, or that it is still open."""
    if answer is None:
        return CHOOSE if choice is None else SENT.format(options[choice])
    if choice is None:
        return NONE.format(options[answer])
    return RIGHT.format(options[choice]) if choice == answer else WRONG.format(options[choice], options[answer])


# The presenter's panel

TITLE, LEAD = (
    "Audience",
    (
        "Let people take part on their phones: each gets a copy of the workspace that is open now, without an account, and "
        "guesses before a step tells."
    ),
)
OPEN = "The workshop is open until {} UTC. {} of {} have joined."
ENDED = "“{}” is over. Its results can be exported as long as its workspaces are kept."
LOOPBACK = (
    "Phones cannot reach this address: it is this computer's own. Start EditLab with --host 0.0.0.0 and --auth FILE, then "
    "open this page by this computer's name or address in the room's network."
)
PLAIN_HTTP = "The link is not encrypted (http). In a room whose network you do not trust, put TLS in front."
NO_QUESTION = "A scenario's guess is asked here when you reach it."
OPENED, CLOSED_NOW = "“{}” is open. People can join.", "“{}” is closed."
REMOVED, RESET = "Participant {} is gone.", "Participant {} has the edits of the beginning again."
REVEALED_NOW, WITHDRAWN, FORGOTTEN = "The answer is told.", "Nothing is asked now.", "All guesses are deleted."
NOTHING_ASKED = "Nothing is asked now. Go to a guess of a scenario first."
FILE = "Download {}"


def ago(seconds: float) -> str:
    """Return how long ago something was, in whole minutes: a text that does not change from second to second."""
    minutes = int(max(0.0, seconds) / 60)
    return "now" if minutes < 1 else f"{minutes:,} min ago"
