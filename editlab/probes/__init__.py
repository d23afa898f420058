"""What a model says around an edit: batteries of prompts, asked under views, and their verdicts."""

from editlab.probes.battery import KINDS, Probe, battery, shuffles
from editlab.probes.cases import case_for
from editlab.probes.gates import gates, gates_of
from editlab.probes.lessons import lessons
from editlab.probes.passages import Passages, passages
from editlab.probes.questions import questions
from editlab.probes.rephrasing import asked_of_model
from editlab.probes.sweep import THRESHOLDS, sweep
from editlab.probes.verdict import ask, judge, scores, tallies
from editlab.probes.views import Answers, answers_so_far, summaries, summaries_so_far, summary

__all__ = [
    "KINDS",
    "THRESHOLDS",
    "Answers",
    "Passages",
    "Probe",
    "answers_so_far",
    "ask",
    "asked_of_model",
    "battery",
    "case_for",
    "gates",
    "gates_of",
    "judge",
    "lessons",
    "passages",
    "questions",
    "scores",
    "shuffles",
    "summaries",
    "summaries_so_far",
    "summary",
    "sweep",
    "tallies",
]
