"""Edit facts in languages of other scripts: python -m tools.scripts MODEL [--tokens 8000] [--contexts 5] [--out FOLDER]

Five facts each in Chinese, Japanese, Russian, Arabic and Hindi are asked and edited by ROME, one at a time, on the unedited
model. Prints a table in Markdown: p(true) before (and with a space forced in front, where the script writes none), p(new)
after, what the model goes on with before and after, and at how many of the language's other facts it says the same as
before. Rows are kept in FOLDER, so that a run that was stopped goes on.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from editlab import EditRequest, LanguageModel, methods
from editlab.facts.script import begins_with, joined, with_space
from editlab.model import statistics
from editlab.patches import BASE, View
from editlab.settings import Settings

FACTS = {
    "Chinese": (
        ("{}的首都是", "中国", "纽约", "北京"),
        ("{}的首都是", "法国", "罗马", "巴黎"),
        ("{}的首都是", "日本", "首尔", "东京"),
        ("{}的首都是", "德国", "维也纳", "柏林"),
        ("{}的作者是", "《红楼梦》", "鲁迅", "曹雪芹"),
    ),
}
"""(prompt, subject, new object, true object) by language."""
TOKENS = 12
"""Tokens of an answer that are shown."""


def rows(model: LanguageModel, contexts: int, kept: Path) -> Iterator[dict[str, Any]]:
    """Yield a row a fact; those in `kept` are read from it, the others are measured and added."""
    known = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()] if kept.exists() else []
    found = {(row["prompt"], row["subject"]): row for row in known}
    for language, facts in FACTS.items():
        requests = [EditRequest(*fact) for fact in facts]
        for request in requests:
            key = request.prompt, request.subject
            others = [other for other in requests if other != request]
            if key not in found:
                found[key] = {"language": language, **request.as_dict(), **measured(model, request, contexts, others)}
                with kept.open("a", encoding="utf-8") as file:
                    print(json.dumps(found[key], ensure_ascii=False), file=file)
            yield found[key]


def measured(model: LanguageModel, request: EditRequest, contexts: int, others: Sequence[EditRequest]) -> dict[str, Any]:
    """Return what the model says of a fact before its edit and after it, and how many of the others stay."""
    rome, true = methods.get("rome"), request.target_true or ""
    forced = with_space(true, "yes")
    began = time.perf_counter()
    edited = rome.edit(model, [request], BASE, rome.config_for(model, contexts=contexts))
    seconds = time.perf_counter() - began
    view = BASE.with_patches(edited.patches)
    (before,), (after,) = ([text.strip() for text in _written(model, [request.text], own)] for own in (BASE, view))
    kept = zip(*(_said(model, others, own) for own in (BASE, view)), strict=True)
    return {
        "p_true": model.score([request.text], [true], BASE)[0].p,
        "p_forced": model.score([request.text], [forced], BASE)[0].p,
        "space": joined(request.text, true) == joined(request.text, forced),
        "p_new": model.score([request.text], [request.target_new], view)[0].p,
        "before": before,
        "after": after,
        "says_new": begins_with(after, request.target_new),
        "kept": [a == b for a, b in kept],
        "seconds": seconds,
    }


def _written(model: LanguageModel, texts: Sequence[str], view: View) -> list[str]:
    *_, written = model.generate(texts, view, TOKENS)
    return written


def _said(model: LanguageModel, requests: Sequence[EditRequest], view: View) -> list[tuple[int, ...]]:
    """Return the likeliest ids at the true objects."""
    return [s.said for s in model.score([r.text for r in requests], [r.target_true or "" for r in requests], view)]


def markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a table."""
    lines = [
        "| language | prompt | true object | p(true) | p(true), spaced | before | new object | p(new) | after | kept |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        texts = {name: " ".join(row[name].split()).replace("|", "\\|") for name in ("before", "after")}
        kept = f"{sum(row['kept'])} of {len(row['kept'])}"
        cells = (
            row["language"],
            row["prompt"].replace("{}", f"**{row['subject']}**"),
            row["target_true"],
            f"{row['p_true']:.3f}",
            "" if row["space"] else f"{row['p_forced']:.3f}",
            texts["before"],
            row["target_new"],
            f"{row['p_new']:.3f}",
            texts["after"],
            kept,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("model")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--tokens", type=int, default=8_000, help="tokens of the key statistics; 0 for none")
    parser.add_argument("--contexts", type=int, default=5, help="texts in front of the prompt in an edit")
    parser.add_argument("--out", type=Path, default=Path("scripts"), help="where statistics and rows are kept")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    settings = Settings()
    model = LanguageModel.load(given.model, dtype=given.dtype, settings=settings)
    model.statistics = (given.out,)
    if given.tokens:
        text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted((settings.presets / "texts").glob("*.txt")))
        layers = methods.get("rome").config_for(model).layers
        statistics.collect(model, layers, text, given.tokens, given.out)
    print(markdown(list(rows(model, given.contexts, given.out / "rows.jsonl"))))


if __name__ == "__main__":
    main()
