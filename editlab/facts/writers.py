"""Edits in the forms in which others take them: CounterFact, EasyEdit, and plain CSV.

`readers` reads each of them back to the same requests. What surrounds a request goes along as far as the form has a place
for it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pandas import DataFrame

from editlab.errors import BadRequest
from editlab.facts.readers import FORMULA, OPTIONAL_COLUMNS, REQUIRED_COLUMNS, SEPARATOR
from editlab.facts.request import EditCase, Expectation


def counterfact(cases: Sequence[EditCase]) -> str:
    """Return the JSON of ROME's CounterFact. A neighbour there has the edit's own true object: others are left out."""
    return _json(_counterfact_record(number, case) for number, case in enumerate(cases, start=1))


def easyedit(cases: Sequence[EditCase]) -> str:
    """Return the JSON of EasyEdit and its KnowEdit; `prompt_template` is ours, the prompt with its "{}".

    What nobody knows the answer to is left out there.
    """
    return _json(_easyedit_record(number, case) for number, case in enumerate(cases, start=1))


def table(cases: Sequence[EditCase]) -> str:
    """Return CSV with the columns that `editlab apply` reads. An item with the separator in it is left out.

    Raises `BadRequest` for a prompt that begins or ends with white space: there, a CSV's means nothing.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow((*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS))
    for case in cases:
        request = case.request
        if request.prompt != request.prompt.strip():
            raise BadRequest(
                f"The prompt {request.prompt!r} begins or ends with white space, which CSV does not keep. Export as "
                "counterfact or easyedit."
            )
        lists = case.rephrases, (item.text for item in case.neighbours)
        cells = (SEPARATOR.join(text for text in items if SEPARATOR not in text) for items in lists)
        row = request.subject, request.prompt, request.target_new, request.target_true or "", *cells
        rows.writerow(map(for_spreadsheet, row))
    return text.getvalue()


def for_spreadsheet(cell: str) -> str:
    """Return a text as a cell that no spreadsheet calculates; `readers.from_spreadsheet` gives the text back."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def frame_csv(frame: DataFrame) -> str:
    """Return a table as CSV, its texts as cells that no spreadsheet calculates; numbers stay as they are."""
    return frame.map(lambda cell: for_spreadsheet(cell) if isinstance(cell, str) else cell).to_csv(index=False)


def _counterfact_record(number: int, case: EditCase) -> dict[str, Any]:
    request = case.request
    rewrite: dict[str, Any] = {
        "prompt": request.prompt,
        "relation_id": case.relation,
        "target_new": {"str": request.target_new},
        "target_true": None if request.target_true is None else {"str": request.target_true},
        "subject": request.subject,
    }
    return {
        "case_id": number,
        "requested_rewrite": rewrite,
        "paraphrase_prompts": list(case.paraphrases),
        "neighborhood_prompts": [item.text for item in case.neighbours if item.expected == request.target_true],
        "attribute_prompts": list(case.attribute_prompts),
        "generation_prompts": list(case.generation_prompts),
    }


def _easyedit_record(number: int, case: EditCase) -> dict[str, Any]:
    request = case.request
    paraphrase, *paraphrases = case.paraphrases or (None,)
    neighbour, *neighbours = _answered(case.neighbours) or (None,)
    return {
        "case_id": number,
        "subject": request.subject,
        "prompt": request.text,
        "prompt_template": request.prompt,
        "target_new": request.target_new,
        "ground_truth": request.target_true,
        "relation_id": case.relation,
        "rephrase_prompt": paraphrase,
        "rephrase": paraphrases,
        "subject_rephrase": list(case.rephrases),
        "locality_prompt": neighbour and neighbour.text,
        "locality_ground_truth": neighbour and neighbour.expected,
        "locality": _groups(Relation_Specificity=_answered(case.same_subject), Neighborhood=neighbours),
        "portability": _groups(Reasoning=_answered(case.propagation)),
    }


def _answered(items: Iterable[Expectation]) -> list[Expectation]:
    return [item for item in items if item.expected is not None]


def _groups(**groups: Sequence[Expectation]) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [{"prompt": item.text, "ground_truth": [item.expected]} for item in items]
        for name, items in groups.items()
        if items
    }


def _json(records: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps(list(records), ensure_ascii=False, indent=1) + "\n"
