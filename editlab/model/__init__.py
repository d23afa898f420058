"""The frozen model: loading, architectures, tokens, scoring, generation, forwards under views, key statistics."""

from editlab.model.generation import Sampling
from editlab.model.language_model import LanguageModel
from editlab.model.loading import load
from editlab.model.plan import Plan, plan
from editlab.model.scoring import Score
from editlab.model.tokens import Located, TokenBatch

__all__ = ["LanguageModel", "Located", "Plan", "Sampling", "Score", "TokenBatch", "load", "plan"]
