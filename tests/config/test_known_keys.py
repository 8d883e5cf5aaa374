"""Every key that a user can type is read by something, or refused by its name, for every verb and every choice."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import DictConfig, OmegaConf, open_dict

from segtrain.config.composition import composed, conf_dir
from segtrain.config.known_arguments import CONTRARY, GIVEN, OF_LOGGER
from segtrain.config.known_keys import require_known
from segtrain.config.run_config import RunConfig
from segtrain.config.trust import ROLES
from segtrain.errors import UserError
from segtrain.help import VERBS
from segtrain.parts.network import build_network
from tests.conftest import SMALL, CommandLine, train

COMPOSED = [verb for verb in VERBS if (conf_dir() / f"{verb}.yaml").exists()]  # find is a training's
NODES = (*ROLES, "split")  # groups that put an object into the config of a run
CHOICES = [
    (group.name, path.stem)
    for group in sorted(conf_dir().iterdir())
    for path in sorted(group.glob("*.yaml"))
    if group.is_dir()
]
# Targets that hand any keyword on to what refuses it when it is built: timm's encoders, and services.
TAKE_ANY = {("model", "unet_shallow"), ("logger", "tensorboard"), ("logger", "wandb")}
NEEDED = {"run": "run=x", "input": "input=x", "to": "to=x"}
QUICK = [*(o for o in SMALL if "max_epochs" not in o), "trainer.max_epochs=1"]


@cache
def base(verb: str, *overrides: str) -> DictConfig:
    """Without Hydra's own part; composed once, which takes a tenth of a second."""
    return composed(verb, overrides)


def check(verb: str, *overrides: str) -> None:
    """As the verb would; what begins with + is put in as Hydra does."""
    config = base(verb, *(o for o in overrides if o[0] != "+")).copy()
    with open_dict(config):
        choices: Mapping[str, str] = OmegaConf.to_container(config.pop("choices"))  # type: ignore[assignment]
        for key, _, value in (o.lstrip("+").partition("=") for o in overrides if o[0] == "+"):
            OmegaConf.update(config, key, yaml.safe_load(value), force_add=True)
    require_known(config, verb, choices)


def refused(verb: str, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        check(verb, *overrides)
    return str(caught.value)


@pytest.mark.parametrize("verb", COMPOSED)
def test_what_the_files_of_conf_say_is_read(verb: str) -> None:
    check(verb)


@pytest.mark.parametrize(("group", "choice"), [c for c in CHOICES if c[0] != "hydra"])
def test_what_each_choice_says_is_read(group: str, choice: str) -> None:
    check("train", f"{group}={choice}")


@pytest.mark.parametrize("key", ["nobody", "nobody.reads"])
@pytest.mark.parametrize("verb", COMPOSED)
def test_a_key_of_no_meaning_is_refused_by_every_verb(verb: str, key: str) -> None:
    said = refused(verb, f"+{key}=1")
    assert "'nobody'" in said and f"{verb} reads" in said and said.count(",") < 20


@pytest.mark.parametrize("verb", COMPOSED)
def test_a_key_below_a_key_of_the_verb_is_refused(verb: str) -> None:
    plain: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{verb}.yaml"))
    for key, value in plain.items():
        if isinstance(value, dict) and key != "hydra":
            said = refused(verb, f"+{key}.nobody_reads=1")
            assert f"'{key}.nobody_reads'" in said and all(f"{key}.{name}" in said for name in value)


def test_the_nearest_key_is_named() -> None:
    assert "did you mean data.batch_size?" in refused("train", "+data.batchsize=3")
    assert "did you mean tolerance?" in refused("evaluate", "+tolerence=3")
    assert "did you mean encoder_weights?" in refused("train", "+model.encoder_wieghts=imagenet")


@pytest.mark.parametrize(("group", "choice"), [c for c in CHOICES if c[0] in NODES])
def test_a_key_that_no_object_takes_is_refused_for_every_choice(group: str, choice: str) -> None:
    place = "dataset.split" if group == "split" else group
    for key in (f"{place}.nobody_reads", f"{place}._nobody_reads"):
        if (group, choice) in TAKE_ANY and "._" not in key:
            continue
        assert key.rpartition(".")[2] in refused("train", f"{group}={choice}", f"+{key}=1")


@pytest.mark.parametrize("encoder", ["resnet18", "mit_b0", "mobilenet_v2", "tu-test_resnet"])
def test_no_encoder_takes_a_key_in_silence(encoder: str, composed: Callable[..., DictConfig]) -> None:
    typed = [f"model.encoder_name={encoder}", "+model.nobody_reads=1", "dataset=shapes"]
    with pytest.raises(UserError, match="nobody_reads"):
        check("train", *typed)
        build_network(RunConfig(composed(*typed)).model, 1, 3)  # timm's own encoders say it when they are built


def test_what_timm_encoders_take_is_handed_to_them(composed: Callable[..., DictConfig]) -> None:
    typed = ["model.encoder_name=tu-test_resnet", "+model.drop_block_rate=0.1", "dataset=shapes"]
    check("train", *typed)
    build_network(RunConfig(composed(*typed)).model, 1, 3)


@pytest.mark.parametrize(("group", "name"), [(group, name) for group, names in GIVEN.items() for name in names])
def test_what_segtrain_says_itself_is_not_said_again(group: str, name: str) -> None:
    said = refused("train", f"+{group}.{name}=1")
    assert f"{group}.{name}" in said and GIVEN[group][name] in said


OTHER = {  # values that are not neutral
    "max_time": "'00:00:01:00'",
    **dict.fromkeys(("fast_dev_run", "barebones"), "true"),
    **{"activation": "softmax2d", "aux_params": "{classes: 2}", "from_logits": "false"},
}


@pytest.mark.parametrize(("group", "name"), [(group, name) for group, names in CONTRARY.items() for name in names])
def test_what_contradicts_the_length_of_a_training_or_its_logits_is_refused(group: str, name: str) -> None:
    neutral, why = CONTRARY[group][name]
    typed = ["loss._target_=segmentation_models_pytorch.losses.DiceLoss", "~loss.smooth"] if group == "loss" else []
    typed += ["loss=dice", "+loss.mode=multiclass"] if group == "loss" else []
    for value in neutral:
        check("train", *typed, f"+{group}.{name}={'null' if value is None else value}")
    said = refused("train", *typed, f"+{group}.{name}={OTHER.get(name, '3')}")
    assert f"{group}.{name}" in said and why in said


@pytest.mark.parametrize(("group", "choice"), [c for c in CHOICES if c[0] == "model"])
def test_no_network_of_conf_squashes_its_logits(group: str, choice: str) -> None:
    assert f"{group}.activation" in refused("train", f"{group}={choice}", f"+{group}.activation=sigmoid")


class Own(torch.nn.Conv2d):
    """A network of the user's own, whose activation is within it."""

    def __init__(self, in_channels: int, classes: int, activation: str = "relu", **_: Any) -> None:
        super().__init__(in_channels, classes, 1)


def test_an_activation_of_the_users_own_network_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segtrain.config.trust._trusted", {"tests"})
    check("train", f"model._target_={__name__}.Own", "+model.activation=gelu")


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in OF_LOGGER.items() for name in names])
def test_a_logger_is_told_its_place_by_the_run_alone(kind: str, name: str) -> None:
    assert f"logger.{name}" in refused("train", f"logger={kind.removesuffix('Logger').lower()}", f"++logger.{name}=1")


def test_the_label_without_meaning_is_the_data_sets_in_transforms_too() -> None:
    assert "aug.transforms.0.ignore_index" in refused("train", "aug=flips", "+aug.transforms.0.ignore_index=0")
    assert "transforms[0].rotat'" in refused("check", "aug=flips", "+aug.transforms.0.rotat=3")


NAMED = {
    "by a key": ["+my_lr=0.1", "optimizer.lr=${my_lr}"],
    "by a part of it": ["+mine.lr=0.1", "optimizer.lr=${mine.lr}"],
    "beside plain keys": ["+data.lr=0.1", "optimizer.lr=${data.lr}"],
    "by a name that is put together": ["+rates.a=0.1", "+which=a", 'optimizer.lr="${rates.${which}}"'],
    "by one that is named itself": ["+a=0.1", "+b=${a}", "optimizer.lr=${b}"],
    "within a function": ["+degrees=3", "aug=geometric", 'aug.transforms.0.rotate="${amount:${degrees}}"'],
    "with a default of the same value": ["+my_lr=0.1", 'optimizer.lr="${oc.select:my_lr,0.1}"'],
    "below, with a default of the same value": ["+mine.lr=0.1", 'optimizer.lr="${oc.select:mine.lr,0.1}"'],
    "in an amount, with a default": [
        "+degrees=3",
        "aug=geometric",
        'aug.transforms.0.rotate="${amount:${oc.select:degrees,3}}"',
    ],
    "hidden from the object": ["+model._width=8", "model.decoder_channels=[${model._width},8,8,8,8]"],
}


@pytest.mark.parametrize("case", NAMED)
def test_a_key_that_another_names_is_read(case: str) -> None:
    check("train", *NAMED[case])
    first = NAMED[case][0].partition("=")[0].lstrip("+").partition(".")[0]
    if first not in ("data", "model"):
        assert f"'{first}'" in refused("train", NAMED[case][0])


def test_a_key_that_is_named_by_one_that_nobody_reads_is_no_better() -> None:
    assert "'b'" in refused("train", "+a=0.1", "+b=${a}")


def test_shipped_choices_are_known_without_importing_what_they_name() -> None:
    code = (
        "import sys; from segtrain.config.composition import composed\n"
        "from segtrain.config.known_keys import require_known\n"
        "config = composed('train', ['aug=medical_elastic', 'aug.strength=2', 'optimizer.lr=1'])\n"
        "require_known(config, 'train', dict(config.choices), ['aug', 'model', 'optimizer', 'trainer', 'data'])\n"
        "assert not {'torch', 'lightning', 'albumentations', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_of_classes_are_not_keys() -> None:
    check("train", "dataset=folder", "dataset.root=x", "dataset.classes={_target: 1, _other: 2}")


def own(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / "my_conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "my_conf" / name).write_text(text)


def test_files_of_the_users_own(segtrain: CommandLine) -> None:
    own(
        segtrain.folder,
        {
            "rates/low.yaml": "lr: 0.0001\n",
            "experiment/mine.yaml": "# @package _global_\nmy_lr: 0.001\noptimizer: {lr: '${my_lr}'}\n",
            "experiment/lost.yaml": "# @package _global_\nmy_rl: 0.001\n",
            "model/wrong.yaml": "defaults: [unet_resnet18]\nencoder_wieghts: null\n",
        },
    )
    mine = ["--config-dir", "my_conf", *QUICK]
    for typed, said in {
        ("+rates=low",): "'rates'",
        ("experiment=lost",): "'my_rl'",
        ("model=wrong",): "encoder_wieghts",
    }.items():
        assert segtrain(*mine, *typed) == 2, typed
        assert said in segtrain.err and not (segtrain.folder / "outputs").exists()
    assert segtrain(*mine, "experiment=mine", "+rates=low", "optimizer.weight_decay=${rates.lr}") == 0, segtrain.err


def test_a_choice_of_the_users_own_is_found_when_a_run_goes_on(segtrain: CommandLine) -> None:
    own(segtrain.folder, {"aug/mine.yaml": "defaults: [flips]\n"})
    run = train(segtrain.folder, *QUICK)
    allowed = "resume_allow=[aug,choices.aug]"
    command = ["--config-dir", "my_conf", f"resume={run}", "aug=mine", "trainer.max_epochs=2", allowed]
    assert segtrain(*command) == 0, segtrain.err
    assert OmegaConf.load(run / "config.yaml").choices.aug == "mine"


@pytest.mark.parametrize("verb", COMPOSED)
def test_the_command_line_ends_with_one_message(verb: str, segtrain: CommandLine) -> None:
    config = OmegaConf.load(conf_dir() / f"{verb}.yaml")
    typed = [typed for key, typed in NEEDED.items() if key in config]
    assert segtrain(verb, *typed, "+nobody_reads=1") == 2
    assert segtrain.err.startswith("error: nothing reads the key 'nobody_reads'") and "Traceback" not in segtrain.err
    assert segtrain(verb, *typed, "nobody_reads=1") == 2
    assert f"segtrain {'' if verb == 'train' else f'{verb} '}--cfg job" in segtrain.err
    assert not list(segtrain.folder.iterdir())


def test_the_next_command_names_the_key_as_it_was_typed(segtrain: CommandLine) -> None:
    assert segtrain(*QUICK, "+my_lr=1e-3", "optimizer.lr=${my_lr}") == 0, segtrain.err
    (following,) = (line for line in segtrain.out.splitlines() if line.strip().startswith("python -m segtrain -m"))
    assert "+my_lr=1e-3" in following and "'optimizer.lr=${my_lr}'" in following


def test_a_key_with_a_default_is_swept(segtrain: CommandLine) -> None:
    text = "# @package _global_\noptimizer: {lr: '${oc.select:my_lr,1e-3}'}\n"
    own(segtrain.folder, {"experiment/mine.yaml": text})
    typed = ["--config-dir", "my_conf", "experiment=mine", *QUICK, "name=rates"]
    assert segtrain("-m", *typed, "+my_lr=1e-3,2e-3") == 0, segtrain.err
    configs = [OmegaConf.load(path) for path in segtrain.folder.glob("outputs/rates/*/config.yaml")]
    assert sorted(config.optimizer.lr for config in configs) == [0.001, 0.002]


def test_a_sweep_is_refused_before_its_first_job(segtrain: CommandLine) -> None:
    assert segtrain("-m", *QUICK, "seed=0,1", "+loss.ignore_index=0") == 2
    assert "loss.ignore_index" in segtrain.err and not (segtrain.folder / "outputs").exists()


def test_new_refuses_what_its_check_would_not_read(segtrain: CommandLine) -> None:
    from tests.test_main import folder_data

    folder_data(segtrain.folder / "data")
    for key in ("nobody_reads", "+data.batch_size", "optimizer.lr"):
        assert segtrain("new", "cells", "data", f"{key}=1") == 2
        assert f"'{key.lstrip('+')}'" in segtrain.err and not (segtrain.folder / "my_conf").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose config.yaml has a key that nothing reads, as older versions let it."""
    run = train(tmp_path_factory.mktemp("trained"), *QUICK)
    config = OmegaConf.load(run / "config.yaml")
    config.nobody_reads = 1
    config.data.nobody_reads = 1
    (run / "config.yaml").write_text(OmegaConf.to_yaml(config))
    return run


def test_what_is_typed_of_a_run_is_read_too(trained: Path, segtrain: CommandLine) -> None:
    before = (trained / "config.yaml").read_bytes()
    resume, evaluate = [f"resume={trained}", "trainer.max_epochs=2"], ["evaluate", f"run={trained}"]
    for command, key in [
        (resume, "+nobody"),
        (resume, "+data.nobody"),
        (resume, "+loss.ignore_index"),
        (evaluate, "+data.nobody"),
        (evaluate, "+dataset.nobody"),
        ([*evaluate, "dataset=shapes"], "+dataset.nobody"),
    ]:
        assert segtrain(*command, f"{key}=1", "debug=false") == 2, (command, key)
        assert key.rpartition(".")[2].lstrip("+") in segtrain.err, segtrain.err
    assert (trained / "config.yaml").read_bytes() == before


def test_an_older_runs_own_keys_do_not_stop_it(trained: Path, segtrain: CommandLine) -> None:
    assert segtrain("evaluate", f"run={trained}", "bootstrap=0", "surface=false") == 0, segtrain.err
    assert segtrain(f"resume={trained}", "trainer.max_epochs=2") == 0, segtrain.err


def test_data_of_a_single_class_are_nothing_to_learn(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(UserError, match="the data have 1 class"):
        build_network(RunConfig(composed("model.encoder_name=tu-test_resnet")).model, 1, 1)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_network_is_the_datas(classes: int, composed: Callable[..., DictConfig]) -> None:
    for typed in range(1, 5):
        config = composed("model.encoder_name=tu-test_resnet", f"+model.classes={typed}")
        if typed == classes or (typed, classes) == (1, 2):  # one logit for two classes
            assert build_network(RunConfig(config).model, 1, classes)(torch.zeros(1, 1, 64, 64)).shape[1] == typed
        else:
            with pytest.raises(UserError, match=f"model.classes is {typed}, and the data have {classes}.*trained anew"):
                build_network(RunConfig(config).model, 1, classes)
        channels = composed("model.encoder_name=tu-test_resnet", f"+model.in_channels={typed}")
        if typed == classes:
            build_network(RunConfig(channels).model, typed, 3)
        else:
            with pytest.raises(UserError, match=f"model.in_channels is {typed}, and the data have {classes}"):
                build_network(RunConfig(channels).model, classes, 3)


class Stubborn(torch.nn.Conv2d):
    """A network of the user's own that does not heed the data."""

    def __init__(self, in_channels: int, classes: int, own_channels: int = 1, own_classes: int = 3) -> None:
        super().__init__(own_channels, own_classes, 1)


@pytest.mark.parametrize(
    ("key", "said"), [("own_classes", "4 logits a pixel"), ("own_channels", "takes images of 4 channels")]
)
def test_a_network_of_the_users_own_is_held_against_the_data(key: str, said: str, segtrain: CommandLine) -> None:
    own(segtrain.folder, {"model/stubborn.yaml": f"_target_: {__name__}.Stubborn\nown_classes: 3\nown_channels: 1\n"})
    typed = [option for option in QUICK if "model" not in option]
    command = ["--config-dir", "my_conf", *typed, "model=stubborn", "trust=[tests]"]
    assert segtrain(*command) == 0, segtrain.err
    assert segtrain(*command, f"model.{key}=4") == 2 and said in segtrain.err, segtrain.err
