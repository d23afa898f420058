"""Holds what is read of a file of published records against the file itself."""

import json
from pathlib import Path

from editlab.facts import EditRequest, Expectation, read_cases, split


def check_counterfact(path: Path, count: int) -> None:
    """Every record of CounterFact's form is read, each field as it stands there."""
    cases, records = read_cases(path), json.loads(path.read_text(encoding="utf-8"))
    assert len(cases) == count
    for case, record in zip(cases, records, strict=True):
        rewrite = record["requested_rewrite"]
        true = rewrite["target_true"]["str"]
        assert case.id == str(record["case_id"]) and case.relation == rewrite["relation_id"]
        assert case.request == EditRequest(rewrite["prompt"], rewrite["subject"], rewrite["target_new"]["str"], true)
        assert list(case.paraphrases) == record["paraphrase_prompts"]
        assert case.neighbours == tuple(Expectation(text, true) for text in record["neighborhood_prompts"])
        assert list(case.attribute_prompts) == record.get("attribute_prompts", [])
        assert list(case.generation_prompts) == record.get("generation_prompts", [])


def check_rep(path: Path, count: int) -> None:
    """Every record of REP's form is read, each field as it stands there; paraphrases that are blank are left out."""
    cases, records = read_cases(path), json.loads(path.read_text(encoding="utf-8"))
    assert len(cases) == count
    for case, record in zip(cases, records, strict=True):
        assert case.id == str(record["case_id"])
        assert case.request.text == record["prompt"] and case.request.subject == record["subject"]
        assert (case.request.target_new, case.request.target_true) == (record["target_new"].strip(), record["target_true"])
        assert list(case.rephrases) == record["subject_rephrase"]
        assert [len(half) for half in split(case.rephrases)] == [5, 5]
        assert list(case.paraphrases) == [text for text in record["rephrase_prompt"] or [] if text]
        truth = record["locality_ground_truth"]
        assert case.neighbours == tuple(Expectation(text, truth) for text in record["locality_prompt"])
