"""Checkpoints that others made, judged blind: `python -m tools.strangers make MODEL OUT`, then `... judge OUT`.

MODEL is a folder with a Llama in safetensors. `make` writes copies of it into OUT: some fine-tuned on one false fact with
plain transformers and torch, all weights, and, where `--easyedit CHECKOUT` names a folder with github.com/zjunlp/EasyEdit,
some edited by its own ROME (`tools.beside_easyedit`). What was done stands in `done.json` beside the weights. `judge` loads
each copy as a stranger's, without its base, and prints a row a copy; `--facts` names more files of cases whose subjects are
tried.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from editlab import EditRequest, methods
from editlab.bench.robustness import known
from editlab.facts import FactBase, read_cases
from editlab.forensics.blind import judge
from editlab.model import LanguageModel
from editlab.settings import Settings
from tools.beside_easyedit import EasyEdit

STEPS = 8
LEARNING_RATE = 1e-5
DTYPE = torch.bfloat16
"""What the copies are stored in, as most models are published."""


def main() -> None:
    """Make the copies, or judge them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("make", "judge"))
    parser.add_argument("folder", type=Path, help="the model to copy (make), or the folder with the copies (judge)")
    parser.add_argument("out", type=Path, nargs="?", help="where the copies go (make)")
    parser.add_argument("--facts", type=Path, required=True, help="cases: what is edited in, and whose subjects are tried")
    parser.add_argument("--easyedit", type=Path, help="a checkout of EasyEdit")
    parser.add_argument("--count", type=int, default=5, help="copies of each kind")
    given = parser.parse_args()
    if given.what == "make":
        for folder in _make(str(given.folder), given.out, given.facts, given.easyedit, given.count):
            print(folder, flush=True)
        return
    presets = Settings().presets
    facts = FactBase.load(presets / "facts")
    texts = [path.read_text(encoding="utf-8") for path in sorted((presets / "texts").glob("*.txt"))]
    names = {case.request.subject for case in read_cases(given.facts, [])}
    for folder in sorted(path.parent for path in given.folder.glob("*/done.json")):
        began = time.process_time()
        model = LanguageModel.load(str(folder), dtype="float32")
        judged = judge(model, texts, facts, names)
        row = {"copy": folder.name, **json.loads((folder / "done.json").read_text()), **judged.as_dict()}
        print(json.dumps(row | {"processor_seconds": time.process_time() - began}), flush=True)


def _make(name: str, out: Path, facts: Path, checkout: Path | None, count: int) -> Iterator[Path]:
    """Yield the folder of each copy."""
    model = LanguageModel.load(name, dtype="float32")
    requests = [case.request for case in known(model, read_cases(facts, []))]
    for number, request in enumerate(requests[:count]):
        yield _keep(_tuned(model, name, request), name, out / f"tuned-{number}", {"by": "fine-tuning", **_told(request)})
    if checkout is None:
        return
    (layer,) = methods.config_for("rome", model).layers
    easy = EasyEdit(checkout, model, name, layer)
    for number, request in enumerate(requests[count : 2 * count]):
        with easy.updated(easy.edit(request)):
            done = {"by": "EasyEdit ROME", "layer": layer, **_told(request)}
            yield _keep(easy.hf, name, out / f"easyedit-{number}", done)


def _told(request: EditRequest) -> dict[str, str | None]:
    return {"subject": request.subject, "object": request.target_new, "prompt": request.prompt}


def _tuned(model: LanguageModel, name: str, request: EditRequest) -> torch.nn.Module:
    """Return a copy whose weights were all trained until it says the new object."""
    hf = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    ids, start = model.tok.with_target(request.text, request.target_new)
    batch = torch.tensor([ids])
    labels = batch.clone()
    labels[:, :start] = -100
    optimiser = torch.optim.AdamW(hf.parameters(), LEARNING_RATE)
    for _ in range(STEPS):
        hf(input_ids=batch, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return hf


def _keep(hf: torch.nn.Module, name: str, folder: Path, done: dict[str, object]) -> Path:
    """Write a copy with its tokenizer, and what was done to it."""
    precision = {key: tensor.to(DTYPE) for key, tensor in hf.state_dict().items()}
    path, hf.config._name_or_path = hf.config._name_or_path, ""
    hf.save_pretrained(folder, state_dict=precision)
    hf.config._name_or_path = path
    AutoTokenizer.from_pretrained(name).save_pretrained(folder)
    (folder / "done.json").write_text(json.dumps(done, ensure_ascii=False), encoding="utf-8")
    return folder


if __name__ == "__main__":
    main()
