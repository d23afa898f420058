"""Tables that people open in a spreadsheet: no cell of ours is a formula there, and our reader gives back what it was."""

import ast
import csv
import io

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from paths import ROOT

from editlab.facts import EditCase, EditRequest, read_cases
from editlab.facts.readers import from_spreadsheet
from editlab.facts.request import Expectation
from editlab.facts.writers import for_spreadsheet, frame_csv, table

BEGINNINGS = "=+-@\t\r\n＝＋－＠"


def rows_of(text):
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("sign", [sign for sign in BEGINNINGS if not sign.isspace()])  # requests drop white space
def test_no_cell_of_exported_edits_is_a_formula(sign, tmp_path):
    formula = f"{sign}cmd|' /C calc'!A0"
    request = EditRequest(f"-{formula} {{}} is", formula, formula, f"{formula}0")
    case = EditCase(request, "1", rephrases=(f"={formula}".replace("|", ""),), neighbours=(Expectation("@SUM(1)"),))
    text = table([case])
    cells = [cell for row in rows_of(text)[1:] for cell in row]
    assert len(cells) == 6 and all(cell[0] == "'" for cell in cells)
    (tmp_path / "edits.csv").write_text(text, encoding="utf-8", newline="")
    (found,) = read_cases(tmp_path / "edits.csv")
    assert found.request == request and found.rephrases == case.rephrases
    assert [item.text for item in found.neighbours] == ["@SUM(1)"]


beginnings = st.text(st.sampled_from("'=+-@\t\r\n＝ a"), max_size=4)


@given(st.builds("{}{}".format, beginnings, st.text()))
@example("'")
@example("''=1")
@example("'tis")
@example("")
def test_any_text_comes_back_as_it_was(text):
    cell = for_spreadsheet(text)
    assert from_spreadsheet(cell) == text
    assert cell[:1] not in (*BEGINNINGS,)


@pytest.mark.parametrize("cell", ["'tis", "''", "'", "it's =1", "plain"])
def test_an_apostrophe_of_ones_own_is_kept_where_others_wrote_the_file(cell):
    assert from_spreadsheet(cell) == cell == for_spreadsheet(cell)


def test_a_tables_numbers_stay_numbers():
    frame = pd.DataFrame({"loss": [-1.5, float("nan")], "n": [-2, 3], "name": ["=1+1", None]})
    assert frame_csv(frame) == "loss,n,name\n-1.5,-2,'=1+1\n,3,\n"


def test_no_other_place_writes_csv():
    """Whoever adds one uses `frame_csv` or `for_spreadsheet`."""
    found = set()
    for path in (ROOT / "editlab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("to_csv", "writer", "DictWriter", "to_excel"):
                found.add(str(path.relative_to(ROOT)))
    assert found == {"editlab/facts/writers.py"}
