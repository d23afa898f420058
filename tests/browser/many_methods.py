"""The app with as many methods as there may be: throw-away ones of every group beside the real ones."""

import sys

from editlab import methods
from editlab.serve import main

ROME = methods.METHODS["rome"]
MANY = 16


def throw_away(number: int, group: str) -> methods.Method:
    """Return ROME under another name."""
    own = {"name": f"other-{number}", "title": f"Other {number}: one more way to edit", "group": group, "like": "rome"}
    return type("Other", (type(ROME),), {**own, "about": f"The other way {number} (Nobody et al. 2026)."})()


if __name__ == "__main__":
    groups = list(methods.GROUPS)
    methods.METHODS.update({(own := throw_away(n, groups[n % len(groups)])).name: own for n in range(MANY)})
    sys.exit(main())
