"""The sentences about a model, made from its numbers."""

from editlab.lab import Measured, MeasuringCost
from editlab.web.model import words
from editlab.web.model.handlers import head

ATLAS = {
    "model": "atlas",
    "family": "llama",
    "made": "",
    "layers": 8,
    "parameters": 10_490_112,
    "precision": "float32",
    "quantization": "none",
    "device": "cpu",
    "start": "<s>",
    "start_chosen": False,
    "validated": True,
    "measured": {},
    "loaded": True,
    "memory": {"allocated": 486_490_112, "reserved": 486_490_112},
    "fingerprint": "4bf1",
    "session": "s1",
}
LARGE = ATLAS | {
    "model": "Llama-2-7b-hf",
    "parameters": 6_738_415_616,
    "quantization": "4bit",
    "device": "cuda",
    "validated": False,
    "memory": {"allocated": 3_900_000_000, "reserved": 4_250_000_000},
}


def test_a_model_is_described_by_its_size_precision_and_device():
    assert words.size(ATLAS) == "10.5 million parameters, 32-bit, on cpu"
    assert words.size(LARGE) == "6.7 billion parameters, 4-bit, on cuda"


def test_the_start_of_every_text_is_a_chip_with_its_meaning():
    assert words.start(ATLAS) == "Every text begins with <s>: the model's tokenizer puts it there."
    about = ATLAS | {"start": "<|endoftext|>␣", "start_chosen": True}
    meaning = words.start(about)
    assert meaning.startswith("Every text begins with <|endoftext|>␣, as the documents") and "has to send it too" in meaning
    page = head(about)
    assert "<code>&lt;|endoftext|&gt;␣</code>" in page and "the space before a text" in page
    assert "start-tip" not in head(ATLAS | {"start": ""})


def test_memory_in_use_and_reserved():
    assert words.memory(ATLAS) == "486.5 MB in use"
    assert words.memory(LARGE) == "3.9 GB in use, 4.2 GB reserved"
    assert "the next question loads it" in words.memory(LARGE | {"loaded": False})


def test_a_badge_says_whether_edits_were_measured():
    badge, meaning = words.badge(LARGE)
    assert badge == "not validated for editing" and "run: editlab validate" in meaning
    assert words.badge(ATLAS)[0] == "validated for editing"
    rates = ATLAS | {"measured": {"success": 0.95, "locality": 1.0, "seconds": 12}}
    assert words.badge(rates)[0] == "validated: success .95, locality 1.00"


def test_what_a_visitor_named_is_escaped_in_the_head():
    assert "<script>" not in head(ATLAS | {"model": "<script>"})


def test_key_statistics_are_described_with_what_their_absence_means():
    known = (Measured(3, 1_000, 1.02), Measured(4, 900, 1.1))
    text = words.statistics(known, (5,))
    assert "Layers 3 and 4 have key statistics from 900 tokens." in text
    assert "held-out keys: 1.10 times that of measured keys" in text
    assert "Layer 5 has no key statistics: MEMIT cannot edit there" in text
    unjudged = words.statistics((Measured(0, 50_350, None),), ())
    assert unjudged == "Layer 0 has key statistics from 50,350 tokens."


def test_the_cost_of_a_measurement_is_given_for_both_sources():
    text = words.cost(MeasuringCost((4, 5, 6), 110_080, writing=240.0, reading=60.0))
    assert text.startswith("Layers 4, 5 and 6 need 110,080 tokens: about 60 seconds from a text file")
    assert "about 5 minutes from text that the model generates" in text
