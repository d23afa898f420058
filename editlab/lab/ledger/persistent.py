"""A list of which every version stays as it was, and where the next version costs one item and no copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

T = TypeVar("T")


class PersistentList(Sequence[T]):
    """An immutable sequence; `append` and `pop` give new versions in constant time.

    Versions that follow each other share one list, of which each sees its own beginning. Only who appends to a version that
    something else was appended to before copies it. It equals any sequence of the same items.
    """

    __hash__ = None

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = list(items)
        self._length = len(self._items)

    def append(self, item: T) -> PersistentList[T]:
        """This and one item more."""
        items = self._items
        if self._length == len(items) > 1:  # a short one is copied: what everybody begins with keeps nobody's items alive
            items.append(item)
            if items[self._length] is item:  # else another thread has appended at this very moment
                return self._seen(items, self._length + 1)
        return type(self)((*items[: self._length], item))

    def pop(self) -> PersistentList[T]:
        """All but the last item. Raises `IndexError` where there is none."""
        if not self._length:
            raise IndexError("there is nothing left to take away")
        return self._seen(self._items, self._length - 1)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        """One item, or several as a tuple."""
        if isinstance(place, slice):
            return tuple(self._items[number] for number in range(*place.indices(self._length)))
        return self._items[range(self._length)[place]]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return iter(self._items[: self._length])

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, PersistentList | tuple | list):
            return NotImplemented
        return len(self) == len(other) and list(self) == list(other)

    def __repr__(self) -> str:
        return f"PersistentList({list(self)!r})"

    @classmethod
    def _seen(cls, items: list[T], length: int) -> PersistentList[T]:
        found = cls()
        found._items, found._length = items, length
        return found
