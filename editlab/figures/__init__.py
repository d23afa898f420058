"""Pictures of what `insight` finds: a table in, a Plotly figure out. They fetch nothing and know no model."""

from editlab.figures import inside
from editlab.figures.charts import FONT_SIZE
from editlab.figures.gate import sweep
from editlab.figures.keys import bounds, components, discussion, prefixes, similarity, values

__all__ = ["FONT_SIZE", "bounds", "components", "discussion", "inside", "prefixes", "similarity", "sweep", "values"]
