"""What the config of a run may read: itself, and the strength of its augmentation."""

import pytest

from segtrain.errors import UserError
from segtrain.runs.config_yaml import require_self_contained

CHAIN = {f"a{i}": f"${{a{i + 1}}}" for i in range(500)}


@pytest.mark.parametrize(
    "text",
    [
        "${amount:15}", "${span:1, 0.3}", "${chance:0.5}", "${amount: -3}", "x", "${aug.base}", "${.base}", "${..seed}",
        "${amount:${aug.base}}", "sqlite:///${name}/x.db", "${oc.select:aug.base, 3}", "100 %",
        "${oc.dict.values:data}",
        "${choices.hydra/launcher}", "$5 {x}", "${aug.list[0]}",
    ],
)  # fmt: skip
def test_what_training_writes_is_read(text):
    require_self_contained(
        {"name": "n", "seed": 0, "data": {"a": 1}, "aug": {"base": 1, "list": [1], "ops": {"base": 2, "p": text}}},
        "config.yaml",
    )


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:HOME}", "${ oc.env : HOME }", "${oc.env:AWS_SECRET_ACCESS_KEY,x}", "x${oc.env:HOME}y",
        "${oc.create:'{}'}",
        "${oc.decode:'\\${oc.env:HOME}'}", "${hydra:runtime.cwd}", "${now:%Y}", "${threads:}",
        "${amount:${oc.env:HOME}}",
        "${${x}:HOME}", "${oc.${x}:HOME}", "${x.${y}}", "\\${oc.env:HOME}", "${a", "${amo${x}unt:1}",
        "${oc.select:${x}}",
        "${oc.deprecated:x}", "${run_name:}", "${amount.env:1}",
    ],
)  # fmt: skip
def test_what_reads_anything_else_is_refused(text):
    for config in ({"name": text}, {"loss": {"ops": [{"p": text}]}}, {"a": {"b": [[text]]}}):
        with pytest.raises(UserError, match=r"config\.yaml' is damaged"):
            require_self_contained(config, "config.yaml")


def test_an_augmentation_of_earlier_versions_may_ask_the_shell_for_a_value():
    require_self_contained(
        {"aug": {"ops": [{"p": "${oc.env:MY_P,0.5}", "limit": "${amount:${oc.env:MY_LIMIT}}"}]}}, "config.yaml"
    )
    require_self_contained({"aug": {"strength": "${oc.decode:${oc.env:MY_STRENGTH,1.0}}"}}, "config.yaml")
    for text in ("${oc.env:${x}}", "${oc.decode:'\\${oc.env:HOME}'}", "${oc.create:'{}'}"):
        with pytest.raises(UserError, match="is damaged"):
            require_self_contained({"aug": {"ops": [{"p": text}]}}, "config.yaml")


@pytest.mark.parametrize(
    "config",
    [
        {"a": "${a}"},
        {"a": "${b}", "b": "${a}"},
        {"a": {"b": "${a}"}},
        {"a": {"b": ["${.}"], "c": "${..a}"}, "d": "${d}"},
        CHAIN,
        {"a0": ["x"] * 10, **{f"a{i}": [f"${{a{i - 1}}}"] * 10 for i in range(1, 9)}},
        {"a0": "x" * 100, **{f"a{i}": f"${{a{i - 1}}}" * 10 for i in range(1, 9)}},
    ],
    ids=["itself", "circle", "inside", "relative", "chain", "lists", "texts"],
)
def test_what_never_ends_is_refused(config):
    with pytest.raises(UserError, match="is damaged"):
        require_self_contained(config, "config.yaml")
