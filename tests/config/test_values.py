"""Every key of every verb and choice, given values that it cannot have: one message, or taken; nothing else."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict

from segtrain.config.composition import composed, conf_dir
from segtrain.config.known_arguments import paths
from segtrain.config.known_keys import require_known
from segtrain.config.values import MOST_SHOWN, OF_VERB, RULES, shown
from segtrain.errors import UserError
from segtrain.mistakes import explain

VERBS = ("train", "check", "convert", "evaluate", "export", "predict", "preview", "serve")
WRONG: dict[str, Any] = {
    "text": "x y",
    "empty": "",
    "null": None,
    "below": -1,
    "large": 10**30,
    "infinite": float("inf"),
    "no number": float("nan"),
    "list": [1, [2]],
    "mapping": {"a": 1},
    "control": "a\x1b[31m\n",
    "long": "x" * 100_000,
    "day": "2020-01-01",
}
MOST_SECONDS = 1.0
# What each of these may never be taken as, whatever the key: nothing of a config is that large, or that many lines.
NEVER = ("large", "infinite", "no number")


def bases() -> Iterator[tuple[str, DictConfig, list[str]]]:
    """Each verb's own config with its keys; each choice of each group with the keys below the group."""
    for verb in VERBS:
        config = composed(verb, [])
        yield verb, config, [key for key in paths(OmegaConf.to_container(config, resolve=False)) if is_own(verb, key)]
    for file in sorted(conf_dir().glob("*/*.yaml")):
        group, choice = file.parent.name, file.stem
        if group in ("sweep", "experiment"):
            continue
        config = composed("train", [f"{group}={choice}"])
        place = "dataset.split" if group == "split" else group
        node = OmegaConf.to_container(OmegaConf.select(config, place) or DictConfig({}), resolve=False)
        yield "train", config, [f"{place}.{key}" for key in paths(node) if not key.endswith("_target_")]


def is_own(verb: str, key: str) -> bool:
    own = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{verb}.yaml"), resolve=False)
    assert isinstance(own, dict)
    return key.partition(".")[0] in own and key != "choices"


def asked(verb: str, config: DictConfig, key: str, value: Any) -> str:
    """How the checks of a verb end for that value at that key: "" taken, a message; any other exception is raised."""
    config = config.copy()
    with open_dict(config):
        choices = config.pop("choices")
        OmegaConf.update(config, key, value, merge=False)
    try:
        require_known(config, verb, choices)
    except UserError as error:
        return str(error)
    except Exception as error:
        message = explain(error, verb)
        if message is None:
            raise
        return message
    return ""


def cases() -> Iterator[tuple[str, DictConfig, str, str]]:
    """Each key of a verb, and every third of a choice's, with one of the values in turn: all with all take minutes."""
    for number, (verb, config, keys) in enumerate(bases()):
        for at, key in enumerate(keys):
            if number < len(VERBS) or at % 3 == number % 3:
                yield verb, config, key, list(WRONG)[(5 * at + number) % len(WRONG)]


@pytest.mark.slow
def test_every_key_of_every_verb_and_choice_takes_or_refuses_a_value() -> None:
    problems, tried = [], 0
    for verb, config, key, name in cases():
        tried += 1
        began = time.perf_counter()
        said = asked(verb, config, key, WRONG[name])  # any other exception fails
        if time.perf_counter() - began > MOST_SECONDS:  # the first time, libraries may have been imported for it
            began = time.perf_counter()
            asked(verb, config, key, WRONG[name])
            if time.perf_counter() - began > MOST_SECONDS:
                problems.append(f"{verb} {key} {name}: {time.perf_counter() - began:.1f} s")
        if not said and name in NEVER:
            problems.append(f"{verb} {key} {name}: taken")
        if len(said) > 3000 or not said.replace("\n", "").isprintable():  # a line a mistake
            problems.append(f"{verb} {key} {name}: a message of {len(said)} characters: {said[:200]!r}")
    assert tried > 200
    assert not problems, f"{len(problems)} of {tried}:\n" + "\n".join(problems)


@pytest.mark.parametrize("verb", VERBS)
def test_every_key_of_a_verb_has_a_kind_and_a_range(verb: str) -> None:
    own = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{verb}.yaml"), resolve=False)
    assert isinstance(own, dict)
    own = {key: value for key, value in own.items() if key not in ("defaults", "hydra")}
    parents = {key for key, value in own.items() if isinstance(value, dict)}
    rules = {**RULES, **OF_VERB.get(verb, {})}
    for key in set(paths(own)) - parents:
        assert not any(rules[key].holds(WRONG[name]) for name in NEVER), key
        assert not rules[key].holds({"a": 1}), key


@settings(max_examples=30)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_a_rule_takes_or_refuses_anything(value: Any) -> None:
    held = [key for key, rule in RULES.items() if rule.holds(value)]
    assert all(RULES[key].holds(value) for key in held)  # and none of them raises
    assert len(shown(value)) < 2 * MOST_SHOWN


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../x",
        "/abs",
        "a/../..",
        "a/b/../../..",
        ".",
        "a//b",
        "",
        "a/",
        "a\0b",
        "a\nb",
        "\x1b[31m",
        "x" * 300,
        "é" * 200,
        "a/" * 600 + "a",
        True,
        1.5,
        None,
    ],
)
def test_a_name_stays_below_outputs(name: Any) -> None:
    assert not RULES["name"].holds(name)


@pytest.mark.parametrize("name", ["x", "a/b", "2024-01-01", 7, "ключ", "a b", "x.y", "..a", "x" * 255])
def test_a_plain_name_is_taken(name: Any) -> None:
    assert RULES["name"].holds(name)


LARGE = [
    *("dataset=shapes dataset.n=1000000000000", "dataset=shapes dataset.size=100000", "scheduler.warmup=.nan"),
    *("model.decoder_channels=[10000000,1,1,1,1]", "aug=geometric aug.transforms.0.rotate=1e300"),
    *(
        "aug=albumentations_basic aug.transforms.2.height=1000000000",
        "optimizer.weight_decay=inf",
        "+trainer.num_nodes=100000",
        "trainer.precision=bf16-true",
    ),
    *("aug=randaugment aug.transforms.1.n=100000", "split=folds dataset.split.k=100000000"),
]


@pytest.mark.parametrize("typed", LARGE)
def test_a_number_beyond_memory_is_refused(typed: str) -> None:
    config = composed("train", typed.split())
    choices = config.choices
    with open_dict(config):
        del config["choices"]
    with pytest.raises(UserError, match=typed.split()[-1].partition("=")[0].lstrip("+").replace(".", r"\.")):
        require_known(config, "train", choices)


def test_all_mistakes_of_a_config_are_told_at_once() -> None:
    typed = ["data.crop=0", "trainer.max_epochs=none", "+data.nobody=1", "loss.smooth=x", "seed=-1"]
    config = composed("train", typed)
    with open_dict(config):
        choices = config.pop("choices")
    with pytest.raises(UserError) as told:
        require_known(config, "train", choices)
    lines = str(told.value).splitlines()
    assert "5 mistakes" in lines[0] and len(lines) == 6
    for override in typed:
        key, _, value = override.lstrip("+").partition("=")
        (line,) = [one for one in lines if f"{key} is" in one or f"'{key}'" in one]
        assert value in line or key == "data.nobody"


def test_one_mistake_is_told_as_it_is() -> None:
    config = composed("train", ["seed=-1"])
    with open_dict(config):
        choices = config.pop("choices")
    with pytest.raises(UserError, match=r"^seed is -1; expected a whole number"):
        require_known(config, "train", choices)
