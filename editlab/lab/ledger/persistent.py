"""A persistent list: every version stays unchanged, and a version with one more item needs no copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

T = TypeVar("T")


class PersistentList(Sequence[T]):
    """An immutable sequence, of which `append` and `pop` return new versions in constant time.

    Successive versions share one list, and each of them sees a prefix of it. Only another item behind a version that has one
    behind it already copies the items; the same item again does not. It equals any sequence of the same items.
    """

    __hash__ = None

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = list(items)
        self._length = len(self._items)

    def append(self, item: T) -> PersistentList[T]:
        """Return the list with one more item."""
        items = self._items
        if self._length < len(items) and items[self._length] is item:  # what was popped comes back
            return self._prefix(items, self._length + 1)
        if self._length == len(items) > 1:  # a short one is copied, so that a shared start does not keep items alive
            items.append(item)
            if items[self._length] is item:  # else another thread has appended at the same time
                return self._prefix(items, self._length + 1)
        return type(self)((*items[: self._length], item))

    def pop(self) -> PersistentList[T]:
        """Return the list without its last item. Raises `IndexError` where it is empty."""
        if not self._length:
            raise IndexError("pop from an empty list")
        return self._prefix(self._items, self._length - 1)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        """Return one item, or a tuple of several."""
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
    def _prefix(cls, items: list[T], length: int) -> PersistentList[T]:
        prefix = cls()
        prefix._items, prefix._length = items, length
        return prefix
