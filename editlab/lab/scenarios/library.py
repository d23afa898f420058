"""The library of scenarios: the bundled ones, and people's own in the data folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from editlab import storage
from editlab.errors import BadFile, BadRequest
from editlab.lab.scenarios.scenario import Scenario, parse_scenario, read_scenario

FOLDER = "scenarios"
"""Of the presets and of the data folder."""
MOST_OWN = 50
LONGEST_OWN = 20_000
"""Most characters of an own scenario."""
LONGEST_NAME = 40
NAME = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?")


@dataclass(frozen=True)
class ScenarioFile:
    """A scenario with the text of its file. `own`: whether it is somebody's own."""

    scenario: Scenario
    text: str
    own: bool


@dataclass(frozen=True)
class Library:
    """The scenarios of two folders: `bundled`, which nobody changes here, and people's `own`."""

    bundled: Path
    own: Path

    @classmethod
    def of(cls, presets: Path, data: Path) -> Library:
        """Return the library of a folder of presets and a data folder."""
        return cls(presets / FOLDER, data / FOLDER)

    def read(self) -> tuple[tuple[Scenario, ...], tuple[str, ...]]:
        """Return all scenarios in order, own ones last, and what is wrong with the files that cannot be read."""
        found, faults = [], []
        for path in self._paths():
            try:
                found.append(read_scenario(path))
            except BadFile as error:
                faults.append(str(error).replace(f"{path.parent}/", ""))
        return tuple(sorted(found, key=lambda one: (self.is_own(one.name), one.place, one.name))), tuple(faults)

    def find(self, name: str) -> Scenario:
        """Return a scenario by its name. Raises `BadRequest` where there is none, `BadFile` where its file is wrong."""
        return read_scenario(self._path(name))

    def text(self, name: str) -> str:
        """Return the file of a scenario as text. Raises as `find` does."""
        path = self._path(name)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadFile(f"{path.name} cannot be read: {error}. Write it again.") from error

    def file(self, name: str) -> ScenarioFile:
        """Return a scenario with its file as it is now. Raises as `find` does."""
        text = self.text(name)
        return ScenarioFile(parse_scenario(text, name), text, self.is_own(name))

    def has(self, name: str) -> bool:
        """Return whether there is a scenario of this name."""
        return name in self._names()

    def is_own(self, name: str) -> bool:
        """Return whether a scenario is somebody's own."""
        return NAME.fullmatch(name) is not None and self._own(name).is_file()

    def save(self, name: str, text: str, was: str | None = None) -> Scenario:
        """Check and keep an own scenario. `was`: the text that it replaces, None for a new one.

        Raises `BadFile` for a fault in the text, and `BadRequest` where the name is taken, somebody else has changed the
        scenario meanwhile, or there are too many.
        """
        scenario = check_own(name, text)
        with self._changing():
            now = self.text(name) if self.is_own(name) else None
            if now != was:
                raise BadRequest(
                    f"There is another scenario {name!r}. Choose another name, or open that one and change it there."
                    if was is None
                    else f"The scenario {name!r} was changed meanwhile. Copy your text, open it again, and save it then."
                )
            if now is None and self.has(name):
                raise BadRequest(f"A bundled scenario is called {name!r}. Choose another name.")
            if now is None and len(list(self.own.glob("*.toml"))) >= MOST_OWN:
                raise BadRequest(f"There are {MOST_OWN} own scenarios. Delete one first.")
            storage.write(self._own(name), text.encode("utf-8"))
        return scenario

    def delete(self, name: str, was: str | None = None) -> None:
        """Delete an own scenario. `was`: its text as somebody has seen it, None where nobody has.

        Raises `BadRequest` where there is none, where nobody has seen it, and where somebody else has changed it meanwhile.
        """
        if not self.is_own(name):
            raise BadRequest(f"There is no own scenario {name[:LONGEST_NAME]!r}. Bundled ones cannot be deleted.")
        if was is None:
            raise BadRequest(f"Open the scenario {name!r} first, to see what you delete.")
        with self._changing():
            if self.is_own(name) and self.text(name) != was:
                raise BadRequest(f"The scenario {name!r} was changed meanwhile. Open it again, and delete it then.")
            self._own(name).unlink(missing_ok=True)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep others from changing own scenarios during the block. What the disk refuses becomes a sentence."""
        try:
            storage.make_folder(self.own)
            with storage.locked(self.own / FOLDER):
                yield
        except OSError as error:
            raise BadFile(f"The scenario cannot be kept: {error.strerror}. Look at the data folder.") from error

    def _own(self, name: str) -> Path:
        return self.own / f"{name}.toml"

    def _paths(self) -> list[Path]:
        return [*self.bundled.glob("*.toml"), *(path for path in self.own.glob("*.toml") if NAME.fullmatch(path.stem))]

    def _names(self) -> list[str]:
        return [path.stem for path in self._paths()]

    def _path(self, name: str) -> Path:
        found = next((path for path in self._paths() if path.stem == name), None)
        if found is None:
            names = ", ".join(sorted(self._names()))
            raise BadRequest(f"There is no scenario {name[:LONGEST_NAME]!r}. Give one of: {names}.")
        return found


def check_own(name: str, text: str) -> Scenario:
    """Return the scenario of a text that somebody wrote. Raises `BadRequest` for its name, `BadFile` for its text."""
    if not NAME.fullmatch(name):
        raise BadRequest(
            f"A scenario's name has 1 to {LONGEST_NAME} small letters, digits and hyphens, such as my-scenario. Change it."
        )
    if len(text) > LONGEST_OWN:
        raise BadFile(f"The scenario has {len(text):,} characters; {LONGEST_OWN:,} is the most. Shorten it.")
    return parse_scenario(text, name)
