"""What a model says around an edit: batteries of prompts, asked under views, and their verdicts."""

from editlab.probes.battery import KINDS, Probe, battery, shuffles
from editlab.probes.cases import case_for
from editlab.probes.passages import Passages, passages
from editlab.probes.verdict import ask, judge, scores, tallies
from editlab.probes.views import Answers, answers_so_far, summaries, summaries_so_far, summary

__all__ = [
    "KINDS",
    "Answers",
    "Passages",
    "Probe",
    "answers_so_far",
    "ask",
    "battery",
    "case_for",
    "judge",
    "passages",
    "scores",
    "shuffles",
    "summaries",
    "summaries_so_far",
    "summary",
    "tallies",
]
