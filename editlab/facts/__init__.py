"""Facts, edit requests and the files they come in."""

from editlab.facts.base import Fact, FactBase, Relation, read_table
from editlab.facts.published import source_of
from editlab.facts.readers import Fault, Placed, read_cases, read_file, read_placed
from editlab.facts.request import EditCase, EditRequest, Expectation, split

__all__ = [
    "EditCase",
    "EditRequest",
    "Expectation",
    "Fact",
    "FactBase",
    "Fault",
    "Placed",
    "Relation",
    "read_cases",
    "read_file",
    "read_placed",
    "read_table",
    "source_of",
    "split",
]
