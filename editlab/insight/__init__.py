"""What happens inside a model around an edit, as tables: keys, values, stored voices, and what theory says must follow."""

from editlab.insight.bounds import agreement, bounds, summary, taking_the_lead
from editlab.insight.discussion import StoredKeys, discussion, stored_keys
from editlab.insight.lemma import Lemma, lemma
from editlab.insight.lens import Lens
from editlab.insight.prefixes import Scan, prefixes
from editlab.insight.similarity import Similarity, similarity
from editlab.insight.values import values

__all__ = [
    "Lemma",
    "Lens",
    "Scan",
    "Similarity",
    "StoredKeys",
    "agreement",
    "bounds",
    "discussion",
    "lemma",
    "prefixes",
    "similarity",
    "stored_keys",
    "summary",
    "taking_the_lead",
    "values",
]
