"""Edit facts in languages of other scripts: python -m tools.scripts MODEL [--tokens 8000] [--contexts 5] [--out FOLDER]

Five facts each in Chinese, Japanese, Russian, Arabic and Hindi are asked and edited by ROME, one at a time, on the unedited
model. Prints a table in Markdown: p(true) before (and with a space forced in front, where the script writes none), p(new)
after, what the model goes on with before and after, and at how many of the language's other facts it says the same as
before. Rows are kept in FOLDER, so that a run that was stopped goes on.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from editlab import EditRequest, LanguageModel, methods
from editlab.facts.script import begins_with, joined, with_space
from editlab.model import measuring
from editlab.model.start import Start
from editlab.patches import BASE, View
from editlab.settings import Settings

FACTS = {
    "Chinese": (
        ("{}的首都是", "中国", "纽约", "北京"),
        ("{}的首都是", "法国", "罗马", "巴黎"),
        ("{}的作者是", "《红楼梦》", "鲁迅", "曹雪芹"),
        ("{}的首都是", "德国", "维也纳", "柏林"),
        ("{}的首都是", "日本", "首尔", "东京"),
    ),
    "Japanese": (
        ("{}の首都は「", "フランス", "ローマ", "パリ"),
        ("{}の首都は「", "日本", "大阪", "東京"),
        ("{}の首都は「", "イギリス", "パリ", "ロンドン"),
        ("{}の首都は「", "中国", "上海", "北京"),
        ("{}の首都は「", "イタリア", "パリ", "ローマ"),
    ),
    "Russian": (
        ("Столица {} —", "Франции", "Рим", "Париж"),
        ("{} является столицей", "Москва", "Франции", "России"),
        ("Столица {} —", "Германии", "Вена", "Берлин"),
        ("Столица {} — город", "Англии", "Мадрид", "Лондон"),
        ("Столица {} —", "Италии", "Париж", "Рим"),
    ),
    "Arabic": (
        ("عاصمة {} هي", "مصر", "بغداد", "القاهرة"),
        ("عاصمة {} هي مدينة", "سوريا", "بيروت", "دمشق"),
        ("عاصمة {} هي مدينة", "العراق", "دمشق", "بغداد"),
        ("عاصمة {} هي مدينة", "السعودية", "دبي", "الرياض"),
        ("اللغة الرسمية في {} هي اللغة", "مصر", "الفرنسية", "العربية"),
    ),
    "Hindi": (
        ("{} की राजधानी", "भारत", "मुंबई", "नई दिल्ली"),
        ("{} की राजधानी", "पाकिस्तान", "काबुल", "इस्लामाबाद"),
        ("{} की राजधानी", "जापान", "बीजिंग", "टोक्यो"),
        ("{} का सबसे बड़ा शहर", "भारत", "दिल्ली", "मुंबई"),
        ("{} की मुद्रा", "भारत", "डॉलर", "रुपया"),
    ),
}
"""(prompt, subject, new object, true object) by language."""
TOKENS = 12
"""Tokens of an answer that are shown."""


def rows(model: LanguageModel, contexts: int, kept: Path) -> list[dict[str, Any]]:
    """Return a row a fact, in the order of `FACTS`: all are asked, then edited, the first of every language first.

    Rows in `kept` are read from it, the others are added.
    """
    known = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()] if kept.exists() else []
    found = {(row["prompt"], row["subject"]): row for row in known}
    cases = {language: [EditRequest(*fact) for fact in facts] for language, facts in FACTS.items()}
    missing = [r for turn in zip(*cases.values(), strict=True) for r in turn if (r.prompt, r.subject) not in found]
    for request, before in zip(missing, asked(model, missing), strict=True):
        language = next(language for language, own in cases.items() if request in own)
        others = [other for other in cases[language] if other != request]
        row = {"language": language, **request.as_dict(), **before, **edited(model, request, contexts, others)}
        found[request.prompt, request.subject] = row
        with kept.open("a", encoding="utf-8") as file:
            print(json.dumps(row, ensure_ascii=False), file=file)
        print(markdown([row]).splitlines()[-1], file=sys.stderr, flush=True)
    return [found[r.prompt, r.subject] for own in cases.values() for r in own]


def asked(model: LanguageModel, requests: Sequence[EditRequest]) -> list[dict[str, Any]]:
    """Return what the model says of facts before they are edited; `p_forced`: with a space where the script writes none."""
    if not requests:
        return []
    texts, targets = [r.text for r in requests], [r.target_true or "" for r in requests]
    forced = [with_space(target, "yes") for target in targets]
    said = _written(model, texts, BASE)
    p, q = (model.score(texts, own, BASE) for own in (targets, forced))
    found = [
        {
            "p_true": a.p,
            "p_forced": b.p if joined(text, target) != joined(text, spaced) else None,
            "before": before.strip(),
        }
        for a, b, text, target, spaced, before in zip(p, q, texts, targets, forced, said, strict=True)
    ]
    for request, row in zip(requests, found, strict=True):
        print(request.text, row, file=sys.stderr, flush=True)
    return found


def edited(model: LanguageModel, request: EditRequest, contexts: int, others: Sequence[EditRequest]) -> dict[str, Any]:
    """Return what the model says of a fact after its edit, and at which of the others it says the same as before."""
    rome = methods.get("rome")
    began = time.perf_counter()
    edit = rome.edit(model, [request], BASE, rome.config_for(model, contexts=contexts))
    seconds = time.perf_counter() - began
    view = BASE.with_patches(edit.patches)
    after = _written(model, [request.text], view)[0].strip()
    kept = zip(*(_said(model, others, own) for own in (BASE, view)), strict=True)
    return {
        "p_new": model.score([request.text], [request.target_new], view)[0].p,
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
            "" if row["p_forced"] is None else f"{row['p_forced']:.3f}",
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
    parser.add_argument("--start", help="what stands before every text; what the model's settings say if not given")
    parser.add_argument("--tokens", type=int, default=8_000, help="tokens of the key statistics; 0 for none")
    parser.add_argument("--contexts", type=int, default=5, help="texts in front of the prompt in an edit")
    parser.add_argument("--out", type=Path, default=Path("scripts"), help="where statistics and rows are kept")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    settings = Settings() if given.start is None else Settings(start="none")
    model = LanguageModel.load(given.model, dtype=given.dtype, settings=settings)
    if given.start is not None:
        model = replace(model, start=Start(given.start, space=True))
    model.statistics = (given.out,)
    if given.tokens:
        text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted((settings.presets / "texts").glob("*.txt")))
        layers = methods.get("rome").config_for(model).layers
        measuring.collect(model, layers, text, given.tokens, given.out)
    print(markdown(rows(model, given.contexts, given.out / "rows.jsonl")))


if __name__ == "__main__":
    main()
