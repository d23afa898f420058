"""Settings of methods: what fits, what is said where one does not, and how a page asks for them."""

import json
import math
import sys
from dataclasses import replace

import pytest

from editlab import methods
from editlab.errors import BadRequest
from editlab.methods.mask import MaskConfig
from editlab.methods.memit import MemitConfig
from editlab.methods.rep import OFF, RECIPES, RepConfig, check_threshold, recipe_of, threshold_of
from editlab.methods.rome import RomeConfig

CONFIGS = (RomeConfig, MemitConfig, RepConfig, MaskConfig)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("steps", 0, "a whole number from 1 to 1,000"),
        ("steps", 1001, "a whole number from 1 to 1,000"),
        ("steps", 2.5, "a whole number from 1 to 1,000"),
        ("steps", "many", "a whole number from 1 to 1,000"),
        ("steps", True, "a whole number from 1 to 1,000"),
        ("steps", None, "a whole number from 1 to 1,000"),
        ("clamp", 0, "a number above 0 and up to 1,000,000"),
        ("clamp", math.inf, "a number above 0 and up to 1,000,000"),
        ("clamp", math.nan, "a number above 0 and up to 1,000,000"),
        ("clamp", False, "a number above 0 and up to 1,000,000"),
        ("kl", -1, "a number from 0 to 1,000,000"),
        ("plain_below", "nan", "a number of at least 0"),
        ("contexts", 0, "a whole number from 1 to 20"),
        ("contexts", 21, "a whole number from 1 to 20"),
        ("whiten", 1, "yes or no"),
        ("whiten", "yes", "yes or no"),
        ("keys", "mine", "one of: consistent, original, prompt"),
        ("layers", "one", "numbers with commas between them"),
        ("layers", 1, "numbers with commas between them"),
    ],
)
def test_a_value_that_does_not_fit_is_a_sentence_with_the_settings_name(name, value, wanted):
    with pytest.raises(BadRequest) as refused:
        RomeConfig(**{name: value})
    assert refused.value.field == name
    assert str(refused.value).startswith(f"{name} is ") and wanted in str(refused.value)
    with pytest.raises(BadRequest):
        replace(RomeConfig(), **{name: value})


def test_a_long_value_is_not_repeated():
    with pytest.raises(BadRequest) as refused:
        RomeConfig(steps="x" * 10_000)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("name", methods.METHODS)
def test_settings_are_checked_without_a_model(name):
    method = methods.get(name)
    method.check_settings(seed=1, form="plain")
    for changes in ({"nosuch": 1}, {"form": "spoken"}):
        with pytest.raises(BadRequest, match=r"no setting nosuch|form is 'spoken'"):
            method.check_settings(**changes)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_setting_that_there_is_not_is_refused_with_those_that_there_are(kind):
    with pytest.raises(BadRequest, match=r"no setting colour\. Choose one of: .*seed"):
        kind(colour="red")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("budget", 0, "above 0 and below 1"),
        ("budget", 1, "above 0 and below 1"),
        ("plain", 1.1, "from 0 to 1"),
        ("epochs", 0, "of at least 1"),
        ("batch", 0, "of at least 1"),
        ("sparsity", "x", "numbers from 0 to 1,000,000 with commas"),
        ("temperature", (0, 0.3), "numbers above 0 and up to 1,000,000 with commas"),
        ("temperature", (2.0, math.inf), "numbers above 0"),
        ("softening", (-1, 4), "numbers above 0"),
        ("margin", math.nan, "Write a number"),
        ("start", (math.nan, 0.1), "Write numbers with commas"),
        ("threshold", math.nan, "from 0 to 1"),
    ],
)
def test_a_masks_settings_have_bounds_too(name, value, wanted):
    with pytest.raises(BadRequest, match=f"^{name} is .*{wanted}"):
        MaskConfig(**{name: value})


@pytest.mark.parametrize("name", ["rome", "wilke", "emmet", "memit", "pmet", "alphaedit"])
def test_there_are_as_many_contexts_as_a_method_can_write(name):
    method = methods.get(name)
    most = sum(count for _, count in sys.modules[type(method).prepare.__module__].CONTEXTS)
    assert method.config(contexts=most).contexts == most
    with pytest.raises(BadRequest, match=f"a whole number from 1 to {most}"):
        method.config(contexts=most + 1)


def test_numbers_and_layers_may_be_text():
    config = RomeConfig(layers="2, 1 2", steps="7", clamp="0.5", plain_below="inf", seed="3")
    assert (config.layers, config.steps, config.clamp, config.seed) == ((1, 2), 7, 0.5, 3)
    assert math.isinf(config.plain_below)


@pytest.mark.parametrize("kind", CONFIGS)
def test_plain_json_gives_the_same_settings_again(kind):
    config = kind(layers=(2, 1)) if "layers" in kind.__pydantic_fields__ else kind()
    assert kind(**json.loads(json.dumps(methods.as_json(config), allow_nan=False))) == config


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_setting_has_help(kind):
    assert all(setting.help for setting in methods.describe(kind()))


def test_a_page_is_told_what_each_setting_is(tiny_llama):
    offered = {method.name: method for method in methods.offer(tiny_llama, seed=5)}
    assert list(offered) == list(methods.METHODS)
    rome, memit = offered["rome"], offered["memit"]
    assert (rome.name, memit.name) == ("rome", "memit") and rome.title.startswith("ROME")
    shown = {setting.name: setting for setting in rome.settings}
    assert list(shown) == list(RomeConfig.__pydantic_fields__)
    assert (shown["layers"].kind, shown["layers"].default) == ("text", "1")
    assert (shown["keys"].kind, shown["keys"].choices[0]) == ("choice", "consistent")
    assert (shown["steps"].kind, shown["clamp"].kind, shown["whiten"].kind) == ("int", "float", "bool")
    assert shown["plain_below"].default == 0.1 and shown["seed"].default == 5
    assert all(setting.title[0].isupper() for setting in (*rome.settings, *memit.settings))


@pytest.mark.parametrize("name", ["model", "name", "self"])
def test_no_name_of_a_setting_is_taken_for_an_argument(tiny_llama, name):
    with pytest.raises(BadRequest, match=f"no setting {name}"):
        methods.config_for("rome", tiny_llama, **{name: "x"})


def test_reps_recipe_and_threshold_are_checked_in_one_place():
    assert [recipe_of(word) for word in (None, "", OFF, *RECIPES)] == [None, None, None, *RECIPES]
    with pytest.raises(BadRequest, match="Choose one of: off, default, published"):
        recipe_of("newest")
    assert [RepConfig(recipe=recipe).threshold for recipe in RECIPES] == [threshold_of(recipe) for recipe in RECIPES]
    assert check_threshold(1) == 1.0
    for value in (-0.1, 1.1, math.nan, True, "0.5", None):
        with pytest.raises(BadRequest, match="number from 0 to 1"):
            check_threshold(value)
