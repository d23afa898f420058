"""The model is replaced, dropped and loaded again; whatever fails, the edits and the old model stay."""

import gc
import logging
import shutil
import threading
import time
import weakref
from dataclasses import replace

import pytest
import torch
from paths import PRESETS
from visitors import CONTINENT, TIMEOUT, Visitor, runs, wait_until

from editlab.errors import BadModel, BadRequest, Cancelled, DeviceLost, OutOfMemory, TooLarge, UnsupportedArchitecture
from editlab.lab import Choice, Lab, loaded, read_examples
from editlab.lab.asking import answers
from editlab.lab.ledger.ledger import Key
from editlab.lab.workspaces import compute, edits, exports
from editlab.model import LanguageModel, memory
from editlab.probes import passages
from editlab.settings import Settings
from editlab.web.model.handlers import ModelChoice, ModelHandlers


def opened(two_models, data, facts, **changes):
    names = {"model": str(two_models / "first"), "models": (str(two_models / "second"),)}
    settings = Settings(**names, data=data, presets=PRESETS, device="cpu", **changes)
    model = LanguageModel.load(settings.model, device="cpu", settings=settings)
    texts, examples = passages(model, PRESETS / "texts", tokens=40), read_examples(PRESETS / "examples")
    return Lab(model, facts, texts, examples, answer_tokens=4, data=data, settings=settings)


@pytest.fixture
def lab(two_models, facts, tmp_path):
    lab = opened(two_models, tmp_path, facts)
    yield lab
    lab.close()


@pytest.fixture
def second(two_models):
    return Choice(str(two_models / "second"))


def said(lab, name="ana"):
    workspace = lab.workspace(name)
    return lab.model.logits([CONTINENT.text], workspace.view)


def test_a_switch_brings_the_other_model_and_back_finds_the_edits(lab, two_models, second, few_steps):
    ana = lab.workspace("ana")
    record = edits.apply(ana, CONTINENT).result(TIMEOUT)
    edited, first, passages_before = said(lab), lab.model.fingerprint, lab.context.passages
    old = weakref.ref(lab.model.hf)
    assert lab.loaded.switch(second).result(TIMEOUT) == second.name
    gc.collect()
    assert old() is None, "the old weights are still held"
    assert lab.model.name == second.name and lab.model.fingerprint != first
    assert lab.context.passages is not passages_before
    assert lab.workspace("ana").records == ()
    edits.apply(lab.workspace("ana"), replace(CONTINENT, target_new="Asia")).result(TIMEOUT)
    lab.loaded.switch(Choice(str(two_models / "first"))).result(TIMEOUT)
    assert [own.id for own in lab.workspace("ana").records] == [record.id]
    assert torch.equal(said(lab), edited)


def test_who_replaced_the_model_is_in_the_log_and_no_name_that_was_typed(lab, two_models, second, tmp_path, caplog):
    typed = shutil.copytree(two_models / "second", tmp_path / "typed by mistake")
    with caplog.at_level(logging.INFO, "editlab"):
        lab.loaded.switch(second, by="ana").result(TIMEOUT)
        lab.loaded.switch(Choice(str(typed))).result(TIMEOUT)
    first, other = (
        record.msg for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == "model"
    )
    assert (first["change"], first["model"], first["by"]) == ("loaded", "second", "ana")
    assert "typed" not in str(other) and other["fingerprint"] == lab.loaded.fingerprint


def test_an_edit_belongs_to_a_model_in_its_precision(lab, few_steps):
    edits.apply(lab.workspace("ana"), CONTINENT).result(TIMEOUT)
    lab.loaded.switch(Choice(lab.loaded.choice.name, "8bit")).result(TIMEOUT)
    assert lab.workspace("ana").records == () and lab.about()["quantization"] == "8bit"


def test_what_waits_for_the_old_model_is_told_and_asks_nobody(lab, second):
    ana, started, go_on = lab.workspace("ana"), threading.Event(), threading.Event()
    lab.worker.submit(lambda progress, cancel: (started.set(), go_on.wait(TIMEOUT)))
    assert started.wait(TIMEOUT)
    switched, asked = lab.loaded.switch(second), answers.look(ana, CONTINENT)
    go_on.set()
    switched.result(TIMEOUT)
    with pytest.raises(Cancelled, match="The model is now second"):
        asked.result(TIMEOUT)
    with pytest.raises(Cancelled, match="Reload the page"):
        edits.apply(ana, CONTINENT).result(TIMEOUT)


def test_what_can_be_refused_is_refused_with_the_model_untouched(lab, two_models, tmp_path, monkeypatch):
    model = lab.model
    family = shutil.copytree(two_models / "second", tmp_path / "family")
    config = family / "config.json"
    config.write_text(config.read_text().replace('"model_type": "llama"', '"model_type": "bloom"'))
    wordless = shutil.copytree(two_models / "second", tmp_path / "wordless")
    for path in wordless.glob("token*"):
        path.unlink()
    for name, error in (
        (str(tmp_path / "nowhere"), BadModel),
        (str(family), UnsupportedArchitecture),
        (str(wordless), BadModel),
    ):
        with pytest.raises(error):
            lab.loaded.switch(Choice(name)).result(TIMEOUT)
    monkeypatch.setattr(memory, "free", lambda device: 1000)
    with pytest.raises(TooLarge, match=r"config:llama-2-7b needs .* GB"):
        lab.loaded.switch(Choice("config:llama-2-7b")).result(TIMEOUT)
    assert lab.model is model


def test_what_leaves_counts_as_free_for_what_comes(lab, second):
    with_it = lab.loaded.plan(second).free
    lab.loaded.unload().result(TIMEOUT)
    weights = sum(p.numel() * p.element_size() for p in lab.model.hf.parameters())
    assert weights > 0 and abs(with_it - memory.free(lab.loaded.device) - weights) < 500e6  # others use the machine, too


def test_a_shard_that_was_cut_off_leaves_the_old_model(lab, two_models, tmp_path, few_steps):
    edits.apply(lab.workspace("ana"), CONTINENT).result(TIMEOUT)
    before, broken = said(lab), shutil.copytree(two_models / "second", tmp_path / "broken")
    shard = broken / "model.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1000])
    with pytest.raises(BadModel, match="first is loaded again"):
        lab.loaded.switch(Choice(str(broken))).result(TIMEOUT)
    assert torch.equal(said(lab), before)


def test_a_stopped_switch_leaves_the_old_model(lab, second, monkeypatch):
    real, started = LanguageModel.load, threading.Event()

    def slowly(name, *, cancel, **options):
        started.set()
        wait_until(lambda: cancel() or name != second.name)
        return real(name, cancel=cancel, **options)

    monkeypatch.setattr(LanguageModel, "load", slowly)
    before, job = said(lab), lab.loaded.switch(second)
    assert started.wait(TIMEOUT)
    with pytest.raises(BadRequest, match="already being loaded"):
        lab.loaded.switch(second)
    job.cancel()
    with pytest.raises(Cancelled, match="first is loaded again"):
        job.result(TIMEOUT)
    assert torch.equal(said(lab), before)


def test_only_this_computers_user_may_name_any_folder(two_models, facts, tmp_path, second):
    lab = opened(two_models, tmp_path, facts, host="0.0.0.0")
    try:
        assert not lab.loaded.open and second.name in lab.loaded.offers and "atlas" in lab.loaded.offers
        for name in (str(tmp_path), "owner/name", "config:gpt2-xl"):
            with pytest.raises(BadRequest, match="is not offered here"):
                lab.loaded.switch(Choice(name))
            with pytest.raises(BadRequest, match="is not offered here"):
                lab.loaded.plan(Choice(name))
    finally:
        lab.close()


def test_the_models_that_a_page_offers_are_a_setting(monkeypatch):
    monkeypatch.setenv("EDITLAB_MODELS", "config:gpt2-xl, /models/mine,")
    assert Settings().models == ("config:gpt2-xl", "/models/mine")


def test_without_work_the_weights_leave_and_the_next_question_brings_them_back(two_models, facts, tmp_path, few_steps):
    lab = opened(two_models, tmp_path, facts, idle_minutes=0.3 / 60)
    try:
        edits.apply(lab.workspace("ana"), CONTINENT).result(TIMEOUT)
        before, old = said(lab), weakref.ref(lab.model.hf)
        wait_until(lambda: not lab.loaded.in_memory)
        gc.collect()
        assert old() is None and not lab.about()["loaded"]
        assert torch.equal(said(lab), before)
    finally:
        lab.close()


def test_a_question_on_the_page_loads_the_model_and_shows_how_far_it_is(lab, monkeypatch):
    real, ana = LanguageModel.load, Visitor(lab, "ana")

    def told():
        return any("Loading: half of it" in message for message in ana.messages)

    def slowly(name, *, progress, **options):
        progress(0.5, "loading: half of it")
        end = time.monotonic() + TIMEOUT / 2
        while not told() and time.monotonic() < end:
            time.sleep(0.05)
        return real(name, progress=progress, **options)

    monkeypatch.setattr(LanguageModel, "load", slowly)
    lab.loaded.unload().result(TIMEOUT)
    page = ana.does("ask", "Slovenia is")
    assert told() and 'class="answer base"' in page["ask-answers"]


def test_a_page_of_another_model_is_told_to_reload(lab, second):
    ana = Visitor(lab, "ana")
    ana.does("ask", "Slovenia is")
    lab.loaded.switch(second).result(TIMEOUT)
    assert "The model is now second. Reload the page" in ana.applies()["message"]
    assert lab.workspace("ana").records == ()


def test_a_chat_model_is_asked_in_either_form_and_others_in_plain_text_alone(lab, two_models, second, tmp_path):
    ana = Visitor(lab, "ana")
    assert "has no chat template" in ana.does("set_form", "chat", "")["message"]
    instructed = shutil.copytree(two_models / "second", tmp_path / "instructed")
    (instructed / "chat_template.jinja").write_text("{{ messages[0].content }} Answer:")
    lab.loaded.switch(Choice(str(instructed))).result(TIMEOUT)
    assert lab.about()["chat"]
    bob = Visitor(lab, "bob")
    bob.does("choose_example", lab.examples[0].name)
    plain = answers.look(bob.workspace, CONTINENT).result(TIMEOUT)["base"]
    assert "asked as in a chat" in bob.does("set_form", "chat", "")["message"]
    chat = answers.look(bob.workspace, CONTINENT).result(TIMEOUT)["base"]
    wrapped = lab.model.chat.around(CONTINENT.text)
    assert wrapped.endswith(f"{CONTINENT.text} Answer:") and chat["top"] != plain["top"]
    assert chat["top"][0][1] == pytest.approx(lab.model.top(wrapped)[0][1], rel=1e-4)
    assert answers.live(bob.workspace, CONTINENT.text).result(TIMEOUT)["base"]["top"][0] == pytest.approx(chat["top"][0])
    bob.does("set_form", "plain", "")
    assert answers.look(bob.workspace, CONTINENT).result(TIMEOUT)["base"] == plain


# --- memory that runs out, devices that answer nothing ---------------------------------------------------------------------


def failing(monkeypatch, fail):
    """Edits whose computation does `fail()` in the middle."""

    def compute_edit(*_given, **_named):
        scratch = torch.zeros(1000)  # what a failed edit would hold
        held.append(weakref.ref(scratch))
        fail()

    held = []
    monkeypatch.setattr(compute, "compute_edit", compute_edit)
    return held


def test_memory_that_runs_out_is_a_sentence_and_nothing_is_lost(lab, few_steps, monkeypatch):
    ana = lab.workspace("ana")
    edits.apply(ana, CONTINENT).result(TIMEOUT)
    before = said(lab)
    with monkeypatch.context() as patched:
        held = failing(patched, lambda: torch.empty(2**60))
        job = edits.apply(ana, replace(CONTINENT, target_new="Asia"))
        with pytest.raises(OutOfMemory, match=r"Memory ran out on cpu.*are free.*--quantization 4bit"):
            job.result(TIMEOUT)
        assert held[0]() is None, "the error still holds what the edit had allocated"
    assert torch.equal(said(lab), before) and len(ana.records) == 1 and ana.editing is None
    assert [event.kind for event, _ in lab.ledger.read(Key(ana.fingerprint, "ana"))][-2:] == ["started", "failed"]
    assert len(edits.apply(ana, replace(CONTINENT, target_new="Asia")).result(TIMEOUT).layers) == 1


def test_a_lost_device_ends_the_worker_and_everybody_hears_of_it(lab, monkeypatch):
    lost, ana, go_on = threading.Event(), lab.workspace("ana"), threading.Event()
    lab.worker.lost = lost.set
    monkeypatch.setattr(loaded.memory, "poisoned", lambda device: True)

    def broken():
        go_on.wait(TIMEOUT)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    failing(monkeypatch, broken)
    edit, waiting = edits.apply(ana, CONTINENT), answers.look(lab.workspace("bob"), CONTINENT)
    go_on.set()
    for job in (edit, waiting):
        with pytest.raises(DeviceLost, match="EditLab restarts; your edits are kept"):
            job.result(TIMEOUT)
    assert lost.wait(TIMEOUT) and not lab.worker.alive


def test_a_sentence_of_ours_does_not_ask_the_device(lab, monkeypatch):
    monkeypatch.setattr(loaded.memory, "poisoned", lambda device: pytest.fail("it was asked"))
    with pytest.raises(BadRequest):
        lab.worker.submit(lambda progress, cancel: options_are_wrong()).result(TIMEOUT)


def options_are_wrong():
    raise BadRequest("steps is -1. Write a positive whole number.")


# --- the tab ---------------------------------------------------------------------------------------------------------------


def chosen(name, folder="", quantization="none"):
    return ModelChoice(name=name, folder=folder, quantization=quantization)


class Person:
    """Somebody at the Model tab."""

    def __init__(self, lab, name="ana"):
        self.handlers, self.name, self.page, self.seen = ModelHandlers(lab), name, {}, []

    def does(self, handler, *fields):
        for update in runs(self.handlers, handler, self.name, *fields):
            self.seen.append(update)
            self.page |= update
        return self.page


def test_the_page_says_what_is_there_and_what_another_would_take(lab, second):
    ana = Person(lab)
    page = ana.does("model_open")
    assert "first" in page["head"] and "not validated for editing" in page["head"]
    assert page["model-plan"].startswith('<p class="finding">first needs') and "it fits" in page["model-plan"]
    page = ana.does("model_look")
    assert "Layers 1 and 2 have no key statistics: MEMIT cannot edit there" in page["model-statistics"]
    assert "need 640 tokens" in page["model-cost"]
    page = ana.does("model_plan", chosen(lab.loaded.choice.name, "config:llama-2-7b", "4bit"))
    assert "config:llama-2-7b needs" in page["model-plan"] and "are free on cpu" in page["model-plan"]
    assert "neither a folder nor a GGUF file here, nor a hub id" in ana.does("model_plan", chosen("x", "nowhere"))["message"]
    assert "No model is chosen" in ana.does("model_plan", chosen("", " "))["message"]


def test_the_page_loads_and_unloads_the_model_and_says_so(lab, second):
    ana = Person(lab)
    page = ana.does("model_load", chosen(second.name))
    assert "The model is now" in page["message"] and lab.model.name == second.name
    page = ana.does("model_unload")
    assert "not in memory: the next question loads it" in page["head"] and not lab.loaded.in_memory


def test_key_statistics_are_measured_for_the_methods_layers(lab, tmp_path):
    ana, layers = Person(lab), lab.statistics.layers
    assert lab.statistics.missing == layers
    page = ana.does("model_measure")
    assert "are measured and kept" in page["message"], page["message"]
    assert lab.statistics.missing == () and [own.layer for own in lab.statistics.known] == list(layers)
    assert "key statistics from" in page["model-statistics"] and "held-out keys" in page["model-statistics"]
    assert list((tmp_path / "statistics").glob("*.safetensors"))


def test_a_measurement_can_be_stopped_and_is_refused_a_second_time(lab, monkeypatch):
    started = threading.Event()

    def slowly(model, layers, text, tokens, folder, seed, progress, cancelled):
        started.set()
        while True:
            yield

    monkeypatch.setattr("editlab.lab.model.statistics.measuring.collecting", slowly)
    ana, bob = Person(lab), Person(lab, "bob")
    thread = threading.Thread(target=ana.does, args=("model_measure",))
    thread.start()
    assert started.wait(TIMEOUT)
    assert "already being measured" in bob.does("model_measure")["message"]
    bob.does("model_stop")
    thread.join(TIMEOUT)
    assert "Stopped before it was complete." in ana.page["message"]


def test_a_report_is_of_what_was_on_when_it_was_asked_for_though_the_model_is_loaded_again(lab, few_steps, few_probes):
    ana, info, go_on = lab.workspace("ana"), lab.directory.make("ana", "Mine", id="ana"), threading.Event()
    edits.apply(ana, CONTINENT).result(TIMEOUT)
    lab.worker.submit(lambda progress, cancel: go_on.wait(TIMEOUT))
    lab.loaded.unload()
    job = exports.offer(ana, info, "report", lab.downloads)
    ana.undo()
    go_on.set()
    told = lab.downloads.take(job.result(TIMEOUT), "ana").read_text()
    assert "Slovenia" in told and "undid" not in told
