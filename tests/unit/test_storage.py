"""Files and folders that are written as a whole or not at all."""

import os

import pytest

from editlab import storage
from editlab.errors import BadFile


def test_a_file_is_replaced_as_a_whole_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "file"
    storage.write(path, b"one")
    first = storage.stamp(path)
    storage.write(path, b"two, longer")
    assert path.read_bytes() == b"two, longer" and storage.stamp(path) != first
    assert path.stat().st_mode & 0o777 == storage.FILE_MODE and not storage.is_exposed(path)
    path.chmod(0o640)
    assert storage.is_exposed(path)
    assert os.listdir(tmp_path) == ["file"]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ValueError, match="full"), storage.new_file(path) as part:
        part.write_text("half of the n")
        raise ValueError("full")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    path, names = tmp_path / "file", []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (names.append(path.exists()), real(handle)))
    with storage.new_file(path) as part:
        part.write_text("new")
    assert names == [False, True]  # the file, then the folder's list of names


def test_a_link_stays_one_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "file", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    storage.write(link, b"new")
    assert link.is_symlink() and target.read_text() == "new"
    assert os.listdir(tmp_path / "elsewhere") == ["file"]


def test_what_is_no_ordinary_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="no ordinary file"):
        storage.write(tmp_path / "pipe", b"text")
    assert (tmp_path / "pipe").is_fifo() and os.listdir(tmp_path) == ["pipe"]


def test_a_folder_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    folder, synced, real = tmp_path / "folder", {}, os.fsync

    def sync(handle):
        synced[os.path.basename(os.readlink(f"/proc/self/fd/{handle}"))] = folder.exists()
        real(handle)

    monkeypatch.setattr(os, "fsync", sync)
    with storage.new_folder(folder) as part:
        (part / "deep").mkdir()
        (part / "deep" / "weights").write_text("numbers")
        (part / "config").write_text("text")
    assert synced == {"deep": False, "weights": False, "config": False, part.name: False, tmp_path.name: True}


def test_what_a_killed_process_left_of_a_folder_is_removed_and_what_others_write_is_not(tmp_path):
    killed, other = tmp_path / ".model [1].aaaa.tmp", tmp_path / ".other.bbbb.tmp"
    for left in (killed, other):
        (left / "new").mkdir(parents=True)
        (left / "lock").touch()
        os.utime(left, (0, 0))
    with storage.new_folder(tmp_path / "model [1]") as part:
        os.utime(part.parent, (0, 0))
        with pytest.raises(ZeroDivisionError), storage.new_folder(tmp_path / "model [1]"):
            1 / 0  # noqa: B018
        assert part.is_dir() and not killed.exists()
    assert sorted(os.listdir(tmp_path)) == [other.name, "model [1]"]


def test_a_folder_gets_its_name_at_the_end(tmp_path):
    folder = tmp_path / "deep" / "folder"
    with storage.new_folder(folder) as part:
        (part / "file").write_text("text")
        assert not folder.exists()
    assert (folder / "file").read_text() == "text" and os.listdir(folder.parent) == ["folder"]
    with pytest.raises(BadFile, match="exists already"), storage.new_folder(folder):
        pytest.fail("a folder was replaced")
    with pytest.raises(ZeroDivisionError), storage.new_folder(tmp_path / "other"):
        1 / 0  # noqa: B018
    assert os.listdir(tmp_path) == ["deep"]


def test_a_folder_that_another_makes_at_the_same_moment_is_taken_and_a_file_is_not(tmp_path, monkeypatch):
    mkdir = storage.Path.mkdir

    def made_meanwhile(path, *args, **kwargs):
        os.makedirs(path, exist_ok=True)
        mkdir(path, *args, **kwargs)

    monkeypatch.setattr(storage.Path, "mkdir", made_meanwhile)
    storage.make_folder(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == storage.FOLDER_MODE
    monkeypatch.undo()

    (tmp_path / "file").write_text("kept")
    with pytest.raises(FileExistsError):
        storage.make_folder(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
