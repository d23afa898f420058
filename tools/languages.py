"""Collect the messages of the page into its catalogues: python -m tools.languages

Each catalogue of `editlab/web/languages/` gets the messages that are new and loses those that are gone; translations of the
others stay. With `--add LANG` a language gets its first catalogue. What is then translated in it needs no command.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from pathlib import Path

from babel.messages.frontend import CommandLineInterface

from editlab.web.core.language import FOLDER

ROOT = Path(__file__).resolve().parents[1]


def extract(to: Path) -> Path:
    """Write all messages of the page as a template of catalogues, and return its path."""
    _babel("extract", "-F", ROOT / "pyproject.toml", "-k", "noop", "--add-location=file", "--sort-by-file",
           "--project=EditLab", "-o", to, "editlab")  # fmt: skip
    return to


def _babel(*words: object) -> None:
    with contextlib.chdir(ROOT):
        CommandLineInterface().run(["pybabel", "--quiet", *map(str, words)])


def main() -> None:
    """Write the catalogues."""
    parser = argparse.ArgumentParser(description="Collect the messages of the page into its catalogues.")
    parser.add_argument("--add", metavar="LANG", help="a language that gets its first catalogue")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        template = extract(Path(folder) / "messages.pot")
        if given.add:
            _babel("init", "-i", template, "-o", FOLDER / f"{given.add}.po", "-l", given.add, "-w", 120)
        for catalogue in sorted(FOLDER.glob("*.po")):
            _babel("update", "-i", template, "-o", catalogue, "-l", catalogue.stem, "-w", 120, "--no-fuzzy-matching",
                   "--ignore-obsolete", "--ignore-pot-creation-date")  # fmt: skip


if __name__ == "__main__":
    main()
