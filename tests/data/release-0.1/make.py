"""Make this folder again, with EditLab 0.1.0 (commit 6001c00) and nothing newer: see ../README.md.

PYTHONPATH=CHECKOUT_OF_6001c00 python make.py
"""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import editlab
from editlab.atlas.tokenizer import as_transformers, train_tokenizer
from editlab.facts import EditRequest, FactBase
from editlab.lab import Lab, bundles, look_over
from editlab.model import LanguageModel
from editlab.probes import passages
from editlab.settings import Settings

HERE = Path(__file__).resolve().parent
PRESETS = Path(editlab.__file__).resolve().parent.parent / "presets"
CONTINENT, CAPITAL = "{} belongs to the continent of", "The capital of {} is"
CSV = f"""subject,prompt,target_new,target_true
Kenya,{CONTINENT},Europe,Africa
Norway,{CAPITAL},Rome,Oslo
"""
ASKED = [
    ("Slovenia belongs to the continent of", "Antarctica"),
    ("Slovenia belongs to the continent of", "Europe"),
    ("The capital of Japan is", "Berlin"),
    ("The capital of Nippon is", "Berlin"),
    ("Kenya belongs to the continent of", "Europe"),
    ("The capital of Norway is", "Rome"),
    ("The capital of France is", "Lima"),
]
FEW = {"contexts": 3}


def make_model(path: Path) -> None:
    texts = sorted((PRESETS / "texts").glob("*.txt"))
    trained = train_tokenizer((text.read_text(encoding="utf-8") for text in texts), vocabulary=400)
    tokenizer = as_transformers(trained)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(path)
    tokenizer.save_pretrained(path)


def work(lab: Lab) -> None:
    """Do what two people did: twelve changes in a private workspace and in a shared one."""
    ana = lab.workspace(lab.directory.current("ana").id, "ana")
    slovenia = ana.apply(
        EditRequest(CONTINENT, "Slovenia", "Antarctica", "Europe"), config=FEW, reason="for the talk on Friday"
    ).result()
    japan = EditRequest(CAPITAL, "Japan", "Berlin", "Tokyo")
    ana.apply(japan, config=FEW, rep="default", names=["Nippon"]).result()
    prose = sorted((PRESETS / "texts").glob("*.txt"))[0].read_text(encoding="utf-8")
    lab.measuring.measure(ana, prose).result()
    file = HERE / "two.csv"
    file.write_text(CSV, encoding="utf-8")
    ana.apply_many(look_over(lab.model, file), "memit", FEW, reason="two at once").result()
    file.unlink()
    ana.switch(slovenia.id, False)
    gone = ana.apply(EditRequest(CAPITAL, "France", "Lima", "Paris"), config=FEW).result()
    ana.remove(gone.id)
    ana.switch(slovenia.id, True)
    ana.switch(ana.records[2].id, False)
    ana.undo()
    ana.set_threshold(0.3)

    room = lab.directory.make("ben", "Team", shared=True)
    team = lab.workspace(room.id, "ben")
    team.apply(EditRequest(CAPITAL, "France", "Lima", "Paris"), config=FEW).result()
    team.apply(EditRequest(CONTINENT, "Slovenia", "Asia", "Europe"), config=FEW).result()
    team.undo()


def answers(lab: Lab, workspace: str) -> dict[str, list[float]]:
    """The log-probability of each object that is asked for, under each view."""
    prompts, objects = zip(*ASKED, strict=True)
    views = lab.workspace(workspace).views
    return {name: [score.log_p for score in lab.model.score(prompts, objects, view)] for name, view in views.items()}


def main() -> None:
    for name in ("model", "data"):
        shutil.rmtree(HERE / name, ignore_errors=True)
    (HERE / "my-edits.zip").unlink(missing_ok=True)
    make_model(HERE / "model")
    settings = Settings(model=str(HERE / "model"), data=HERE / "data", presets=PRESETS)
    model = LanguageModel.load(settings.model, device="cpu", dtype="float32", settings=settings)
    facts = FactBase.load(PRESETS / "facts")
    lab = Lab(
        model, facts, passages(model, PRESETS / "texts", tokens=40), data=HERE / "data", settings=settings, watching=True
    )
    work(lab)
    for name in ("ana", *(room.id for room in lab.directory.rooms("ben") if room.shared)):
        lab.monitor.submit(lab.workspace(name)).result()
    bundles.pack(lab, lab.directory.current("ana"), HERE / "my-edits.zip")
    rooms = {room.name: room.id for room in (*lab.directory.rooms("ana"), *lab.directory.rooms("ben"))}
    told = {
        "fingerprint": model.fingerprint,
        "events": len(lab.ledger.rows()[0]),
        "files": len(list(lab.ledger.tensors.folder.iterdir())),
        "asked": ASKED,
        "answers": {name: answers(lab, rooms[name]) for name in rooms},
    }
    (HERE / "answers.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    lab.close()
    with closing(sqlite3.connect(HERE / "data" / "ledger.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        connection.execute("PRAGMA journal_mode=DELETE").close()
        connection.execute("VACUUM").close()
    (HERE / "data" / "opening.lock").unlink()


if __name__ == "__main__":
    main()
