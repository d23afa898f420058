"""The page knows what the model knows: examples that are marked, and facts that a visitor can pick."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paths import PRESETS
from visitors import TIMEOUT, Visitor

from editlab import probes
from editlab.lab import Lab, read_examples
from editlab.lab.asking import answers
from editlab.lab.model import knowledge
from editlab.probes import Knowledge, Passages

EXAMPLES = read_examples(PRESETS / "examples")
SECOND = EXAMPLES[1]


@pytest.fixture
def knows(monkeypatch) -> Callable[..., list[int]]:
    """`knows(name, ...)` lets the model know these subjects alone; it returns how many facts were asked each time."""
    asked: list[int] = []

    def let(*subjects: str) -> list[int]:
        def said(model, requests, says=False):
            asked.append(len(requests))
            return [Knowledge(r.subject in subjects, 0.5, " a big thing. And") for r in requests]

        monkeypatch.setattr(probes, "knowledge", said)
        return asked

    return let


@pytest.fixture
def opens(tiny_llama, facts, tmp_path) -> Iterator[Callable[[], Visitor]]:
    """`opens()` opens a lab with examples, always on the same data folder, and returns a new visitor."""
    labs: list[Lab] = []

    def open_lab() -> Visitor:
        labs.append(Lab(tiny_llama, facts, Passages((), ()), EXAMPLES, answer_tokens=4, data=tmp_path / "data"))
        return Visitor(labs[-1], f"visitor {len(labs)}")

    yield open_lab
    for lab in labs:
        lab.close()


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "data" / "known").iterdir())


def test_the_page_opens_with_the_first_example_that_the_model_knows_and_marks_the_others(opens, knows):
    knows(SECOND.request.subject)
    visitor = opens()
    page = visitor.does("open")
    assert (page["preset"], page["subject"]) == (SECOND.name, SECOND.request.subject)
    assert "does not know" not in page["say"]
    for title, name in page["preset.choices"]:
        assert title.endswith("· not known") == (name != SECOND.name)
    page = visitor.does("choose_example", EXAMPLES[0].name)
    assert "This model says “a big thing” here, not “Europe”: it does not know the fact." in page["say"]
    assert EXAMPLES[0].say in page["say"]


def test_a_model_that_knows_none_gets_the_first_and_an_address_gets_what_it_names(opens, knows):
    knows()
    visitor = opens()
    assert visitor.does("open", preset=SECOND.name)["preset"] == SECOND.name and "does not know" in visitor.page["say"]
    assert Visitor(visitor.lab, "tom").does("open")["preset"] == EXAMPLES[0].name


def test_the_model_is_asked_once_for_a_data_folder_and_again_where_the_file_is_broken(opens, knows, tmp_path):
    asked = knows(SECOND.request.subject)
    first = opens()
    first.does("open")
    first.does("show_known")
    assert sum(asked) > len(EXAMPLES) and len(kept(tmp_path)) == 2
    number = len(asked)
    first.lab.close()
    again = opens()
    assert again.does("open")["preset"] == SECOND.name
    again.does("show_known")
    assert len(asked) == number and again.lab.knowledge.facts == first.lab.knowledge.facts
    again.lab.close()
    for path in kept(tmp_path):
        path.write_text("{")
    opens().does("open")
    assert len(asked) > number


def test_another_start_of_a_text_is_another_question(opens, knows, tiny_llama, monkeypatch, tmp_path):
    knows()
    opens().does("open")
    encode = tiny_llama.tok.encode
    monkeypatch.setattr(tiny_llama.tok, "encode", lambda text: [1, *encode(text)])
    opens().does("open")
    assert len(kept(tmp_path)) == 2


def test_facts_that_the_model_knows_fill_the_fields(opens, knows):
    knows("Italy", "Germany", SECOND.request.subject)
    visitor = opens()
    visitor.does("open")
    page = visitor.does("show_known")
    offered = visitor.lab.knowledge.facts
    assert {fact.request.subject for fact in offered} == {"Italy", "Germany"}, "examples are offered already"
    assert page["known"].count("<button") == len(offered) > 2 and f"{len(offered)} facts" in page["known"]
    picked = offered[1]
    page = visitor.presses("choose_known", press="fact", number=1, subject=picked.request.subject)
    assert (page["subject"], page["prompt"]) == (picked.request.subject, picked.request.prompt)
    assert page["target-new"] and page["target-true"] == picked.request.target_true and page["preset"] is None
    assert f"This model says “{picked.request.target_true}” here" in page["say"] and "50 %" in page["say"]
    assert picked.request.subject in page["picture"]
    for number, subject in ((len(offered), "Italy"), (0, "Narnia")):
        message = visitor.presses("choose_known", press="fact", number=number, subject=subject)["message"]
        assert "not offered any more" in message


def test_a_model_that_knows_no_fact_says_so(opens, knows):
    knows()
    assert "says none of the facts" in opens().does("show_known")["known"]


def test_others_have_the_model_between_two_parts(opens, knows, monkeypatch):
    knows("France")
    visitor = opens()
    order: list[str] = []
    real = probes.knowledge
    monkeypatch.setattr(knowledge, "PART", 1)

    def asked(model, requests, says=False):
        if not order:
            job = answers.live(visitor.workspace, "Slovenia is")
            monkeypatch.setattr(job, "run", lambda explain, run=job.run: (order.append("other"), run(explain)))
        order.append("part")
        return real(model, requests, says)

    monkeypatch.setattr(probes, "knowledge", asked)
    visitor.lab.knowledge.ask_facts().result(TIMEOUT)
    assert order[:2] == ["part", "other"] and order.count("part") > 20
