"""A handler's signature as its declaration: what it reads, what is refused, and what does not start."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import gradio as gr
import pytest
from pydantic import Field, ValidationError
from visitors import FakeRequest

from editlab.errors import BadRequest
from editlab.lab import Lab
from editlab.lab.access.limits import FREE, Cost
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web.core.components import Parts
from editlab.web.core.declaration import Declaration
from editlab.web.core.handlers import Handlers, handler
from editlab.web.core.inputs import FileButton, Inputs, OwnProbes, Pressed, Question, Switch, Upload, shape_of
from editlab.web.core.updates import Updates
from editlab.web.core.visit import Visit
from editlab.web.core.wiring import on
from editlab.web.server.firewall import Calls, Refused

Count = Annotated[int, Field(ge=2, le=200)]


class PressedEdit(Pressed):
    press: Literal["switch", "remove"]
    other_room: Annotated[str, Field(max_length=20)] = ""
    to: int = 0


class Where(Inputs):
    layer: Annotated[int, Field(ge=0, le=40, alias="the-layer")]
    switch: Switch


class Example(Handlers):
    def ready(self, visit: Visit) -> Updates:
        yield from ()

    @handler(cost=Cost(prompts=3))
    def everything(
        self,
        visit: Visit,
        why: Question,
        where: Where,
        count: Count | None,
        pressed: PressedEdit,
        own: OwnProbes,
        file: Upload | None,
    ) -> Updates:
        yield {"message": (why, where, count, pressed, own, file, visit)}

    @handler(cost=FREE, refused_in_demo="Nothing can be done")
    def refused(self, visit: Visit) -> Updates:
        yield {"message": "done"}

    @handler(cost=FREE, refused_in_demo=lambda switch: "It cannot be on" if switch == "on" else "")
    def refused_when_on(self, visit: Visit, switch: Switch) -> Updates:
        yield {"message": "done"}

    @handler(cost=FREE)
    def silent(self, visit: Visit) -> Updates:
        yield from ()


def declared(work):
    return Declaration.of(work, FREE, "")


def page_of(lab, handlers, name="everything", change=None):
    """A page with the components of `Example.everything`, of which one may be made otherwise."""
    with gr.Blocks() as page:
        parts = Parts({"visitor": gr.BrowserState()})
        parts.text("why", Question, label="Why")
        parts.number("the-layer", Annotated[int, Field(ge=0, le=40)], label="Layer", value=3)
        parts.radio("switch", Switch, {"off": "Off", "on": "On"}, value="off")
        parts.number("count", Count, label="How many", value=5)
        parts.text("own-rephrases", Question)
        parts.text("own-neighbours", Question)
        parts.upload("file", "Choose", [".txt"])
        parts.html("message")
        if change is not None:
            change(parts)
        on(parts, parts["message"].select, getattr(handlers, name))
    return page


def body(values, event, number=0):
    return json.dumps({"fn_index": number, "session_hash": "a1", "data": values, "event_data": event}).encode()


FILE = {"path": "ab/x.txt", "meta": {"_type": "gradio.FileData"}}
GOOD = [None, "because", 3, "on", 5, "a\nb", "", FILE]


def test_inputs_are_found_by_their_names_in_the_order_of_the_signature():
    found = Example.everything.declaration
    names = ["why", "the-layer", "switch", "count", "own-rephrases", "own-neighbours", "file"]
    assert [input.component for input in found.inputs] == names
    assert found.pressed == ("pressed", PressedEdit) and Example.everything.cost == Cost(prompts=3)


def test_what_is_sent_arrives_by_name(lab):
    found = Example.everything.declaration
    arguments = found.bind([*GOOD[1:-1], "/tmp/x.txt"], {"press": "switch", "otherRoom": "r", "to": "12"})
    why, where, count, pressed, own, file, visit = next(Example(lab).everything(visit_to(lab), **arguments))["message"]
    assert (why, count, file) == ("because", 5, Path("/tmp/x.txt"))
    assert where == Where(layer=3, switch="on") and own == OwnProbes(own_rephrases="a\nb")
    assert pressed == PressedEdit(press="switch", other_room="r", to=12) and visit.query == {"tab": "keys"}
    assert set(found.texts(arguments)) == {"because", "on", "a\nb", "", "switch", "r"}


def test_a_handler_that_changes_nothing_empties_nothing(lab):
    page = page_of(lab, Example(lab), "silent")
    run = page.fns[0].fn
    (update,) = run(FakeRequest("s1"), None)
    assert [value == gr.skip() for value in update.values()] == [True]  # without any, Gradio would empty all outputs


def visit_to(lab, name="somebody-that-the-server-named"[:22]):
    return Visit.of(lab, name, FakeRequest("s1", {"tab": "keys"}))


@pytest.mark.parametrize(
    ("hint", "why"),
    [
        (Any, "accepts several types, or any"),
        (object, "accepts several types, or any|cannot check"),
        (str, "without max_length"),
        (int, "without bounds"),
        (Annotated[float, Field(ge=0)], "without bounds"),
        (list[str], "accepts several types"),
        (dict[str, str], "accepts several types"),
        (Question | bool, "accepts several types"),
        (Lab, "cannot check"),
    ],
)
def test_a_type_that_cannot_be_checked_does_not_start(hint, why):
    def work(self, visit: Visit, value: hint) -> Updates: ...

    with pytest.raises(TypeError, match=rf"work: the parameter value .*({why})"):
        declared(work)


def test_a_field_of_a_group_is_checked_too():
    class Group(Inputs):
        good: Question
        endless: str

    def work(self, visit: Visit, group: Group) -> Updates: ...

    with pytest.raises(TypeError, match=r"work: the parameter group\.endless is a text without max_length"):
        declared(work)


def test_a_handler_without_a_type_a_visit_or_a_cost_does_not_start():
    def untyped(self, visit: Visit, value) -> Updates: ...
    def many(self, visit: Visit, *values: Question) -> Updates: ...
    def nobody(self, visit: Question) -> Updates: ...

    for work, why in ((untyped, "value has no type"), (many, "values has no type"), (nobody, "visit, is not a Visit")):
        with pytest.raises(TypeError, match=why):
            declared(work)
    with pytest.raises(TypeError, match="cost"):
        handler()
    with pytest.raises(TypeError, match="states no cost"):
        handler(cost=None)(untyped)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("why", lambda parts: parts.add(gr.Textbox, "why", value="", max_length=2_001)),
        ("why", lambda parts: parts.add(gr.Textbox, "why", value="")),
        ("why", lambda parts: parts.add(gr.Textbox, "why", max_length=2_000)),
        ("why", lambda parts: parts.checkbox("why")),
        ("count", lambda parts: parts.add(gr.Number, "count", value=5, minimum=2, maximum=201, precision=0)),
        ("count", lambda parts: parts.add(gr.Number, "count", value=5, precision=0)),
        ("count", lambda parts: parts.add(gr.Number, "count", value=5, minimum=2, maximum=200)),
        ("switch", lambda parts: parts.add(gr.Radio, "switch", choices=["off", "on", "both"], value="off")),
        ("switch", lambda parts: parts.radio("switch", Switch)),
        ("file", lambda parts: parts.text("file", Question)),
        ("switch", lambda parts: parts.html("switch")),
        ("own", lambda parts: parts.pop("own-neighbours")),
    ],
)
def test_a_component_that_can_send_what_its_type_refuses_does_not_start(lab, name, make):
    page_of(lab, Example(lab))
    with pytest.raises(TypeError, match=f"Example.everything: the parameter {name}|the parameter where"):
        page_of(lab, Example(lab), change=make)


def test_a_component_takes_its_bounds_from_its_type():
    with gr.Blocks():
        parts = Parts()
        assert parts.text("a", Question).max_length == 2_000
        number = parts.number("b", Count, value=3)
        assert (number.minimum, number.maximum, number.precision) == (2, 200, 0)
        assert parts.radio("c", Switch, {"on": "On", "off": "Off"}).choices == [("On", "on"), ("Off", "off")]
        assert isinstance(parts.upload("d", "Choose", [".txt"]), FileButton)
        with pytest.raises(TypeError, match="titles"):
            parts.radio("e", Switch, {"on": "On"})


def test_the_firewall_checks_what_the_signature_demands(lab):
    calls = Calls(page_of(lab, Example(lab)))
    fn, call = calls.read(body(GOOD, {"press": "remove", "to": "3"}))
    assert call.event_data.sent() == {"press": "remove", "otherRoom": "", "to": "3"} and fn.fn.cost == Cost(prompts=3)
    calls.read(body([*GOOD[:4], None, *GOOD[5:]], {"press": "remove"}))
    for place, wrong in ((1, None), (1, "x" * 2_001), (2, 41), (2, "3"), (2, True), (3, "both"), (4, 1), (4, 5.5), (7, "x")):
        values = [*GOOD[:place], wrong, *GOOD[place + 1 :]]
        with pytest.raises(Refused):
            calls.read(body(values, {"press": "remove"}))
    for event in (None, {}, {"press": "else"}, {"press": "switch", "more": "x"}, {"press": "switch", "to": {}}, FILE):
        with pytest.raises(Refused):
            calls.read(body(GOOD, event))
    with pytest.raises(Refused, match=r"“How many” is at most 200\. Write a smaller number\."):
        calls.read(body([*GOOD[:4], 500, *GOOD[5:]], {"press": "remove"}))


def test_a_button_has_texts_alone():
    with pytest.raises(ValidationError):
        PressedEdit.model_validate({"press": "switch", "other_room": ["x"]})
    with pytest.raises(ValidationError):
        PressedEdit.model_validate({"press": "switch", "to": "12.5"})


def test_a_demo_refuses_what_the_declaration_says(lab, tiny_llama, facts):
    demo = Lab(tiny_llama, facts, Passages((), ()), settings=Settings(model=tiny_llama.name, demo=True))
    try:
        handlers, visit = Example(demo), visit_to(demo)
        assert "Nothing can be done on this public demo" in list(handlers.refused(visit))[-1]["message"]
        assert "It cannot be on on this" in list(handlers.refused_when_on(visit, "on"))[-1]["message"]
        assert list(handlers.refused_when_on(visit, switch="off")) == [{"message": "done"}]
    finally:
        demo.close()
    assert list(Example(lab).refused(visit_to(lab))) == [{"message": "done"}]


def test_an_error_becomes_a_message_at_its_field(lab, caplog):
    class Failing(Example):
        @handler(cost=FREE)
        def fails(self, visit: Visit, switch: Switch) -> Updates:
            raise BadRequest("Too long.", "subject") if switch == "on" else RuntimeError("secret")
            yield {}

    said = list(Failing(lab).fails(visit_to(lab), "on"))[-1]
    assert "Too long." in said["message"] and "Too long." in said["at-subject"] and said["progress"] == ""
    said = list(Failing(lab).fails(visit_to(lab), "off"))[-1]
    assert "failed unexpectedly" in said["message"] and "secret" not in said["message"] and "secret" in caplog.text


def test_a_shape_says_what_a_type_accepts():
    assert shape_of(Question | None).optional and shape_of(Question).longest == 2_000
    assert shape_of(Switch).choices == ("off", "on") and shape_of(Literal["one"]).choices == ("one",)
    assert shape_of(Upload | None).kind == "file" and shape_of(bool).kind == "boolean"
    assert (shape_of(Count).kind, shape_of(Count).least, shape_of(Count).most) == ("integer", 2, 200)
