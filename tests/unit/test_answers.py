"""Views' names and answers are what tables, JSON and the ledger have always held."""

import json

import pandas as pd
import pytest
from pydantic_core import to_json

from editlab import probes
from editlab.answers import Answer, ViewName
from editlab.facts import EditRequest
from editlab.patches import BASE

NAMES = ("base", "edited", "rep", "masked", "base_masked", "guarded")


def test_a_views_name_is_its_string_wherever_it_is_written():
    assert tuple(ViewName) == NAMES and [f"{view} top" for view in ViewName] == [f"{name} top" for name in NAMES]
    named, plain = {view: str(view) for view in ViewName}, {name: name for name in NAMES}
    assert named == plain and named["rep"] == plain[ViewName.REP]
    assert json.dumps(named) == json.dumps(plain) and to_json(named) == to_json(plain)
    assert list(pd.DataFrame([named])["edited"]) == ["edited"]


@pytest.mark.parametrize("true", ["Europe", None])
def test_a_summary_has_all_fields_of_an_answer(tiny_llama, true):
    request = EditRequest("{} is in", "Slovenia", "Asia", true)
    answer = probes.summaries(tiny_llama, request, {ViewName.BASE: BASE})["base"]
    assert answer.keys() == Answer.__annotations__.keys()
    assert (answer["p_true"] is None) == (answer["first_true"] is None) == (true is None)
    assert len(answer["top"]) == 5 and json.loads(json.dumps(answer)) == answer
