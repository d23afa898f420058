"""Files that several processes read, change and write: of two changes at once, none is lost."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from argon2 import PasswordHasher
from test_scenario_library import TEXT

from editlab import storage
from editlab.errors import BadFile, BadRequest
from editlab.lab.access.cookies import EndedLogins
from editlab.lab.access.tokens import Tokens
from editlab.lab.access.users import Users
from editlab.lab.scenarios import Library
from editlab.lab.scenarios import library as library_module


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    quick = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr("editlab.lab.access.users.PasswordHasher", quick)


@pytest.fixture
def at_once(monkeypatch):
    """`at_once(*changes)` makes changes at the same time, on a disk so slow that all have read before one has written."""

    def make(*changes):
        real = storage.write
        with monkeypatch.context() as slow, ThreadPoolExecutor() as threads:
            slow.setattr(storage, "write", lambda *given: (time.sleep(0.3), real(*given)))
            return [made.exception() or made.result() for made in [threads.submit(change) for change in changes]]

    return make


def test_two_log_outs_at_once_end_both(tmp_path, at_once):
    storage.make_folder(tmp_path / "secrets")
    one, other = EndedLogins(tmp_path, 60), EndedLogins(tmp_path, 60)
    assert at_once(lambda: one.add("a"), lambda: other.add("b")) == [None, None]
    assert ["a" in EndedLogins(tmp_path, 60), "b" in EndedLogins(tmp_path, 60)] == [True, True]


def test_a_log_out_counts_here_even_where_it_cannot_be_written(tmp_path):
    ended = EndedLogins(tmp_path / "nowhere", 60)
    with pytest.raises(BadFile, match="cannot be written"):
        ended.add("a")
    assert "a" in ended


def test_a_token_that_is_revoked_does_not_come_back_with_one_that_is_made(tmp_path, at_once):
    Users(tmp_path / "users").add("ana", "correct horse")
    first, other = (Tokens(Users(tmp_path / "users")) for _ in range(2))
    given, token = first.create("ana", ("ask",))
    _, made = at_once(lambda: first.revoke(token.id), lambda: other.create("ana", ("edit",)))
    known = Tokens(Users(tmp_path / "users"))
    assert known.find(given) is None and known.find(made[0]) is not None
    kept, refused = at_once(lambda: first.revoke(made[1].id), lambda: other.revoke(made[1].id))
    assert {type(kept), type(refused)} == {type(None), BadRequest}


def test_two_users_who_are_changed_at_once_are_both(tmp_path, at_once):
    path = tmp_path / "people" / "users"
    assert at_once(*(partial(Users(path).add, name, "correct horse") for name in ("ana", "ben"))) == [None, None]
    assert at_once(lambda: Users(path).remove("ana"), lambda: Users(path).add("tom", "correct horse")) == [None, None]
    assert sorted(Users(path).by_name) == ["ben", "tom"]


def test_of_two_new_scenarios_of_one_name_and_two_above_the_most_one_is_kept(tmp_path, at_once, monkeypatch):
    libraries = [Library.of(tmp_path / "presets", tmp_path / "data") for _ in range(2)]
    other = TEXT.replace("Hello", "Bye")
    for names in (("mine", "mine"), ("another", "third")):
        kept = at_once(
            *(partial(*given) for given in zip((own.save for own in libraries), names, (TEXT, other), strict=True))
        )
        assert sorted(isinstance(result, BadRequest) for result in kept) == [False, True]
        monkeypatch.setattr(library_module, "MOST_OWN", 2)


def test_a_lock_is_its_owners_alone_and_makes_no_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with storage.locked(tmp_path / "link"):
        (lock,) = (path for path in tmp_path.iterdir() if not path.is_symlink())
    assert not storage.is_exposed(lock) and lock.stat().st_uid == os.stat(tmp_path).st_uid
    with pytest.raises(BadFile, match="There is no file of users"):
        Users(tmp_path / "nowhere" / "users").remove("ana")
    assert not (tmp_path / "nowhere").exists()
