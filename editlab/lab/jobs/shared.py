"""Results that are computed once for all workspaces: equal questions about equal views have equal answers.

What is equal is told by content alone, the text that is asked and all that lies in the views, never by who asks or where.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeVar

from editlab.patches import View

MOST = 1_000
"""Results that are kept: an edit with all its probes has about a dozen."""

T = TypeVar("T")


class Shared:
    """The latest results of the worker, by the content of what was asked. Only for the worker's thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def once(self, key: Hashable, compute: Callable[[], T], usable: Callable[[T], bool] = lambda result: True) -> T:
        """Return what was computed for an equal key before and is still `usable`, else compute and keep it."""
        known = self.find(key)
        if known is not None and usable(known):
            return known
        return self.keep(key, compute())

    def written(self, key: Hashable, write: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield what is being written, and keep the last of it; of what was written before, the last alone."""
        last = self.find(key)
        if last is not None:
            yield last
            return
        for last in write():
            yield last
        self.keep(key, last)

    def find(self, key: Hashable) -> Any:
        """Return what is kept for an equal key; None where nothing is."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, key: Hashable, result: T) -> T:
        """Keep a result, which nobody may change from now on, and return it."""
        self._kept[key] = result
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return result

    def clear(self) -> None:
        """Forget all results."""
        self._kept.clear()


def digests(views: Mapping[str, View]) -> tuple[tuple[str, str], ...]:
    """Return the names of views with the hashes of what lies in them."""
    return tuple((name, view.digest) for name, view in views.items())
