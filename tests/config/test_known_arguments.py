"""A value of a wrong kind is told by its key, or is what the object takes: for every key of every shipped choice."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf, open_dict

from segtrain.app.train.assembly import build_descent
from segtrain.config.composition import composed, conf_dir
from segtrain.config.known_keys import require_known
from segtrain.config.objects import build
from segtrain.config.run_config import RunConfig
from segtrain.config.trust import ROLES
from segtrain.data.datasets import Shapes
from segtrain.data.statistics import WEIGHTS
from segtrain.errors import UserError
from segtrain.help import VERBS
from segtrain.parts.data import build_dataset, build_splitter
from segtrain.parts.network import build_network
from segtrain.parts.policy import build_policy
from tests.conftest import CommandLine

WRONG: dict[str, Any] = {
    **{"text": "abc", "list": ["a"], "mapping": {"a": 1}, "null": None, "nested": [[1]]},
    **{"negative": -1, "fraction": 1.5, "switch": True, "lists": [[{"a": []}]]},
}
CHOICES = [(group, path.stem) for group in (*ROLES, "split") for path in sorted((conf_dir() / group).glob("*.yaml"))]
PYTHONS = ("object has no attribute", "not supported between", "must be real number", "indices must be")
# Choices that are asked at each change; the others in the slow tests.
QUICK = [
    *[("dataset", "folder"), ("dataset", "shapes"), ("split", "ratios"), ("aug", "none"), ("aug", "blur")],
    *[("loss", "dice_ce"), ("optimizer", "sgd"), ("scheduler", "poly"), ("model", "unet_shallow"), ("logger", "wandb")],
]
SHAPES = Shapes()
DOWNLOADS = ("encoder_weights",)  # a text is a name that is looked for on the network


@cache
def base(group: str, choice: str) -> DictConfig:
    """The config with a choice, what must be given in it filled in."""
    config = composed("train", [f"{group}={choice}"])
    for key in [key for key in OmegaConf.missing_keys(config) if key.startswith("dataset.")]:
        wanted = ["background", "cell"] if choice == "coco" else {"background": 0, "cell": 1}
        OmegaConf.update(config, key, wanted if key == "dataset.classes" else "nowhere")
    return config


def keys(group: str, choice: str) -> Iterator[str]:
    """The keys of the choice's object, and of those within it."""
    place = "dataset.split" if group == "split" else group
    node: Any = OmegaConf.to_container(OmegaConf.select(base(group, choice), place), resolve=False)
    for name, value in node.items():
        if not name.startswith("_") and (group, name) != ("dataset", "split"):
            yield f"{place}.{name}"
        if name == "transforms":
            yield from (f"{place}.{name}.{i}.{key}" for i, one in enumerate(value) for key in one if key != "_target_")


def told(config: DictConfig, verb: str = "train") -> str:
    """What the check says; nothing where it lets the config pass."""
    config = config.copy()
    with open_dict(config):
        choices: Mapping[str, str] = OmegaConf.to_container(config.pop("choices"))  # type: ignore[assignment]
    try:
        require_known(config, verb, choices)
    except UserError as error:
        return str(error)
    return ""


def made(group: str, config: DictConfig) -> None:
    """Build the object, as its verb would."""
    builders = {
        "dataset": lambda: build_dataset(RunConfig(config)),
        "split": lambda: build_splitter(RunConfig(config)),
        "aug": lambda: build_policy(RunConfig(config), SHAPES),
        "model": lambda: build_network(RunConfig(config).model, 3, 3),
        "loss": lambda: build(RunConfig(config).loss, ignore_index=255),
    }
    if group in builders:
        builders[group]()
    elif group in ("optimizer", "scheduler"):
        build_descent(RunConfig(config))


def overridden(config: DictConfig, key: str, value: Any) -> DictConfig:
    config = config.copy()
    with open_dict(config):
        OmegaConf.update(config, key, value, merge=False)
    return config


@pytest.mark.parametrize(
    ("group", "choice"),
    [pytest.param(*choice, marks=[] if choice in QUICK else pytest.mark.slow) for choice in CHOICES],
)
def test_a_wrong_kind_is_told_by_its_key_or_taken(group: str, choice: str) -> None:
    assert told(base(group, choice)) == ""
    for key in keys(group, choice):
        for kind, value in WRONG.items():
            config = overridden(base(group, choice), key, value)
            if said := told(config):
                assert key in said and "expected" in said and not any(words in said for words in PYTHONS), (kind, said)
            elif group != "model" and not key.endswith(DOWNLOADS):
                try:
                    made(group, config)
                except UserError as error:
                    assert not any(words in str(error) for words in PYTHONS), (key, kind, str(error))


@pytest.mark.slow
@pytest.mark.parametrize("choice", [choice for group, choice in CHOICES if group == "model"])
def test_a_network_that_the_check_lets_pass_is_built_or_refused(choice: str) -> None:
    for key in keys("model", choice):
        for kind, value in WRONG.items():
            config = overridden(base("model", choice), key, value)
            if told(config) or key.endswith(DOWNLOADS):
                continue
            try:
                made("model", config)
            except UserError as error:
                assert not any(words in str(error) for words in PYTHONS), (key, kind, str(error))


@pytest.mark.parametrize(
    ("choice", "typed"),
    [
        *[(("loss", loss), f"class_weights={kind}") for loss in ("ce", "dice_ce") for kind in WEIGHTS],
        *[(("loss", "focal"), f"alpha={kind}") for kind in WEIGHTS],
        *[
            (("trainer", "default"), f"precision={value}")
            for value in ("auto", "bf16-mixed", "16-mixed", "32-true", 32)
        ],
        *[(("model", "unet_resnet18"), f"encoder_weights={value}") for value in ("imagenet", "null")],
        *[(("dataset", "folder"), f"channels={value}") for value in (1, 3, "null")],
        (("dataset", "tiff"), "channels=[0,2,5]"),
        (("dataset", "volume"), "images=['{id}/a.nii.gz','{id}/b.nii.gz']"),
        (("dataset", "coco"), "classes={background: null, vehicle: [car, bus]}"),
        (("dataset", "folder"), "ignore_value=[255, 254]"),
        (("dataset", "folder"), "ignore_value='#ff0000'"),
        (("dataset", "folder"), "lists={train: train.txt, test: test.txt}"),
        (("dataset", "volume"), "window=[-160,240]"),
        (("dataset", "shapes"), "size=[64,32]"),
        (("dataset", "folder"), "palette=[[0,0,0],[255,0,0]]"),
        (("optimizer", "adamw"), "betas=[0.9,0.99]"),
    ],
)
def test_what_the_files_of_conf_say_that_can_be_given(choice: tuple[str, str], typed: str) -> None:
    """As their comments have it, under the name of a file of the user's own too: then nothing is known to be right."""
    key, _, value = typed.partition("=")
    config = overridden(base(*choice), f"{choice[0]}.{key}", yaml.safe_load(value))
    assert told(config) == ""
    config.choices[choice[0]] = "my_own"
    assert told(config) == ""


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_what_conf_ships_is_legal_as_the_users_own(group: str, choice: str) -> None:
    config = base(group, choice).copy()
    config.choices[group] = "my_own"
    assert told(config) == ""


NEEDED = {"run": "run=x", "input": "input=x", "to": "to=x"}


@pytest.mark.parametrize("verb", [verb for verb in VERBS if (conf_dir() / f"{verb}.yaml").exists()])
def test_the_keys_of_a_verb(verb: str) -> None:
    """A mapping is no value of any of them, and what has keys below it takes nothing else."""
    plain: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{verb}.yaml"), resolve=False)
    typed = [typed for key, typed in NEEDED.items() if key in plain]
    config = composed(verb, typed)
    assert told(config, verb) == ""
    for key, value in plain.items():
        if key in ("defaults", "hydra"):
            continue
        said = told(overridden(config, key, "abc" if isinstance(value, dict) else {"a": 1}), verb)
        assert said.startswith(f"{key} is ") or f"'{key}.a'" in said, (key, said)
        for name in value if isinstance(value, dict) else ():
            assert told(overridden(config, f"{key}.{name}", {"a": 1}), verb).startswith(f"{key}.{name} is ")


class Own:
    """A data set of a user's own, some of whose annotations say nothing that could be judged."""

    def __init__(self, n: int, name: "str | None" = None, other: "Undefined" = 3, free=1, pair: Sequence[float] = ()):  # type: ignore[name-defined,no-untyped-def]  # noqa: F821
        self.n, self.name, self.other, self.free, self.pair = n, name, other, free, pair


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        *[("n", value, fits) for value, fits in ((3, True), ("a", False), (1.5, False), (True, False), (None, False))],
        *[("name", value, fits) for value, fits in (("a", True), (None, True), (2, False), (["a"], False))],
        *[("pair", value, fits) for value, fits in (([1, 2.5], True), (["a"], False), ("ab", False))],
        *[(key, value, True) for key in ("other", "free") for value in ("a", 1, [1], None)],
    ],
)
def test_a_class_of_the_users_own(key: str, value: Any, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segtrain.config.trust._trusted", {"tests"})
    config = base("dataset", "shapes").copy()
    with open_dict(config):
        split = config.dataset.split
        config.dataset = {"_target_": f"{__name__}.Own", "n": 3, key: value, "split": split}
    said = told(config)
    assert (said == "") == fits and (fits or f"dataset.{key} is" in said)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("data=foo", "data is 'foo'"),
        ("aug.strength=abc", "aug.strength is 'abc'"),
        ("dataset.split=ratios", "split=ratios"),
        ("trust=foo", "[mypackage]"),
    ],
)
def test_what_newcomers_type(typed: str, words: str, segtrain: CommandLine) -> None:
    assert segtrain("dataset=shapes", typed) == 2
    assert words in segtrain.err and "Traceback" not in segtrain.err and segtrain.err.startswith("error: ")


def test_classes_as_a_list(segtrain: CommandLine) -> None:
    assert segtrain("dataset=folder", "dataset.root=x", "dataset.classes=[a,b]") == 2
    assert "dataset.classes is ['a', 'b']" in segtrain.err and "name: value in the mask" in segtrain.err


@pytest.mark.parametrize("value", ["foo", "linear", "", 3])
def test_an_interpolation_that_torch_has_not_is_refused(value: Any) -> None:
    said = told(overridden(base("model", "unet_resnet18"), "model.decoder_interpolation", value))
    assert said.startswith("model.decoder_interpolation is "), said


@pytest.mark.parametrize("value", ["nearest", "bilinear", "bicubic"])
def test_an_interpolation_that_torch_has_is_taken(value: str) -> None:
    assert told(overridden(base("model", "unet_resnet18"), "model.decoder_interpolation", value)) == ""


@pytest.mark.parametrize(
    ("encoder", "weights", "words"),
    [
        ("resnet18", "foo", "ssl or swsl"),
        ("resnet18", "advprop", "imagenet"),
        ("tu-test_resnet", "foo", "tu-NAME.TAG"),
        *[("resnet18", known, "") for known in ("imagenet", "ssl", None)],
        *[("tu-test_resnet", known, "") for known in ("imagenet", None)],
    ],
)
def test_weights_that_an_encoder_has_not_are_told_before_a_download(
    encoder: str, weights: str | None, words: str
) -> None:
    config = overridden(base("model", "unet_resnet18"), "model.encoder_name", encoder)
    said = told(overridden(config, "model.encoder_weights", weights))
    assert (said == "") == (words == "") and words in said


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        *[("trainer.val_check_interval", value, "a share above 0") for value in (0, -1, 1.5, float("nan"), "10h")],
        *[("trainer.log_every_n_steps", value, "leave it out") for value in (0, -1, 10)],
        *[(f"trainer.limit_{part}_batches", 0, "from 1") for part in ("train", "val", "test")],
        ("trainer.limit_predict_batches", 0, "leave it out"),
        *[(f"trainer.{key}", -1, "from 0") for key in ("min_epochs", "min_steps", "reload_dataloaders_every_n_epochs")],
        *[(f"trainer.{key}", 1, "leave it out") for key in ("max_steps", "overfit_batches", "num_sanity_val_steps")],
        ("trainer.gradient_clip_algorithm", "foo", "norm, value or null"),
        ("trainer.gradient_clip_val", -1, "expected a norm from 0 or null"),
        ("trainer.accumulate_grad_batches", 10**13, "from 1 to 2147483647"),
        ("optimizer.weight_decay", float("nan"), "a finite number"),
        ("loss.dice_weight", float("nan"), "a finite number"),
        *[("dataset.split.val", value, "a share from 0 to 1") for value in (float("nan"), 1.5, -0.1)],
    ],
)
def test_a_number_out_of_its_range_is_told(key: str, value: Any, words: str) -> None:
    said = told(overridden(base("dataset", "shapes"), key, value))
    assert said.startswith(f"{key} is ") and words in said, said
    assert said.count("or null") <= 1


@pytest.mark.parametrize(("key", "value"), [("val_check_interval", 2), ("val_check_interval", 0.5), ("min_epochs", 1)])
def test_a_number_in_its_range_is_taken(key: str, value: Any) -> None:
    assert told(overridden(base("dataset", "shapes"), f"trainer.{key}", value)) == ""
