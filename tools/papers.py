"""Make the papers' files of docs/data.md, byte by byte as the figures of docs/results used them, from their repositories.

    python tools/papers.py --rep RobustKeyEdit --mask one-mask-ke --to FOLDER

Both are checkouts, at the commits that docs/data.md names. `papers.json` has the files that each one is taken from and, of
a sample, the numbers of its cases.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

RECIPES = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
MASK_FIELDS = ("case_id", "requested_rewrite", "paraphrase_prompts", "neighborhood_prompts")
"""What the samples of the mask's records keep."""


class WrongSource(Exception):
    """A repository does not hold what a file is made of."""


def content(name: str, recipe: Mapping[str, Any], checkout: Path) -> bytes:
    """Return a file's bytes. Raises `WrongSource` where they are not those that were used."""
    try:
        records = [record for path in recipe["paths"] for record in json.loads((checkout / path).read_bytes())]
        made = json.dumps(list(_chosen(records, name, recipe.get("case_ids"))), indent=0, ensure_ascii=False).encode()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongSource(f"{name} cannot be made from {checkout}: {error!r}. See docs/data.md for the commit.") from error
    if hashlib.sha256(made).hexdigest() != recipe["sha256"]:
        raise WrongSource(f"{name} made from {checkout} is another one. Check out the commit that docs/data.md names.")
    return made


def _chosen(records: Sequence[Mapping[str, Any]], name: str, case_ids: Sequence[int] | None) -> Iterator[Mapping[str, Any]]:
    by_id = {record["case_id"]: record for record in records}
    for record in records if case_ids is None else [by_id[case_id] for case_id in case_ids]:
        yield {field: record[field] for field in MASK_FIELDS} if name.startswith("mask_") else record


def main(arguments: Sequence[str] | None = None) -> int:
    """Write every file whose repository was given; 2 where one does not hold what was used."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rep", type=Path, help="checkout of ElliottYan/RobustKeyEdit")
    parser.add_argument("--mask", type=Path, help="checkout of holmov1/one-mask-ke")
    parser.add_argument("--to", type=Path, required=True, help="folder to write to")
    given = parser.parse_args(arguments)
    checkouts = {name: path for name in ("rep", "mask") if (path := getattr(given, name)) is not None}
    if not checkouts:
        parser.error("give --rep, --mask or both")
    given.to.mkdir(parents=True, exist_ok=True)
    for name, recipe in RECIPES.items():
        if recipe["repository"] in checkouts:
            try:
                (given.to / name).write_bytes(content(name, recipe, checkouts[recipe["repository"]]))
            except WrongSource as error:
                print(error, file=sys.stderr)
                return 2
            print(given.to / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
