"""EditLab: edit facts in language models without changing the model, and see what an edit did."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from editlab import methods
    from editlab.errors import EditLabError
    from editlab.facts import EditCase, EditRequest
    from editlab.model import LanguageModel
    from editlab.patches import View

__version__ = "0.11.3"
__all__ = ["EditCase", "EditLabError", "EditRequest", "LanguageModel", "View", "methods", "show"]

_MODULES = {
    "EditCase": "editlab.facts",
    "EditLabError": "editlab.errors",
    "EditRequest": "editlab.facts",
    "LanguageModel": "editlab.model",
    "View": "editlab.patches",
    "show": "editlab.notebook",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import editlab` does not import torch."""
    if name == "methods":
        return import_module("editlab.methods")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'editlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
