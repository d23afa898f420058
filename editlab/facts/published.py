"""Where the papers' own files are to be had, which are not part of this project: docs/data.md has the whole story."""

from __future__ import annotations

from pathlib import Path

from editlab.wording import noop

REP = "github.com/ElliottYan/RobustKeyEdit"
MASK = "github.com/holmov1/one-mask-ke"
COUNTERFACT = "rome.baulab.info/data/dsets/counterfact.json"
WIKITEXT = "WikiText-2's test split"

SOURCES = {
    "rep_valid.json": REP,
    "rep_test.json": REP,
    "rep_zsre_sample.json": REP,
    "counterfact.json": COUNTERFACT,
    "counterfact_sample.json": MASK,
    "mask_train.json": MASK,
    "mask_test.json": MASK,
    "mask_ood.json": MASK,
    "facts.tsv": COUNTERFACT,
    "templates.json": COUNTERFACT,
    "aliases.tsv": REP,
    "wikitext2_test.txt": WIKITEXT,
}


def source_of(path: Path) -> str:
    """Return a sentence on where a file of the papers is to be had, with a space before it; "" for any other file."""
    source = SOURCES.get(path.name)
    return noop(f" It is made from {source}: docs/data.md says how.") if source else ""
