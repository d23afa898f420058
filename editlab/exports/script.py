"""The run as Python that repeats it: the same edits in the same order with the same settings, compared with those exported.

The code is fixed; what people wrote stands in it as literals alone, which `repr` makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from pprint import pformat
from typing import Any

import nbformat

from editlab.exports import commands
from editlab.exports.check import keep, named, plain
from editlab.exports.entry import Entry
from editlab.exports.format import Export, Format, write_text
from editlab.exports.notes import remade
from editlab.model import LanguageModel
from editlab.wording import noop
from editlab.work import Cancel, Progress

WIDTH = 120
PATCHES = "patches.safetensors"
TITLE = "Makes these edits again with EditLab and holds them against those that were exported."

IMPORTS = """
from math import inf
from pathlib import Path

from editlab import EditRequest, LanguageModel, View, methods, probes
from editlab.exports import apart, kept, named, plain
from editlab.facts import FactBase
from editlab.methods import rep
from editlab.settings import Settings
"""
LOAD = """
model = LanguageModel.load(**MODEL)
presets = Settings().presets
ground = probes.Ground(model, FactBase.load(presets / "facts"), probes.passages(model, presets / "texts"), SEED)


def learn(request, names, patches, view, recipe, form):
    \"\"\"REP's pathways for one edit, learnt from what EditLab chooses for it and from `names`.\"\"\"
    known = request.subject in ground.facts.by_subject
    asked = () if known else probes.asked_of_model(model, request.subject)
    lessons = ground.lessons(ground.case(request), (*names, *asked))
    return rep.refine(model, lessons, patches, view, rep.RepConfig(recipe=recipe), form=model.form(form)).pathways
"""
MAKE = """
view, pathways, earlier, made = View.base(), {}, [], {}
for number, edit in enumerate(EDITS):
    requests = [EditRequest(**request) for request in edit["requests"]]
    method = methods.get(edit["method"])
    spared = {"earlier": earlier} if method.spares else {}
    patches = method.edit(model, requests, view, method.config(**edit["config"]), **spared).patches
    learnt = ()
    if edit["rep"]:
        under = view.with_patches(pathways.values())
        learnt = learn(requests[0], edit["names"], patches, under, edit["rep"], edit["config"]["form"])
    for pathway in learnt:
        pathways.setdefault((pathway.subject, pathway.layer), pathway)
    view = view.with_patches(patches)
    earlier += requests
    made |= named(number, (*patches, *learnt)) | plain(number, (*patches, *learnt))
"""
ASK = """
final = view.with_patches(pathways.values()).with_threshold(THRESHOLD)
for edit in EDITS:
    asked = final.with_patches([model.form(edit["config"]["form"])])
    for request in edit["requests"]:
        text = EditRequest(**request).text
        token, p = model.top(text, asked, 1)[0]
        print(f"{text} ->{token!r} ({p:.0%}; the new object: {request['target_new']!r})")
"""
CHECK = """
exported = kept(HERE / "patches.safetensors")
for number, edit in enumerate(EDITS):
    own = [{key: value for key, value in all_.items() if key.startswith(f"{number}.")} for all_ in (made, exported)]
    print(f"edit {number + 1}: {apart(*own):.1e} of its largest value away from the exported one")
if apart(made, exported) > TOLERANCE:
    raise SystemExit(
        "These are not the exported edits. Either they were made on top of others that are gone now, or the model, its "
        "precision or the version of EditLab differ."
    )
print("All edits are the exported ones.")
"""


def _write_script(export: Export, folder: Path, progress: Progress, cancel: Cancel) -> None:
    run = export.model, export.entries, export.ground.seed
    write_text(folder / "repeat.py", script(*run, export.view.threshold))
    commands.write(*run, folder)
    write_patches(export.entries, folder)


def _write_notebook(export: Export, folder: Path, progress: Progress, cancel: Cancel) -> None:
    run = export.model, export.entries, export.ground.seed, export.view.threshold
    write_text(folder / "repeat.ipynb", notebook(*run))
    write_patches(export.entries, folder)


SCRIPT = Format(
    "script",
    noop("a Python file and terminal lines that make the edits again"),
    noop("Makes the same edits again with EditLab, with terminal lines that do so as well."),
    _write_script,
    notes=(remade,),
)
NOTEBOOK = Format(
    "notebook",
    noop("the same as a Jupyter notebook"),
    noop("Makes the same edits again with EditLab, step by step."),
    _write_notebook,
    notes=(remade,),
)


def script(model: LanguageModel, entries: Sequence[Entry], seed: int, threshold: float) -> str:
    """Return a Python file that makes the edits again."""
    head = f'"""{TITLE}\n\nNeeds {PATCHES} beside it. repeat.sh says the same to the terminal.\n"""'
    parts = [head]
    for text, code in _steps(model, entries, seed, threshold, "Path(__file__).parent"):
        parts.append(f"# {text}\n{code}")
    return "\n\n".join(parts) + "\n"


def notebook(model: LanguageModel, entries: Sequence[Entry], seed: int, threshold: float) -> str:
    """Return the same in cells, a word of explanation before each."""
    cells = [nbformat.v4.new_markdown_cell(f"# Edits, made again\n\n{TITLE}", id="title")]
    for number, (text, code) in enumerate(_steps(model, entries, seed, threshold, "Path.cwd()")):
        cells += [
            nbformat.v4.new_markdown_cell(text, id=f"text{number}"),
            nbformat.v4.new_code_cell(code, id=f"code{number}"),
        ]
    book = nbformat.v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
    nbformat.validate(book)
    return nbformat.writes(book) + "\n"


def write_patches(entries: Sequence[Entry], folder: Path) -> None:
    """Write what the exported edits' own patches hold, to which the run compares what it makes."""
    held: dict[str, Any] = {}
    for number, entry in enumerate(entries):
        patches = *entry.patches, *entry.pathways
        held |= named(number, patches) | plain(number, patches)
    keep(folder / PATCHES, held)


def _steps(model: LanguageModel, entries: Sequence[Entry], seed: int, threshold: float, here: str) -> list[tuple[str, str]]:
    """Return what is done, and the code that does it."""
    source = {
        "name": model.name,
        "quantization": model.quantization,
        "dtype": str(model.dtype).removeprefix("torch."),
        "seed": seed,
        "start": str(model.start) or "none",
    }
    data = (
        f"MODEL = {literal(source)}\nSEED, THRESHOLD, TOLERANCE = {seed!r}, {threshold!r}, 1e-2\nHERE = {here}\n"
        f"EDITS = {literal([_as_data(entry) for entry in entries])}"
    )
    steps = {
        "What is needed.": IMPORTS,
        "The model, the gates' threshold, and every edit with its settings.": data,
        "Load the model, and what REP learns from.": LOAD,
        "Make the edits, each under those before it.": MAKE,
        "What the model says now.": ASK,
        "Are these the exported edits?": CHECK,
    }
    return [(text, code.strip()) for text, code in steps.items()]


def literal(value: Any) -> str:
    """Return a plain value as Python writes it, over several lines where it is long; bounds that are none as `inf`."""
    return pformat(value, width=WIDTH, sort_dicts=False)


def _as_data(entry: Entry) -> Mapping[str, Any]:
    return {
        "requests": [request.as_dict() for request in entry.requests],
        "method": entry.method,
        "config": dict(entry.config),
        "rep": entry.rep if entry.pathways else None,
        "names": list(entry.names),
    }
