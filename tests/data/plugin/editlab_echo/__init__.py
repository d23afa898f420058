"""A method that lives in a package of its own: R-ROME under another name."""

from editlab.methods.rome import RRome


class Echo(RRome):
    """ROME once more, to show that a method needs nothing of the repository."""

    name = "echo"
    title = "Echo: ROME from another package"
    about = "R-ROME, as another package brings it."


class Broken:
    """No method."""

    name = "broken"
