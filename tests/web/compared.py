"""Methods that are compared: one that is instant, some that fail, and rows as a comparison has them."""

from instant import Instant
from pandas import DataFrame
from visitors import wait_until

from editlab.errors import BadRequest
from editlab.lab.asking.comparing import Compared


class Failing(Instant):
    """A method that says why it makes no edit."""

    name, title = "failing", "Failing"

    def edit(self, model, requests, *given, **named):
        raise BadRequest("This fact has no second token. Choose another one.")


class Waiting(Instant):
    """A method that goes on until it is stopped."""

    name, title = "waiting", "Waiting"

    def edit(self, model, requests, view, config, progress, cancel):
        wait_until(cancel)
        return super().edit(model, requests)


class Broken(Instant):
    """A method with a bug."""

    name, title = "broken", "Broken"

    def edit(self, model, requests, *given, **named):
        raise ZeroDivisionError("a bug")


def row_of(method: str = "rome", seconds: float = 1.0, **counts: tuple[int, int]) -> Compared:
    """Return a method that is done with these counts by kind: how many are as they should be, of how many."""
    rows = [
        {
            "kind": kind,
            "domain": "",
            "text": f"{kind} {number}",
            "expected": "x",
            "base.answer": "y",
            "base.hit": False,
            "edited.answer": ("y" if kind in ("locality", "same_subject") else "x") if number < good else "z",
            "edited.hit": number < good,
            "edited.same": float(number < good),
        }
        for kind, (good, asked) in counts.items()
        for number in range(asked)
    ]
    return Compared(method, seconds=seconds, size=1_200, answer={"text": "x."}, frame=DataFrame(rows), done=True)
