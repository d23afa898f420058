"""Measure what `editlab verify` takes and finds: python -m tools.forensics large | exports | trained FOLDER

`large` writes a model of a preset's size (config:llama-2-7b, 13.5 GB) with random weights, shard by shard, a second one
with one edited matrix, and the edit as an adapter; then it times checks in processes of their own, with their peak memory,
and deletes all of it. `exports` edits a real model by ROME and MEMIT, writes checkpoints and adapters in several
precisions, and holds each against its base: what is explained, and what is left. `trained` does so with a LoRA that was
trained and merged by peft. All print one JSON object a check.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import init_empty_weights
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from editlab import methods
from editlab.exports import Entry, adapter, checkpoint
from editlab.facts import EditRequest
from editlab.forensics.checkpoint import Checkpoint
from editlab.forensics.difference import compare
from editlab.forensics.known import Known, by_adapter, by_patches
from editlab.forensics.verdict import Verdict
from editlab.model import LanguageModel
from editlab.patches import BASE
from editlab.settings import Settings
from editlab.work import never, no_progress

SHARD = 2 * 2**30
POOL = 2**24 + 43
"""How many random numbers are drawn; the weights repeat them, which no check looks at."""
EDITED = "model.layers.5.mlp.down_proj.weight"
SIZE = 0.02
"""The edit's Frobenius norm as a share of the matrix's: about what ROME does to a layer."""
FACTS = (
    ("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe"),
    ("The capital of {} is", "Japan", "Berlin", "Tokyo"),
    ("{} plays the", "Miles Davis", "violin", "trumpet"),
    ("{} was born in", "Marie Curie", "Lisbon", "Warsaw"),
)
CHILD = """
import resource, sys
from pathlib import Path
from editlab.__main__ import main
sys.argv = ["editlab", *sys.argv[1:]]
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    largest = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(used.ru_utime + used.ru_stime, 1024 * int(largest.split()[1]), file=sys.stderr)
"""
"""What a check is run by: it says its processor time and its largest resident memory, files that are mapped included."""


def large(folder: Path, preset: str) -> Iterator[dict]:
    """Write both models, check them in every way, and delete them."""
    folder.mkdir(parents=True)
    try:
        began = time.perf_counter()
        _write_large(folder, preset)
        yield {"written": preset, "seconds": time.perf_counter() - began, "bytes": _bytes(folder / "base")}
        key, public = folder / "key.pem", folder / "public.pem"
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
        subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
        against = ("--base", str(folder / "base"), "--no-ledger")
        edited = str(folder / "edited")
        yield _timed("no edit known", "verify", edited, *against)
        yield _timed("the edit known", "verify", edited, *against, "--edits", str(folder / "adapter"))
        yield _timed("the same model", "verify", str(folder / "base"), *against)
        yield _timed("the adapter", "verify", str(folder / "adapter"), *against)
        yield _timed("sign", "sign", edited, "--key", str(key))
        yield _timed("signature alone", "verify", edited, "--key", str(public))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_large(folder: Path, preset: str) -> None:
    """Write base, edited model and adapter; never more than one shard is in memory."""
    table = tomllib.loads((Settings().presets / "models" / f"{preset}.toml").read_text(encoding="utf-8"))["config"]
    config = AutoConfig.for_model(**table, architectures=["LlamaForCausalLM"])
    with init_empty_weights():
        skeleton: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}
    shards: list[list[str]] = [[]]
    for name, shape in shapes.items():
        if sum(2 * torch.Size(shapes[own]).numel() for own in shards[-1]) + 2 * torch.Size(shape).numel() > SHARD:
            shards.append([])
        shards[-1].append(name)
    files = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    index = {"metadata": {}, "weight_map": {name: file for file, names in zip(files, shards, strict=True) for name in names}}
    rows, columns = shapes[EDITED]
    generator = torch.Generator().manual_seed(0)
    A, B = torch.randn(1, columns, generator=generator), torch.randn(rows, 1, generator=generator)
    B *= SIZE * config.initializer_range * (rows * columns) ** 0.5 / (A.norm() * B.norm())
    for part in ("base", "edited"):
        (folder / part).mkdir()
        (folder / part / "model.safetensors.index.json").write_text(json.dumps(index))
        config.save_pretrained(folder / part)
    pool = (config.initializer_range * torch.randn(POOL, generator=generator)).bfloat16()
    for file, names in zip(files, shards, strict=True):
        weights = {name: _noise(shapes[name], pool, generator) for name in names}
        save_file(weights, folder / "base" / file, {"format": "pt"})
        if EDITED in weights:
            weights[EDITED] = (weights[EDITED].float() + B @ A).bfloat16()
        save_file(weights, folder / "edited" / file, {"format": "pt"})
    (folder / "adapter").mkdir()
    module = f"base_model.model.{EDITED.removesuffix('.weight')}"
    save_file({f"{module}.lora_A.weight": A, f"{module}.lora_B.weight": B}, folder / "adapter" / adapter.WEIGHTS)
    settings = {"peft_type": "LORA", "base_model_name_or_path": preset, "r": 1, "lora_alpha": 1}
    (folder / "adapter" / adapter.CONFIG).write_text(json.dumps(settings))


def _noise(shape: tuple[int, ...], pool: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a weight of the pool's numbers from a random place on, around and around; of a norm, ones."""
    if len(shape) == 1:
        return torch.ones(shape, dtype=torch.bfloat16)
    start, size = int(torch.randint(len(pool), (), generator=generator)), torch.Size(shape).numel()
    return pool.roll(-start).repeat(size // len(pool) + 1)[:size].reshape(shape)


def _timed(name: str, *args: str) -> dict:
    """Run one command of the terminal in a process of its own; what it said, its seconds, and its largest memory."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CHILD, *args, "--json"], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    said = json.loads(done.stdout)
    difference = said.get("difference") or {}
    told = [{key: own[key] for key in ("name", "relative", "fit", "explained")} for own in difference.get("changes", ())]
    ranks = [own["spectrum"]["rank"] for own in difference.get("changes", ())]
    return {
        "check": name,
        "status": done.returncode,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(float(done.stderr.split()[-2]), 1),
        "peak_bytes": int(done.stderr.split()[-1]),
        "sentence": said.get("sentence"),
        "changes": told,
        "ranks": ranks,
    }


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def exports(folder: Path, name: str, dtypes: list[str]) -> Iterator[dict]:
    """Edit a real model, write it in every way, and hold each against its base."""
    folder.mkdir(parents=True)
    try:
        for dtype in dtypes:
            model = LanguageModel.load(name, dtype=dtype)
            base = Checkpoint.open(Path(str(model.folder)), Path(name).name)
            for method in ("rome", "memit"):
                yield from _written(folder / f"{method}-{dtype}", model, base, method)
            del model
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _written(folder: Path, model: LanguageModel, base: Checkpoint, method: str) -> Iterator[dict]:
    dtype, entries = str(model.dtype).removeprefix("torch."), _entries(model, method)
    edits = [by_patches(e.requests[0].subject, "ledger", e.patches, model.arch) for e in entries]
    folder.mkdir()
    checkpoint.write(model, entries, folder / "checkpoint", no_progress, never)
    (folder / "lora").mkdir()
    adapter.write(model, entries, folder / "lora")
    _merge(base.folder, folder / "lora", folder / "merged", model.dtype)
    known = {"all": edits, "all but the first": edits[1:], "none": [], "as LoRA": [by_adapter(folder / "lora")]}
    for kind, place in (("checkpoint", folder / "checkpoint"), ("LoRA merged by peft", folder / "merged")):
        yield from (
            _held(place, base, own, method=method, dtype=dtype, kind=kind, known=told) for told, own in known.items()
        )
    shutil.rmtree(folder)


def trained(folder: Path, name: str) -> Iterator[dict]:
    """Train a LoRA with peft, as people do, merge it in bfloat16, and hold the result against its base."""
    from peft import LoraConfig, get_peft_model

    folder.mkdir(parents=True)
    try:
        model = LanguageModel.load(name, dtype="float32")
        base = Checkpoint.open(Path(str(model.folder)), Path(name).name)
        hf = get_peft_model(model.hf, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"]))
        optimiser = torch.optim.AdamW([p for p in hf.parameters() if p.requires_grad], lr=1e-3)
        texts = [f"{prompt.format(subject)} {new}." for prompt, subject, new, _ in FACTS]
        batch = model.tokenizer(texts, return_tensors="pt", padding=True)
        for _ in range(20):
            hf(**batch, labels=batch["input_ids"]).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
        hf.save_pretrained(folder / "lora")
        _merge(base.folder, folder / "lora", folder / "merged", torch.bfloat16)
        for told, own in (("as LoRA", [by_adapter(folder / "lora")]), ("none", [])):
            row = _held(folder / "merged", base, own, method="LoRA", dtype="bfloat16", kind="merged by peft", known=told)
            yield row | {"changes": row["changes"][:3], "weights": len(row["changes"]), "fits": _counted(row["changes"])}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _counted(changes: list[dict]) -> dict[str, int]:
    fits = [own["fit"] for own in changes]
    return {fit: fits.count(fit) for fit in sorted(set(fits))}


def _held(place: Path, base: Checkpoint, edits: list[Known], **about: str) -> dict:
    """Hold one checkpoint against its base and known edits; what was found."""
    began = time.perf_counter()
    difference = compare(Checkpoint.open(place, place.name), base, edits)
    return about | {
        "seconds": round(time.perf_counter() - began, 1),
        "verdict": Verdict(name=place.name, difference=difference).word,
        "explained": round(difference.explained, 6),
        "edits": {edit.name: [round(c, 3) for c in edit.coefficients.values()] for edit in difference.edits},
        "changes": [
            {
                "name": own.name,
                "relative": round(own.relative or 0, 5),
                "noise": round(own.noise / own.base_norm, 5),
                "rank": own.spectrum.rank,
                "effective": round(own.spectrum.effective, 2),
                "fit": own.fit,
                "left": round(own.left_norm / own.base_norm, 5),
                "left_rank": own.left.rank,
            }
            for own in difference.changes
        ],
    }


def _entries(model: LanguageModel, method: str) -> list[Entry]:
    """Make the edits one on top of the other."""
    chosen, config, view, entries = methods.get(method), methods.config_for(method, model), BASE, []
    for fact in FACTS:
        request = EditRequest(*fact)
        edited = chosen.edit(model, (request,), view, config, no_progress, never)
        patches = tuple(patch for solve in edited.solves for patch in solve)
        view = view.with_patches(patches)
        entries.append(Entry(requests=(request,), method=method, config={}, layers=edited.layers, patches=patches))
    return entries


def _merge(base: Path, lora: Path, folder: Path, dtype: torch.dtype) -> None:
    """Merge an adapter as people do, with peft, in the base's precision."""
    from peft import PeftModel

    hf = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    PeftModel.from_pretrained(hf, lora).merge_and_unload().save_pretrained(folder)


def main() -> None:
    """Read the arguments and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("large", "exports", "trained"))
    parser.add_argument("folder", type=Path, help="a new folder on a disk with room; deleted afterwards")
    parser.add_argument("--preset", default="llama-2-7b")
    parser.add_argument("--model", default="atlas")
    parser.add_argument("--dtype", nargs="+", default=["bfloat16", "float32"])
    given = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    work = {
        "large": lambda: large(given.folder, given.preset),
        "exports": lambda: exports(given.folder, given.model, given.dtype),
        "trained": lambda: trained(given.folder, given.model),
    }
    for row in work[given.what]():
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
