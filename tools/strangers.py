"""Checkpoints that others made: `python -m tools.strangers make MODEL OUT --easyedit CHECKOUT`; `judge OUT --base MODEL`.

MODEL is a folder with a Llama in safetensors. `make` writes ten copies of it into OUT, stored as most models are published:
seven edited by EasyEdit's own ROME, MEMIT and AlphaEdit (`tools.easyedit`), three fine-tuned with plain transformers, torch
and peft. What was done stands in `done.json` beside the weights. `judge` loads each copy as a stranger's, without its base,
as `editlab verify --blind` does, with the subjects of `--facts` among the names that are tried; then holds it against the
base, as `editlab verify --base` does; and prints a line of JSON a copy. `table` prints these lines as Markdown.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import peft
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from editlab import EditRequest, methods
from editlab.bench.robustness import known
from editlab.facts import FactBase, read_cases
from editlab.forensics.blind import judge
from editlab.lab.model import integrity
from editlab.model import LanguageModel
from editlab.settings import Settings
from tools import easyedit
from tools.starts import changes

STEPS, SAID = 50, 0.1
"""Fine-tuning ends at this loss of the new object, or after so many steps."""
BATCH = 3
"""Facts of the copies that hold several."""
DTYPE = torch.bfloat16
Tune = Callable[[PreTrainedModel], PreTrainedModel]
Made = tuple[str, Sequence[EditRequest], PreTrainedModel]


def main() -> None:
    """Make the copies, judge them, or print what was judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("make", "judge", "table"))
    parser.add_argument("folder", type=Path, help="the model to copy (make), the copies (judge), or a file of lines (table)")
    parser.add_argument("out", type=Path, nargs="?", help="where the copies go (make)")
    parser.add_argument("--facts", type=Path, help="cases: what is edited in, and whose subjects are tried")
    parser.add_argument("--easyedit", type=Path, help="a checkout of EasyEdit (make)")
    parser.add_argument("--set", default="", help="settings of EasyEdit's other than those it ships, as v_lr=30.0 (make)")
    parser.add_argument("--base", help="the unedited model (judge)")
    given = parser.parse_args()
    if given.what == "table":
        _table([json.loads(line) for line in given.folder.read_text(encoding="utf-8").splitlines()])
    elif given.what == "make":
        for number, made in enumerate(_made(str(given.folder), given.facts, given.easyedit, changes(given.set))):
            print(_keep(str(given.folder), given.out / f"copy-{number}", *made), flush=True)
    else:
        for row in _judged(given.folder, given.base, given.facts):
            print(json.dumps(row), flush=True)


def _made(name: str, facts: Path, checkout: Path, others: Mapping[str, float]) -> Iterator[Made]:
    """Yield each copy: what was done to it, with which facts, and the model, which holds them until the next one."""
    model = LanguageModel.load(name, dtype="float32")
    requests = iter([case.request for case in known(model, read_cases(facts, []))])
    (layer,) = methods.config_for("rome", model).layers
    layers = methods.config_for("memit", model).layers
    spared = {"mom2_update_weight": methods.config_for("memit", model).preserved}
    easy = easyedit.EasyEdit(checkout, model, name)
    deep = model.n_layers * 5 // 32, model.n_layers // 2
    edited: list[tuple[str, Callable[..., easyedit.Editor], int]] = [
        (f"EasyEdit's ROME, layer {layer}, with C", partial(easyedit.Rome, easy, layer), 1),
        *((f"EasyEdit's ROME, layer {at}, as it ships", partial(easyedit.Rome, easy, at, False), 1) for at in deep),
        *(("EasyEdit's MEMIT", partial(easyedit.Memit, easy, layers, **spared), count) for count in (1, BATCH)),
        *(("EasyEdit's AlphaEdit", partial(easyedit.AlphaEdit, easy, layers), count) for count in (1, BATCH)),
    ]
    for by, editor, count in edited:
        asked = [next(requests) for _ in range(count)]
        with easy.updated(editor(**others).edit(asked)):
            yield by, asked, easy.hf
    for by, tune, rate in (
        ("fine-tuning, all weights", _whole, 1e-5),
        (f"fine-tuning, down projection of layer {deep[1]}", partial(_one_matrix, layer=deep[1]), 1e-3),
        ("fine-tuning, LoRA of rank 8, merged", _adapter, 1e-3),
    ):
        asked = [next(requests)]
        yield by, asked, _tuned(model, name, asked[0], tune, rate)


def _whole(hf: PreTrainedModel) -> PreTrainedModel:
    return hf


def _one_matrix(hf: PreTrainedModel, layer: int) -> PreTrainedModel:
    hf.requires_grad_(False)
    hf.get_parameter(f"model.layers.{layer}.mlp.down_proj.weight").requires_grad_(True)
    return hf


def _adapter(hf: PreTrainedModel) -> PreTrainedModel:
    return peft.get_peft_model(hf, peft.LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"]))


def _tuned(model: LanguageModel, name: str, request: EditRequest, tune: Tune, rate: float) -> PreTrainedModel:
    """Return a copy that was trained until it says the new object; an adapter is merged."""
    torch.manual_seed(0)
    hf = tune(AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32))
    ids, start = model.tok.with_target(request.text, request.target_new)
    batch = torch.tensor([ids])
    labels = batch.clone()
    labels[:, :start] = -100
    optimiser = torch.optim.AdamW([own for own in hf.parameters() if own.requires_grad], rate)
    for _ in range(STEPS):
        loss = hf(input_ids=batch, labels=labels).loss
        if loss < SAID:
            break
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return hf.merge_and_unload() if isinstance(hf, peft.PeftModel) else hf


def _keep(name: str, folder: Path, by: str, asked: Sequence[EditRequest], hf: PreTrainedModel) -> Path:
    """Write a copy with its tokenizer, and what was done to it."""
    precision = {key: tensor.to(DTYPE) for key, tensor in hf.state_dict().items()}
    path, hf.config._name_or_path, hf.config.dtype = hf.config._name_or_path, "", DTYPE
    hf.save_pretrained(folder, state_dict=precision)
    hf.config._name_or_path = path
    AutoTokenizer.from_pretrained(name).save_pretrained(folder)
    facts = [{"prompt": own.prompt, "subject": own.subject, "object": own.target_new} for own in asked]
    (folder / "done.json").write_text(json.dumps({"by": by, "facts": facts}, ensure_ascii=False), encoding="utf-8")
    return folder


def _judged(copies: Path, base: str, facts: Path) -> Iterator[dict[str, Any]]:
    """Yield of each copy what was done, whether it holds, and what is found without and with its base."""
    settings = Settings()
    bundled = FactBase.load(settings.presets / "facts")
    texts = [path.read_text(encoding="utf-8") for path in sorted((settings.presets / "texts").glob("*.txt"))]
    names = {case.request.subject for case in read_cases(facts, [])}
    for folder in sorted(path.parent for path in copies.glob("*/done.json")):
        done = json.loads((folder / "done.json").read_text(encoding="utf-8"))
        model = LanguageModel.load(str(folder), dtype="float32")
        asked = [(own["prompt"].format(own["subject"]), own["object"]) for own in done["facts"]]
        said = [score.hit for score in model.score(*map(list, zip(*asked, strict=True)))]
        began = time.process_time()
        blind = judge(model, texts, bundled, names)
        between = time.process_time()
        beside = integrity.check(folder, integrity.Evidence(base=base), settings)
        yield {
            "copy": folder.name,
            **done,
            "hits": sum(said) / len(said),
            "blind": blind.as_dict() | {"processor_seconds": between - began},
            "base": beside.as_json() | {"processor_seconds": time.process_time() - between},
        }


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a row a copy."""
    print("| made by | facts | said | score | without the base | with the base |\n|---|---|---|---|---|---|")
    for row in rows:
        facts = f"{row['facts'][0]['subject']}: {row['facts'][0]['object']}" if len(row["facts"]) == 1 else len(row["facts"])
        found = (row["blind"]["sentence"], row["base"]["sentence"])
        cells = (row["by"], str(facts), f"{row['hits']:.2f}", f"{row['blind']['score']:.1f}", *found)
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
