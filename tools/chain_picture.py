"""Draw chains of edits: python -m tools.chain_picture OUT.png NAME=CHAINS.json ...

NAME: model, method and what else there is to say, as "SmolLM2, ROME, spared, anchored"; the colour is the method's, the
first model's lines are dotted, and dashed is what more is said of. CHAINS.json: what `editlab bench chain --json` printed.
Four curves over the applied edits, in powers of ten, a line each chain; needs Chromium. The table of the last check-up of
each is printed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from plotly import graph_objects as go
from plotly.subplots import make_subplots

from tests.chromium import chromium

METRICS = {
    "holds": "Edits that hold",
    "locality": "Locality",
    "loss": "Loss on prose, above the base's",
    "energy": "Hyperspherical energy, change",
}
COLOURS = ("#4338ca", "#c0761a", "#0f766e", "#a8281f", "#6b7280", "#7c3aed", "#15803d", "#b45309")
SIZE = {"width": 1200, "height": 760}


def main() -> int:
    """Write the picture and print the table."""
    out, *given = sys.argv[1:]
    chains = {name: chain_in(Path(path)) for name, _, path in (one.partition("=") for one in given)}
    draw(chains, Path(out))
    print("| chain | edits | hold | locality | same subject | loss | energy | first alarms | after the return |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, chain in chains.items():
        print(row(name, chain))
    return 0


def chain_in(path: Path) -> dict[str, Any]:
    """Return the one chain of a file."""
    (chain,) = json.loads(path.read_text(encoding="utf-8"))["chains"]
    return chain


def row(name: str, chain: dict[str, Any]) -> str:
    """Return a chain's line: its last check-up, where each alarm began, what the return restored."""
    last = chain["rows"][-1]
    figures = [last[key] for key in ("holds", "locality", "same_subject", "loss", "energy")]
    told = ["–" if value is None else f"{value:.2f}" for value in figures[:4]] + [f"{100 * (figures[4] or 0):+.2f} %"]
    alarms = ", ".join(f"{metric.replace('_', ' ')} {at}" for metric, at in chain["alarms"].items()) or "none"
    back = f"{chain['returned_to']} edits, difference {chain['largest_difference']:g}" if "returned_to" in chain else "–"
    return f"| {name} | {last['edits']:,} | {' | '.join(told)} | {alarms} | {back} |"


def draw(chains: dict[str, dict[str, Any]], out: Path) -> None:
    """Write the picture: a panel a metric, a line a chain."""
    figure = make_subplots(2, 2, subplot_titles=list(METRICS.values()), horizontal_spacing=0.07, vertical_spacing=0.12)
    models, named = ([*dict.fromkeys(part)] for part in zip(*(name.split(", ")[:2] for name in chains), strict=True))
    for name, chain in chains.items():
        model, method, *more = name.split(", ")
        dash = "dash" if more else "dot" if len(models) > 1 and model == models[0] else "solid"
        edits = [1, *(one["edits"] for one in chain["rows"])]
        for place, metric in enumerate(METRICS):
            first = 1.0 if metric in ("holds", "locality") else 0.0
            line = go.Scatter(
                x=edits,
                y=[first, *(one[metric] for one in chain["rows"])],
                name=name,
                mode="lines+markers",
                line={"color": COLOURS[named.index(method) % len(COLOURS)], "dash": dash},
                marker={"size": 5},
                showlegend=place == 0,
            )
            figure.add_trace(line, place // 2 + 1, place % 2 + 1)
    figure.update_xaxes(type="log", dtick=1)
    figure.update_yaxes(range=[0, 1.03], row=1)
    figure.update_layout(
        template="plotly_white",
        font={"size": 15},
        margin={"t": 40, "r": 20},
        legend={"orientation": "h", "y": -0.08},
        **SIZE,
    )
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        written = Path(folder) / "chains.html"
        figure.write_html(written, include_plotlyjs=True)
        page = browser.new_page(viewport=SIZE)
        page.goto(written.as_uri())
        page.wait_for_selector(".main-svg")
        page.screenshot(path=out)


if __name__ == "__main__":
    sys.exit(main())
