"""The choice among many methods, and the settings of the one that is chosen."""

import json
import re
from dataclasses import replace

import pytest
from markupsafe import escape
from visitors import accepts

from editlab import methods
from editlab.errors import BadRequest
from editlab.lab import GROUPS, MethodInfo, Setting
from editlab.web.core import forms
from editlab.web.core.method_choice import BUTTONS, choice
from editlab.web.edit.request_form import settings_of

OPTION = re.compile(r'<option value="([^"]+)"( selected)?>([^<]+)</option>')


@pytest.fixture
def many(lab) -> list[MethodInfo]:
    """Methods as there may be, of every group, those of the last group first."""
    first, *_ = lab.methods()
    others = [
        replace(first, name=f"{group}-{n}", title=f"Method <{n}>", about=f"It changes {group}.", group=group)
        for group in reversed(GROUPS)
        for n in range(4)
    ]
    return [*lab.methods()[:BUTTONS], *others]


def test_the_first_methods_are_buttons_and_the_others_a_list_by_groups(many):
    html = choice("method", many, "Method", "memit", about=True)
    assert re.findall(r'<input type="radio" name="method" value="(\w+)"', html) == ["rome", "memit"]
    assert re.findall(r'<optgroup label="([^"]+)">', html) == list(GROUPS.values())
    assert [name for name, _, _ in OPTION.findall(html)] == [f"{group}-{n}" for group in GROUPS for n in range(4)]
    assert "&lt;3&gt;" in html and "<3>" not in html
    assert re.findall(r'data-about="(\w+)">', html) == ["memit"], "of one method it is said at once what it does"


def test_a_method_of_the_list_can_be_the_chosen_one(many):
    html = choice("method", many, "Method", "tell-2")
    assert [name for name, chosen, _ in OPTION.findall(html) if chosen] == ["tell-2"] and " checked" not in html


def test_two_methods_need_no_list(lab):
    assert "<select" not in choice("method", lab.methods()[:BUTTONS], "Method", "rome")


def test_every_method_says_what_it_does(lab):
    assert all(method.about and method.about != method.title for method in lab.methods())
    bare = type("Bare", (type(methods.get("rome")),), {"about": "", "__doc__": "Write it\n    down.\n\n    Or not."})
    assert methods.about(bare()) == "Write it down."


def test_each_setting_has_a_field_with_its_value_and_help(lab):
    for method in lab.methods():
        html = settings_of(method)
        for setting in method.settings:
            fields = re.findall(rf'<input [^>]*data-setting="{setting.name}"[^>]*>', html)
            assert len(fields) == max(1, len(setting.choices)), setting.name
            first = json.dumps(setting.default if setting.kind == "bool" else str(setting.default))
            assert all(f'data-first="{escape(first)}"' in field for field in fields), setting.name
            assert f'aria-describedby="{method.name}-{setting.name}-help"' in html


def test_two_methods_may_mean_different_things_by_one_name(many):
    first, second, *_ = many
    keys = Setting("keys", "Keys", "How many.", "int", (), 3)
    second = replace(second, settings=(keys,))
    assert 'type="radio" name="rome-keys"' in settings_of(first) and 'id="memit-keys-field"' in settings_of(second)
    changes = json.dumps({"rome": {"keys": "original"}, "memit": {"keys": "5"}})
    assert forms.read_settings((first, second), "rome", changes) == {"keys": "original"}
    assert forms.read_settings((first, second), "memit", changes) == {"keys": "5"}


def test_of_what_the_page_sends_the_changes_of_the_chosen_method_count(lab):
    steps = next(setting.default for setting in lab.methods()[0].settings if setting.name == "steps")
    changes = json.dumps({"rome": {"steps": f" {steps} ", "whiten": False, "clamp": "2"}, "memit": {"steps": "7"}})
    assert forms.read_settings(lab.methods(), "rome", changes) == {"whiten": False, "clamp": "2"}
    assert forms.read_settings(lab.methods(), "memit", changes) == {"steps": "7"}
    assert forms.read_settings(lab.methods(), "rome", "") == {}


def test_a_setting_that_the_method_does_not_have_is_a_sentence(lab):
    config = forms.read_settings(lab.methods(), "rome", '{"rome": {"magic": "1"}}')
    with pytest.raises(BadRequest, match="There is no setting magic"):
        methods.config_for("rome", lab.model, **config)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "[]",
            "x",
            "{",
            '{"rome": 1}',
            '{"rome": {"steps": 2}}',
            '{"rome": {"steps": null}}',
            '{"rome": {"steps": ["1"]}}',
        ),
        *(json.dumps({"rome": {"steps": "1" * 101}}), json.dumps({"r" * 101: {}}), "{}" + " " * 20_000, None, 1),
    ],
)
def test_what_are_no_settings_is_refused(visitor, value):
    apply = visitor.handlers.apply
    assert not accepts(apply, "settings", value)
    assert accepts(apply, "settings", "") and accepts(apply, "settings", '{"rome": {"steps": "2", "whiten": false}}')


def test_a_chosen_method_brings_its_settings(visitor):
    page = visitor.does("choose_method", "memit")
    assert 'data-method="memit"' in page["settings.fields"] and "Preserved keys" in page["settings.fields"]
    assert "settings.value" not in page, "what the visitor changed stays as it is"
    assert 'data-method="rome"' in visitor.does("open")["settings.fields"]
    assert 'data-method="memit"' in visitor.does("open", method="memit")["settings.fields"]
