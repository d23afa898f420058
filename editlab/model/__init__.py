"""The frozen model: loading, architectures, tokens, scoring, generation, forwards under views, key statistics."""

from editlab.model.language_model import LanguageModel
from editlab.model.plan import Plan, plan
from editlab.model.sampling import Sampling
from editlab.model.scoring import Score
from editlab.model.tokens import Located, TokenBatch

__all__ = ["LanguageModel", "Located", "Plan", "Sampling", "Score", "TokenBatch", "plan"]
