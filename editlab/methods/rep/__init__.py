"""REP: a pathway that brings the keys of one subject together, however the subject is said."""

from editlab.methods.rep.config import RepConfig
from editlab.methods.rep.lessons import Lessons
from editlab.methods.rep.refine import Refined, refine

__all__ = ["Lessons", "Refined", "RepConfig", "refine"]
