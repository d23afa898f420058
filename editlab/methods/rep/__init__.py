"""REP: a pathway that brings the keys of one subject together, however the subject is rephrased."""

from editlab.methods.rep.config import RepConfig
from editlab.methods.rep.lessons import Lessons
from editlab.methods.rep.recipe import OFF, RECIPES, Recipe, check_threshold, recipe_of, threshold_of
from editlab.methods.rep.refine import Refined, refine

__all__ = [
    "OFF",
    "RECIPES",
    "Lessons",
    "Recipe",
    "Refined",
    "RepConfig",
    "check_threshold",
    "recipe_of",
    "refine",
    "threshold_of",
]
