"""What happens inside a model around an edit, as tables: keys, values, stored voices, and what theory says must follow."""

from editlab.insight.attention import attention
from editlab.insight.bounds import agreement, bounds, summary, taking_the_lead
from editlab.insight.contributions import contributions
from editlab.insight.discussion import StoredKeys, discussion, stored_keys
from editlab.insight.lemma import Lemma, lemma
from editlab.insight.logit_lens import logit_lens
from editlab.insight.mask_structure import concentration, mask_structure
from editlab.insight.prefixes import Scan, prefixes
from editlab.insight.similarity import Similarity, similarity
from editlab.insight.site import Site
from editlab.insight.stream import Question
from editlab.insight.values import values
from editlab.insight.why import Cause, why

__all__ = [
    "Cause",
    "Lemma",
    "Question",
    "Scan",
    "Similarity",
    "Site",
    "StoredKeys",
    "agreement",
    "attention",
    "bounds",
    "concentration",
    "contributions",
    "discussion",
    "lemma",
    "logit_lens",
    "mask_structure",
    "prefixes",
    "similarity",
    "stored_keys",
    "summary",
    "taking_the_lead",
    "values",
    "why",
]
