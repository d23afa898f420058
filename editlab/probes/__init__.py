"""What a model says around an edit: batteries of prompts, asked under views, and their verdicts."""

from editlab.answers import Answers
from editlab.probes.battery import KINDS, TELLING, Probe, battery, shuffles
from editlab.probes.cases import case_for, ended_by
from editlab.probes.gates import gates, gates_of
from editlab.probes.ground import Ground
from editlab.probes.knowledge import Knowledge, in_turn, knowledge, wordings
from editlab.probes.lessons import lessons
from editlab.probes.linked import FATES, fates, linked
from editlab.probes.passages import Passages, passages
from editlab.probes.questions import questions
from editlab.probes.rephrasing import asked_of_model
from editlab.probes.reversal import CONTROL, answers_with, guarded, judged, reversal
from editlab.probes.sweep import THRESHOLDS, sweep
from editlab.probes.verdict import ask, judge, scores, tallies, tone
from editlab.probes.views import answers_so_far, answers_together, summaries, summaries_so_far, summary
from editlab.probes.ways_back import ways_back

__all__ = [
    "CONTROL",
    "FATES",
    "KINDS",
    "TELLING",
    "THRESHOLDS",
    "Answers",
    "Ground",
    "Knowledge",
    "Passages",
    "Probe",
    "answers_so_far",
    "answers_together",
    "answers_with",
    "ask",
    "asked_of_model",
    "battery",
    "case_for",
    "ended_by",
    "fates",
    "gates",
    "gates_of",
    "guarded",
    "in_turn",
    "judge",
    "judged",
    "knowledge",
    "lessons",
    "linked",
    "passages",
    "questions",
    "reversal",
    "scores",
    "shuffles",
    "summaries",
    "summaries_so_far",
    "summary",
    "sweep",
    "tallies",
    "tone",
    "ways_back",
    "wordings",
]
