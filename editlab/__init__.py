"""EditLab: edit facts in language models without changing the model, and see what an edit did."""

from editlab import methods
from editlab.errors import EditLabError
from editlab.facts import EditCase, EditRequest
from editlab.model import LanguageModel
from editlab.patches import View

__version__ = "0.3.0"
__all__ = ["EditCase", "EditLabError", "EditRequest", "LanguageModel", "View", "methods"]
