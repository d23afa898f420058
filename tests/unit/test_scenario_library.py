"""The library of scenarios: bundled ones are only read, own ones are checked, kept, bounded and never lost by a save."""

import stat

import pytest
from paths import PRESETS
from typer.testing import CliRunner

from editlab.cli import app
from editlab.errors import BadFile, BadRequest
from editlab.lab.scenarios import LONGEST_OWN, Library, check_own
from editlab.lab.scenarios import library as library_module

TEXT = """
title = "Mine"
shows = "It works."
source = "me"
models = ["atlas"]
[[steps]]
do = "say"
text = "Hello."
"""


@pytest.fixture
def library(tmp_path):
    return Library.of(PRESETS, tmp_path / "data")


def test_own_scenarios_stand_behind_the_bundled_ones_and_only_they_can_be_deleted(library):
    assert library.save("mine", TEXT).title == "Mine" and library.text("mine") == TEXT
    scenarios, faults = library.read()
    assert scenarios[-1].name == "mine" and scenarios[0].name == "other-name" and faults == ()
    assert library.is_own("mine") and not library.is_own("other-name") and library.find("mine") == scenarios[-1]
    assert stat.S_IMODE((library.own / "mine.toml").stat().st_mode) == 0o600
    library.delete("mine", TEXT)
    with pytest.raises(BadRequest, match="There is no scenario 'mine'"):
        library.find("mine")
    with pytest.raises(BadRequest, match="Bundled ones cannot be deleted"):
        library.delete("other-name", library.text("other-name"))


@pytest.mark.parametrize("name", ["", "../mine", "Mine", "a" * 41, "mine-", "mine.toml", "my scenario", "mine\n"])
def test_a_name_that_could_be_another_file_is_refused_before_anything_is_written(library, name):
    with pytest.raises(BadRequest, match="1 to 40 small letters"):
        library.save(name, TEXT)
    assert not library.own.exists() and not library.is_own(name)
    with pytest.raises(BadRequest, match="There is no scenario"):
        library.text(name)


def test_a_text_with_a_fault_or_too_long_is_not_kept(library):
    with pytest.raises(BadFile, match=r"mine.toml, step 2: 'sing' is no kind of step"):
        library.save("mine", TEXT + '[[steps]]\ndo = "sing"')
    with pytest.raises(BadFile, match="Shorten it"):
        check_own("mine", TEXT + "#" * LONGEST_OWN)
    assert not library.own.exists()


def test_a_save_replaces_only_what_was_opened(library):
    library.save("mine", TEXT)
    with pytest.raises(BadRequest, match="There is another scenario 'mine'"):
        library.save("mine", TEXT.replace("Hello", "Bye"))
    library.save("mine", TEXT.replace("Hello", "Bye"), TEXT)
    with pytest.raises(BadRequest, match="was changed meanwhile"):
        library.save("mine", TEXT.replace("Hello", "Again"), TEXT)
    assert "Bye" in library.text("mine")
    with pytest.raises(BadRequest, match="A bundled scenario is called 'letter'"):
        library.save("letter", TEXT)


def test_only_what_was_opened_and_has_not_changed_since_is_deleted(library):
    library.save("mine", TEXT)
    with pytest.raises(BadRequest, match="Open the scenario 'mine' first"):
        library.delete("mine")
    library.save("mine", TEXT.replace("Hello", "Bye"), TEXT)
    with pytest.raises(BadRequest, match=r"The scenario 'mine' was changed meanwhile\. Open it again, and delete it"):
        library.delete("mine", TEXT)
    assert "Bye" in library.text("mine")


def test_own_scenarios_are_bounded_in_number(library, monkeypatch):
    monkeypatch.setattr(library_module, "MOST_OWN", 1)
    library.save("mine", TEXT)
    with pytest.raises(BadRequest, match="Delete one first"):
        library.save("another", TEXT)
    library.save("mine", TEXT.replace("Hello", "Bye"), TEXT)


def test_a_file_that_cannot_be_read_is_named_and_hides_no_other(library):
    library.save("mine", TEXT)
    (library.own / "torn.toml").write_bytes(b'title = "\xff"')
    scenarios, (fault,) = library.read()
    assert scenarios[-1].name == "mine" and fault.startswith("torn.toml is not UTF-8") and str(library.own) not in fault


def test_the_terminal_lists_and_finds_own_scenarios(library, monkeypatch):
    library.save("mine", TEXT)
    monkeypatch.setenv("EDITLAB_DATA", str(library.own.parent))
    found = CliRunner().invoke(app, ["scenario", "list", "--json"])
    assert '"name":"mine"' in found.stdout and '"name":"other-name"' in found.stdout
    found = CliRunner().invoke(app, ["scenario", "list"])
    assert "mine" in found.stdout
