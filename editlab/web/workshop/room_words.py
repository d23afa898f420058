"""The words of a workshop: at its door, on a participant's page, and on the presenter's panel."""

from __future__ import annotations

from editlab.wording import count

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


def guesses(number: int) -> str:
    """Return how many guessed."""
    return count(number, "guess", "guesses")
