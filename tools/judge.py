"""How often exact match and a judge agree with labels by hand: python -m tools.judge LABELS.tsv --model FOLDER

LABELS is a table with the columns `fact` (the edit's prompt, which an object completes), `text` (what was asked), `said`,
`new` and `old` (the objects) and `label` (new, old, both or neither). The judge is an instruct model, loaded here (--model),
or asked over HTTP in OpenAI's form (--url, --name); without one, exact match alone is held against the labels.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from editlab.bench.bootstrap import rate_interval
from editlab.facts import read_table
from editlab.facts.script import joined
from editlab.probes.judging import TOKENS, VERDICTS, Case, Chat, chat_of, verdicts
from editlab.probes.matching import exact, verdict_of

COLUMNS = ("fact", "text", "said", "new", "old", "label")
SECONDS = 600


def main() -> None:
    """Print the agreement of each way with the labels, and where they part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("--model", help="a folder or name of an instruct model that judges")
    parser.add_argument("--url", help="an address in OpenAI's form, as http://127.0.0.1:7860/v1")
    parser.add_argument("--name", default="base", help="the model's name at that address")
    parser.add_argument("--token", help="the token that the address wants")
    parser.add_argument("--to", type=Path, help="write the verdicts beside the labels to this table")
    given = parser.parse_args()
    rows = [row for _, row in read_table(given.labels, COLUMNS)]
    found = judged(rows, judge_of(given.model, given.url, given.name, given.token))
    print(table(rows, found))
    if given.to is not None:
        with given.to.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, escapechar="\\")
            writer.writerow([*COLUMNS, *found])
            for number, row in enumerate(rows):
                writer.writerow([*(row[name] for name in COLUMNS), *(own[number] or "-" for own in found.values())])


def judge_of(model: str | None, url: str | None, name: str, token: str | None) -> Chat | None:
    """Return the judge that is named; None where none is."""
    if url is not None:
        return over_http(url, name, token)
    if model is None:
        return None
    from editlab.model import LanguageModel

    return chat_of(LanguageModel.load(model))


def over_http(url: str, name: str, token: str | None = None) -> Chat:
    """Return a judge over HTTP, in OpenAI's form of a chat."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def answer(messages: Sequence[str]) -> list[str]:
        with httpx.Client(base_url=url, headers=headers, timeout=SECONDS) as client:
            return [_reply(client, name, message) for message in messages]

    return answer


def _reply(client: httpx.Client, name: str, message: str) -> str:
    body = {"model": name, "messages": [{"role": "user", "content": message}], "max_tokens": TOKENS, "temperature": 0}
    reply = client.post("chat/completions", json=body)
    reply.raise_for_status()
    return str(reply.json()["choices"][0]["message"]["content"])


def judged(rows: Sequence[Mapping[str, str]], judge: Chat | None) -> dict[str, list[Any]]:
    """Return the verdicts of each way on all rows: nothing but the object; the object as whole words; the judge."""
    found: dict[str, list[Any]] = {
        "object alone": [_alone(row) for row in rows],
        "object in the answer": [verdict_of(row["said"], [row["new"]], _old(row)) for row in rows],
    }
    if judge is not None:
        found["judge"] = verdicts([_case(row) for row in rows], judge)
    return found


def _case(row: Mapping[str, str]) -> Case:
    new, old = (f"{joined(row['fact'], row[name])}." for name in ("new", "old"))
    return Case(row["text"], row["said"], new, old if row["old"] else None)


def _old(row: Mapping[str, str]) -> list[str]:
    return [row["old"]] if row["old"] else []


def _alone(row: Mapping[str, str]) -> str:
    return "new" if exact(row["said"], [row["new"]]) else "old" if exact(row["said"], _old(row)) else "neither"


def kappa(ours: Sequence[Any], theirs: Sequence[Any]) -> float:
    """Return Cohen's kappa: agreement beyond what chance gives; NaN where chance already agrees on all."""
    n, kinds = len(ours), [*VERDICTS.values(), None]
    seen = sum(a == b for a, b in zip(ours, theirs, strict=True)) / n
    first, second = Counter(ours), Counter(theirs)
    chance = sum(first[kind] * second[kind] for kind in kinds) / n**2
    return float("nan") if chance == 1 else (seen - chance) / (1 - chance)


def table(rows: Sequence[Mapping[str, str]], found: Mapping[str, Sequence[Any]]) -> str:
    """Return a table in Markdown: of each way the agreement with 95 % interval, kappa, and of "new" precision and recall."""
    labels = [row["label"] for row in rows]
    lines = [
        f"{len(rows)} answers: {', '.join(f'{count} {kind}' for kind, count in Counter(labels).most_common())}",
        "",
        "| way | agreement | kappa | said to be new: right | new: found | no verdict |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, own in found.items():
        same = [float(a == b) for a, b in zip(own, labels, strict=True)]
        low, high = rate_interval(same, np.ones(len(same)))
        said, meant = [v == "new" for v in own], [v == "new" for v in labels]
        both = sum(a and b for a, b in zip(said, meant, strict=True))
        right, recalled = (f"{both / total:.2f}" if total else "-" for total in (sum(said), sum(meant)))
        cells = (name, f"{sum(same) / len(same):.2f} ({low:.2f}-{high:.2f})", f"{kappa(own, labels):.2f}", right, recalled)
        lines.append(f"| {' | '.join(cells)} | {sum(v is None for v in own)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
