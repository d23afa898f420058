"""A small file costs little: what a bundle may hold is bounded, and a fold does as much again for twice as many events."""

import json
import struct
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_bundles import bundle, empty, packed_once, rewritten  # noqa: F401 - fixtures
from test_ledger_history import edit

from editlab.errors import BadFile
from editlab.lab.ledger import archive
from editlab.lab.ledger import events as history
from editlab.lab.ledger.events import Event, State, fold
from editlab.lab.ledger.persistent import PersistentList
from editlab.lab.workspaces import bundles
from editlab.lab.workspaces.history import moments_of
from editlab.settings import Settings

# --- bundles -----------------------------------------------------------------------------------------------------------


def test_a_bundle_of_too_many_events_is_refused_before_any_is_read(empty, bundle, monkeypatch):  # noqa: F811
    many = rewritten(bundle, lambda members: members.update({archive.EVENTS: members[archive.EVENTS] * 4_000}))
    monkeypatch.setattr(archive, "_check_row", lambda row: pytest.fail("it was read"))
    with pytest.raises(BadFile, match="events; at most 5,000 are accepted here"):
        bundles.unpack(empty.lab.workspaces, "tom", many, limits=replace(bundles.LIMITS, ratio=1e9))
    assert empty.events() == 0 and empty.names() == []


def test_edits_inside_of_events_count_as_well(empty, bundle, monkeypatch):  # noqa: F811
    held = len(archive.open_archive(bundle).rows)
    with pytest.raises(BadFile, match=f"{held + 2} events and edits; at most {held + 1} are accepted here"):
        bundles.unpack(empty.lab.workspaces, "tom", bundle, limits=replace(bundles.LIMITS, events=held + 1))
    assert archive.open_archive(bundle, replace(bundles.LIMITS, events=held + 2)).report.ok


def test_a_bundle_with_too_long_a_text_of_events_is_refused_before_it_is_unpacked(empty, bundle, monkeypatch):  # noqa: F811
    monkeypatch.setattr(archive, "_unpack", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(BadFile, match="kB of events; at most 100 Bytes are accepted"):
        bundles.unpack(empty.lab.workspaces, "tom", bundle, limits=replace(bundles.LIMITS, event_bytes=100))


def test_a_bundle_of_too_many_files_is_refused(empty, bundle):  # noqa: F811
    files = {f"{number:064x}{archive.SUFFIX}": b"" for number in range(50)}
    many = rewritten(bundle, lambda members: members.update(files))
    with pytest.raises(BadFile, match="files; at most 20 are accepted here"):
        bundles.unpack(empty.lab.workspaces, "tom", many, limits=replace(bundles.LIMITS, events=20))


def test_a_bundle_that_unpacks_to_hundreds_of_times_its_size_is_refused(empty, bundle, monkeypatch):  # noqa: F811
    bomb = rewritten(bundle, lambda members: members.update({f"{'0' * 64}{archive.SUFFIX}": bytes(20 * 2**20)}))
    monkeypatch.setattr(archive, "_unpack", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(BadFile, match="times its size"):
        bundles.unpack(empty.lab.workspaces, "tom", bomb)


def test_a_demo_takes_less(empty, bundle, monkeypatch):  # noqa: F811
    given_ = []
    monkeypatch.setattr(archive, "open_archive", lambda path, limits: given_.append(limits) or pytest.fail("enough"))
    for demo in (False, True):
        monkeypatch.setattr(empty.lab.limits, "demo", demo)
        with pytest.raises(pytest.fail.Exception):
            bundles.unpack(empty.lab.workspaces, "tom", bundle)
    usual, demo = given_
    assert demo.bytes < usual.bytes and demo.events < usual.events and demo.event_bytes < usual.event_bytes
    assert not Settings(demo=False).demo  # what the lab's limits say is what the settings say


def with_size(content: bytes, name: str, size: int) -> bytes:
    """A zip file whose directory says that a member has another size."""
    at = content.rindex(name.encode()) - 46
    assert content[at : at + 4] == b"PK\x01\x02"
    return content[: at + 24] + struct.pack("<I", size) + content[at + 28 :]


@pytest.mark.parametrize("size", [0, 10])
def test_no_more_is_unpacked_than_a_member_says_to_hold(empty, bundle, size, monkeypatch):  # noqa: F811
    name = f"{'0' * 64}{archive.SUFFIX}"
    text = {"solves": ["0" * 64]}
    bomb = rewritten(bundle, lambda members: members.update({name: bytes(64 * 2**20)}))
    bomb.write_bytes(with_size(bomb.read_bytes(), name, size))
    held = []
    real = zipfile.zlib.decompressobj

    class Watched:
        def __init__(self, *how):
            self.inner = real(*how)

        def decompress(self, data, most=0):
            found = self.inner.decompress(data, most)
            held.append(len(found))
            return found

        def __getattr__(self, name):
            return getattr(self.inner, name)

    monkeypatch.setattr(zipfile.zlib, "decompressobj", Watched)
    monkeypatch.setattr(archive, "addresses", lambda rows: text["solves"])
    with pytest.raises(BadFile, match="not an archive"):
        bundles.unpack(empty.lab.workspaces, "tom", bomb)
    assert held and max(held) < 2**20


def test_other_ways_of_packing_are_refused(empty, bundle):  # noqa: F811
    other = bundle.with_name("bz2.zip")
    with zipfile.ZipFile(bundle) as good, zipfile.ZipFile(other, "w", zipfile.ZIP_BZIP2) as packed:
        for name in good.namelist():
            packed.writestr(name, good.read(name))
    with pytest.raises(BadFile, match=r"bz2\.zip holds"):
        bundles.unpack(empty.lab.workspaces, "tom", other)


def test_patches_that_lie_there_many_times_count_each_time(empty, bundle):  # noqa: F811
    opened = archive.open_archive(bundle)
    size = sum(map(len, opened.files.values()))
    archive.check_fit(opened, empty.lab.model, size)
    with pytest.raises(BadFile, match="of patches are applied after event"):
        archive.check_fit(opened, empty.lab.model, size - 1)


# --- a fold that grows with the events ---------------------------------------------------------------------------------


class Counted(PersistentList):
    """Counts the items that are copied or walked over."""

    work: ClassVar[Counter[str]] = Counter()

    def __init__(self, items=()):
        super().__init__(items)
        self.work["items"] += self._length

    def __iter__(self):
        self.work["items"] += self._length
        return super().__iter__()


def applied(count):
    return [Event(number, "applied", {"edit": edit(number).as_json()}) for number in range(1, count + 1)]


def switched(count):
    first = Event(1, "applied", {"edit": edit(1).as_json()})
    return [first, *(Event(number, "switched", {"id": "e1", "on": number % 2 == 0}) for number in range(2, count + 1))]


def taken_back(count):
    half = applied(count // 2)
    return [*half, *(Event(len(half) + number, "undone") for number in range(1, count // 2 + 1))]


def redone(count):
    half = applied(count // 2)
    return [*half, *(Event(len(half) + n, "redone" if n % 2 == 0 else "undone") for n in range(1, count // 2 + 1))]


def looked(count):
    return [Event(number, "looked", {"request": edit(number).request.as_dict()}) for number in range(1, count + 1)]


@pytest.mark.parametrize("reader", [fold, moments_of])
@pytest.mark.parametrize("events", [applied, switched, taken_back, redone, looked])
def test_twice_as_many_events_are_twice_the_work(events, reader, monkeypatch):
    start = State(chain=Counted(), past=Counted(), future=Counted(), chains=Counted([Counted()]))
    monkeypatch.setattr(history, "PersistentList", Counted)
    monkeypatch.setattr(history, "START", start)
    monkeypatch.setattr(history, "State", lambda: start)
    found = []
    for count in (200, 400):
        Counted.work.clear()
        fold(events(count), start) if reader is fold else reader(events(count))
        found.append(Counted.work["items"])
    assert found[1] <= 2.5 * found[0] + 20


def test_chains_of_thousands_of_edits_share_their_items():
    state = fold(applied(3_000))
    assert len({id(chain._items) for chain in state.chains}) <= 3
    assert [len(chain) for chain in state.chains] == list(range(3_001))


def test_an_order_of_many_edits_is_read_in_one_go():
    state = fold(applied(3_000))
    ids = [edit.id for edit in state.chain]
    after = fold([Event(3_001, "moved", {"ids": [*ids[1:], ids[0]]})], state)
    assert after.past[-1].text == "moved Place 1 → Asia to place 3000"
    gone = fold([Event(3_002, "removed", {"ids": ids[1:]})], after)
    assert [edit.id for edit in gone.chain] == [ids[0]]


@given(st.lists(st.one_of(st.integers(), st.none()), max_size=40), st.data())
def test_every_version_of_a_list_stays_as_it_was(steps, data):
    versions, expected = [PersistentList()], [()]
    for step in steps:
        at = data.draw(st.integers(0, len(versions) - 1))
        if step is None and expected[at]:
            versions.append(versions[at].pop())
            expected.append(expected[at][:-1])
        else:
            versions.append(versions[at].append(step))
            expected.append((*expected[at], step))
    for version, items in zip(versions, expected, strict=True):
        assert version == items and list(version) == list(items) and len(version) == len(items)
        assert version[:] == items and version[1:-1] == items[1:-1] and bool(version) == bool(items)
        assert [version[place] for place in range(-len(items), len(items))] == [*items, *items]
        for wrong in (len(items), -len(items) - 1):
            with pytest.raises(IndexError):
                version[wrong]
    with pytest.raises(IndexError):
        PersistentList().pop()


def test_two_that_append_to_one_version_at_once_do_not_see_each_others():
    start = PersistentList([0, 0])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: start.append(number).append(number), range(2_000)))
    assert [tuple(version) for version in found] == [(0, 0, number, number) for number in range(2_000)]
    assert start == (0, 0) and json.dumps(list(start)) == "[0, 0]"
