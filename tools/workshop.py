"""Measure what docs/workshop.md lets a room expect: `python -m tools.workshop MODEL slovenia mexico ...`.

Each example is one `editlab probe ... --rep default --mask`; without names, all are asked. It prints Markdown.
"""

import argparse
import json
from typing import Any

from typer.testing import CliRunner

from editlab.cli import app
from editlab.lab import Example, read_examples
from editlab.settings import Settings
from editlab.wording import percent

HEAD = (
    "example | before → after | other names | with REP | mended by REP | long contexts | neighbours | same subject "
    "| ripple effects | edited, under the mask | mask alone"
)


def main() -> None:
    """Ask and print a row an example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("examples", nargs="*")
    given = parser.parse_args()
    print(f"| {HEAD} |\n|{'---|' * (HEAD.count('|') + 1)}")
    for example in read_examples(Settings().presets / "examples"):
        if example.name in (given.examples or [example.name]):
            print(f"| {' | '.join(row(example, asked(given.model, example)))} |", flush=True)


def asked(model: str, example: Example) -> dict[str, Any]:
    """Return what `editlab probe` says of an example."""
    request = example.request
    words = ["--subject", request.subject, "--prompt", request.prompt, "--target", request.target_new]
    words += ["--true", request.target_true or "", "--rep", "default", "--mask", "--model", model, "--json"]
    result = CliRunner().invoke(app, ["probe", *words])
    if result.exit_code:
        raise SystemExit(result.output)
    return json.loads(result.stdout)


def row(example: Example, found: dict[str, Any]) -> list[str]:
    """Return the cells of an example's row."""
    views = found["views"]
    own = next(probe for probe in found["probes"] if probe["kind"] == "success")
    before, after, masked, alone = (own[name]["answer"] for name in ("base", "edited", "masked", "base_masked"))
    mended = [probe["text"] for probe in found["probes"] if probe["kind"] == "rephrase" and gained(probe)]
    return [
        example.title,
        f"{before} {percent(views['base']['p_true'])} → {after} {percent(views['edited']['p_new'])}",
        count(found, "rephrase"),
        count(found, "rephrase", "rep"),
        min(mended, key=len, default="–"),
        count(found, "long"),
        count(found, "locality", known=True),
        count(found, "same_subject", known=True),
        count(found, "propagation"),
        f"{masked}, p(true) {percent(views['masked']['p_true'])}: {found['verdict']}",
        f"{alone} {percent(views['base_masked']['p_true'])}",
    ]


def gained(probe: dict[str, Any]) -> bool:
    """Return whether REP alone makes an edit heard at a probe."""
    return probe["rep"]["hit"] and not probe["edited"]["hit"]


def count(found: dict[str, Any], kind: str, view: str = "edited", known: bool = False) -> str:
    """Return at how many probes of a kind a view says the expected, of all or of those where the base model does."""
    hits = [probe[view]["hit"] for probe in found["probes"] if probe["kind"] == kind and (probe["base"]["hit"] or not known)]
    return f"{sum(hits)} of {len(hits)}" if hits else "–"


if __name__ == "__main__":
    main()
