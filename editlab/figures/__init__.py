"""Pictures of what `insight` finds: a table in, a Plotly figure out. They fetch nothing and know no model."""

from pathlib import Path

from editlab.figures import inside
from editlab.figures.charts import FONT_SIZE, NOTE
from editlab.figures.gate import sweep
from editlab.figures.keys import bounds, components, discussion, prefixes, similarity, values

SAVE = Path(__file__).with_name("save.js")
"""The script that saves a figure as PNG, SVG or CSV."""

__all__ = [
    "FONT_SIZE",
    "NOTE",
    "SAVE",
    "bounds",
    "components",
    "discussion",
    "inside",
    "prefixes",
    "similarity",
    "sweep",
    "values",
]
