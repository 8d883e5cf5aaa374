"""A config is data: whatever its `_target_` names, nothing runs but what the role asks for."""

import json
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from segtrain.app.train.logbook import require_places
from segtrain.config import trust
from segtrain.config.composition import composed
from segtrain.config.objects import build
from segtrain.config.run_config import Node, RunConfig
from segtrain.config.trust import require_allowed
from segtrain.errors import UserError
from segtrain.runs.folder import RunFolder
from tests.conftest import SMALL, CommandLine

# Everything here would do something if it were called, or leads to what would.
DANGEROUS = [
    "builtins.open",
    "os.system",
    "posix.system",
    "subprocess.run",
    "torch.load",
    "torch.hub.load",
    "torch.utils.cpp_extension.load_inline",
    "functools.partial",
    "pathlib.Path.unlink",
    "shutil.rmtree",
    "hydra.utils.instantiate",
    "urllib.request.urlretrieve",
    "segtrain.config.objects.Path.unlink",  # by way of a package that is allowed
    "segtrain.aug.audit.audit.time.sleep",
    "segtrain.data.datasets.folder.Path",
    "segtrain.model.losses.torch.load",
    "torch.nn.modules.module.functools.partial",
    "torch.optim.optimizer.functools.partial",
    "albumentations.core.serialization.load",
    "albumentations.core.composition.random.Random",
    "lightning.pytorch.loggers.tensorboard.os.system",
    "segmentation_models_pytorch.from_pretrained",
    "timm.models.load_checkpoint",
]


ROLES = sorted(trust.ROLES)


@pytest.fixture(autouse=True)
def no_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_trusted", set())


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("target", DANGEROUS)
def test_nothing_dangerous_is_called(target: str, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sure = trust.ROLES[role].itself[0]
    node = {"_target_": target, "_args_": ["made.txt", "w"]}
    for config in (node, {"_target_": sure, "_args_": [[{"deeper": [node]}]]}, {**node, "_partial_": True}):
        with pytest.raises(UserError, match="_target_ is"):
            build(Node(config, f"{role}/mine.yaml"))
    interpolated = OmegaConf.create({"name": target, "node": {"_target_": "${name}", "_args_": ["made.txt", "w"]}})
    with pytest.raises(UserError):
        build(Node(OmegaConf.to_container(interpolated.node, resolve=True), f"{role}/mine.yaml"))
    assert list(tmp_path.iterdir()) == []


def test_a_refused_name_is_not_even_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stranger.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"trust=\[stranger\]"):
        build(Node({"_target_": "stranger.Net"}, "model/mine.yaml"))
    assert "stranger" not in sys.modules


def test_an_alias_in_an_allowed_package_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    alias = ModuleType("segtrain.model.alias")
    alias.run = os.system  # type: ignore[attr-defined]
    alias.Opened = type("Opened", (), {"__module__": "segtrain.model.alias"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "segtrain.model.alias", alias)
    for name in ("run", "Opened"):  # not at home there; at home, but no network
        with pytest.raises(UserError, match="nothing else is called"):
            build(Node({"_target_": f"segtrain.model.alias.{name}"}, "model/mine.yaml"))


def test_a_role_takes_only_its_own() -> None:
    with pytest.raises(UserError, match="nothing else is called"):
        build(Node({"_target_": "torch.nn.Linear", "in_features": 1}, "optimizer/mine.yaml"))


def own_package(folder: Path) -> None:
    """A package of the user's own, with a network and a policy of a run's config."""
    (folder / "own_package.py").write_text(
        "import torch\n\ndef net(in_channels, classes):\n    return torch.nn.Conv2d(in_channels, classes, 1)\n"
    )


def test_trust_is_given_on_the_command_line_only_and_again_at_resume(
    segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_package(segtrain.folder)
    monkeypatch.syspath_prepend(segtrain.folder)
    small = [o for o in SMALL if "model." not in o]
    own = segtrain.folder / "my_conf" / "model"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("_target_: own_package.net\n")
    command = ["--config-dir", "my_conf", "model=mine", *small]
    assert segtrain(*command) == 2 and "trust=[own_package]" in segtrain.err
    assert segtrain(*command, "trust=[own_package]") == 0, segtrain.err
    (run,) = (segtrain.folder / "outputs" / "shapes").glob("*/results.json")
    longer = [f"resume={run.parent}", "trainer.max_epochs=3"]
    assert segtrain(*longer) == 2 and "trust=[own_package]" in segtrain.err  # its config.yaml does not count
    assert segtrain(*longer, "trust=[own_package]") == 0, segtrain.err

    experiment = segtrain.folder / "my_conf" / "experiment"
    experiment.mkdir()
    hidden = "hydra: {overrides: {task: ['trust=[os]']}}\n"  # among what Hydra says was typed
    axis = segtrain.folder / "my_conf" / "sweep"
    axis.mkdir()
    (axis / "theirs.yaml").write_text('# @package hydra.sweeper.params\ntrust: "[os]"\nseed: 0,1\n')
    for more in ("", hidden):
        (experiment / "theirs.yaml").write_text("# @package _global_\ntrust: [os]\n" + more)
        for chosen in (["experiment=theirs"], ["experiment=theirs", "-m", "seed=0,1"], ["sweep=theirs"]):
            assert segtrain("--config-dir", "my_conf", *chosen, *small) == 2, chosen
            assert "trust stands in a config file" in segtrain.err or "hydra" in segtrain.err, segtrain.err


def test_a_tampered_run_runs_nothing(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(segtrain.folder)
    assert segtrain(*SMALL) == 0, segtrain.err
    (results,) = (segtrain.folder / "outputs" / "shapes").glob("*/results.json")
    path = results.parent / "config.yaml"
    made = segtrain.folder / "made"
    saved = path.read_text()
    for key, node in {
        "model": {"_target_": "os.mkdir", "_args_": [str(made)]},
        "loss": {"_target_": "pathlib.Path.touch", "_args_": [str(made)]},
        "hydra": {"launcher": {"_target_": "os.mkdir", "_args_": [str(made)]}, "output_subdir": str(made)},
    }.items():
        config = OmegaConf.create(saved)
        config[key] = node
        config.trust = ["os", "posix", "pathlib"]
        path.write_text(OmegaConf.to_yaml(config))
        segtrain(f"resume={results.parent}", "trainer.max_epochs=3")
        assert not made.exists(), key
    (segtrain.folder / "evil_beside.py").write_text(CANARY)
    need = {"_target_": "segtrain.data.files.extras.need", "module": "evil_beside", "extra": "x"}
    for key, node in {
        "dataset": {**need, "split": {}},
        "model.checkpoint_path": "evil.pth",
        "model.act_layer": need,
    }.items():
        config = OmegaConf.create(saved)
        OmegaConf.update(config, key, node, merge=False, force_add=True)
        path.write_text(OmegaConf.to_yaml(config))
        commands = [["evaluate"], *([["predict", f"input={path.parent}"], ["export"]] if key != "dataset" else [])]
        for command in commands:
            assert segtrain(*command, f"run={path.parent}", "outputs=other") == 2, (key, command)
            assert "a config may come from anyone" in segtrain.err, segtrain.err
        assert "evil_beside" not in sys.modules and not (segtrain.folder / "ran").exists()
    path.write_text(saved + "\nevil: !!python/object/apply:os.mkdir ['" + str(made) + "']\n")
    assert segtrain(f"resume={results.parent}", "trainer.max_epochs=3") == 2
    assert "config.yaml' is damaged" in segtrain.err and not made.exists()


# What a module of the stranger's, beside the run folder, is imported by, were it to be: a node, and where it stands.
EVIL = "outputs.h.run.evil"


CANARY = "import os\nopen(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'ran'), 'w').close()\n"


CASES: dict[str, tuple[str, Any]] = {
    "a function of ours": (
        "dataset",
        {"_target_": "segtrain.data.files.extras.need", "module": EVIL, "extra": "x"},
    ),
    "in classes": (
        "dataset.classes",
        {"a": {"_target_": "segtrain.data.files.extras.need", "module": EVIL, "extra": "x"}},
    ),
    "under an empty key": ("dataset", {"": {"_target_": "segtrain.data.datasets.Shapes"}}),
    "in the split": ("dataset.split.group", {"_target_": "segtrain.data.files.extras.need", "module": EVIL}),
    "as the split": ("dataset.split", {"_target_": "segtrain.data.split.parts.sides", "_args_": [[], []]}),
    "a writer of ours": (
        "dataset",
        {
            "_target_": "segtrain.data.datasets.streamed.write_stream",
            "dataset": {"_target_": "segtrain.data.datasets.Shapes", "n": 3},
            "folder": "ran",
            "compress": False,
        },
    ),
    "the module itself": ("dataset", {"_target_": f"{EVIL}.Net"}),
    "below a name of ours": ("dataset", {"_target_": "segtrain.data.datasets.folder.Path.touch", "_args_": ["ran"]}),
}


OF_TRAINING: dict[str, tuple[str, Any]] = {
    "a command line": (
        "trainer.profiler",
        {"_target_": "lightning.pytorch.cli.LightningCLI", "model_class": f"{EVIL}.Net"},
    ),
    "a profiler that writes": (
        "trainer.profiler",
        {"_target_": "lightning.pytorch.profilers.SimpleProfiler", "dirpath": "ran", "filename": "x"},
    ),
    "another logger": ("logger", {"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": "ran"}),
    "a checkpoint": ("model.checkpoint_path", "outputs/h/run/evil.pth"),
    "a folder as a network": ("model.encoder_name", "tu-local-dir:outputs/h/run"),
    "a loader": ("model", {"_target_": "segmentation_models_pytorch.from_pretrained", "_args_": ["outputs/h/run"]}),
    "a transform that reads": (
        "aug.transforms",
        [{"_target_": "albumentations.FDA", "reference_images": ["x.png"], "read_fn": {"_target_": f"{EVIL}.read"}}],
    ),
    "an optimizer's argument": ("optimizer.eps", {"_target_": "segtrain.data.files.extras.need", "module": EVIL}),
}


# The others of their kind are looked at once a night: each command takes some tenths of a second.
QUICK = ("a function of ours", "in classes", "a writer of ours", "a command line", "a checkpoint")


EACH = [pytest.param(case, marks=[] if case in QUICK else pytest.mark.slow) for case in (*CASES, *OF_TRAINING)]


@cache
def config_of_a_run() -> str:
    plain: Any = OmegaConf.to_container(composed("train", SMALL), resolve=False)
    plain["data"]["num_workers"] = 0
    plain["trainer"]["precision"] = "32-true"
    return OmegaConf.to_yaml({**plain, "name": "h", "threads": 1})


def strangers_run(folder: Path, key: str, value: Any) -> Path:
    """A run folder as it may come, below the current folder, with code beside it."""
    run = folder / "outputs" / "h" / "run"
    run.mkdir(parents=True)
    config: Any = OmegaConf.create(config_of_a_run())
    OmegaConf.update(config, key, value, merge=False, force_add=True)
    if key == "dataset":
        config.dataset.split = {"_target_": "segtrain.data.split.Ratios", "val": 0.2, "test": 0.2}
    (run / "config.yaml").write_text(OmegaConf.to_yaml(config))
    (run / "overrides.yaml").write_text("[]\n")
    known = dict.fromkeys(("queued_at", "started_at", "ended_at", "pid", "host", "error"))
    (run / "status.json").write_text(json.dumps({"state": "interrupted", **known}))
    (run / "evil.py").write_text(CANARY)
    return run


@pytest.mark.parametrize("case", EACH)
def test_a_strangers_run_runs_nothing(case: str, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is taken up for: one message, status 2, and no trace."""
    key, value = (CASES | OF_TRAINING)[case]
    run = strangers_run(segtrain.folder, key, value)
    monkeypatch.syspath_prepend(segtrain.folder)
    there = sorted(segtrain.folder.rglob("*"))
    of_data = [["preview", f"replay={run}", "sample=0"]] if key in ("dataset", "dataset.classes") else []
    if case == "a function of ours":
        of_data += [["evaluate", f"run={run}"], ["predict", f"run={run}", f"input={run}"], ["export", f"run={run}"]]
    for command in [[f"resume={run}"], *of_data]:
        assert segtrain(*command) == 2, (command, segtrain.err)
        assert segtrain.err.startswith("error: ") and segtrain.err.count("\n") < 4 and "Traceback" not in segtrain.err
        assert sorted(segtrain.folder.rglob("*")) == there, command
        if command[0] in ("preview", f"resume={run}"):
            assert "a config may come from anyone" in segtrain.err, segtrain.err
    assert "outputs.h.run.evil" not in sys.modules


@pytest.mark.parametrize("case", EACH)
def test_a_strangers_choice_runs_nothing(case: str, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in a folder of configs."""
    key, value = (CASES | OF_TRAINING)[case]
    (segtrain.folder / "outputs" / "h" / "run").mkdir(parents=True)
    (segtrain.folder / "outputs" / "h" / "run" / "evil.py").write_text(CANARY)
    monkeypatch.syspath_prepend(segtrain.folder)
    group = "split" if key.startswith("dataset.split") else key.partition(".")[0]
    below = key.partition("dataset.split")[2].lstrip(".") if group == "split" else key.partition(".")[2]
    base = {"dataset": "shapes", "split": "ratios", "model": "unet_resnet18", "trainer": "cpu", "aug": "none"}
    node: Any = OmegaConf.create(value if not below else {})
    if below:
        OmegaConf.update(node, below, value, force_add=True)
    elif group == "dataset" and "_target_" in value:
        base.pop("dataset")
    defaults = f"defaults: [{base.get(group, 'adamw')}, _self_]\n" if below or "" in value else ""
    file = segtrain.folder / "my_conf" / group / "evil.yaml"
    file.parent.mkdir(parents=True)
    head = "# @package dataset.split\n" if group == "split" else ""
    file.write_text(head + defaults + OmegaConf.to_yaml(node))
    there = sorted(segtrain.folder.rglob("*"))
    typed = [o for o in SMALL if not o.startswith(("dataset", "model", "+model", f"{group}="))]
    assert segtrain("--config-dir", "my_conf", f"{group}=evil", *typed) == 2, segtrain.out
    assert segtrain.err.startswith("error: ") and "a config may come from anyone" in segtrain.err, segtrain.err
    assert sorted(segtrain.folder.rglob("*")) == there and "outputs.h.run.evil" not in sys.modules


@pytest.mark.parametrize(
    "typed",
    [["--experimental-rerun", "config.pickle"], ["--experimental-rerun=config.pickle"], ["--exp=config.pickle"]],
)
def test_a_pickle_is_not_rerun(segtrain: CommandLine, typed: list[str]) -> None:
    (segtrain.folder / "config.pickle").write_bytes(b"cos\nmkdir\n(S'made'\ntR.")
    assert segtrain(*typed) == 2
    assert "unpickles" in segtrain.err and not (segtrain.folder / "made").exists()


UNET = {"_target_": "segmentation_models_pytorch.Unet", "encoder_name": "tu-resnet18", "encoder_weights": None}


OUTSIDE: list[dict[str, Any]] = [
    {"checkpoint_path": "evil.pth"},
    {"checkpoint_path": {"file": "evil"}},
    {"pretrained": True},
    {"pretrained_cfg": "evil"},
    {"pretrained_cfg": {"file": "evil.pth"}},
    {"pretrained_cfg_overlay": {"file": "evil.pth"}},
    {"cache_dir": "evil"},
    {"hf_hub_id": "evil"},
    {"weights_file": "evil"},
    {"anything": {"deep": [{"url": "evil"}]}},
    {"anything": "a/b"},
    {"anything": ["x", "http://evil"]},
    *({"encoder_name": name} for name in ("tu-hf-hub:evil/net", "tu-hf_hub:evil", "tu-local-dir:evil", "tu-evil/net")),
    *({"encoder_name": name} for name in ("timm-regnet/../evil", "tu-hf-hub:evil/net@main", "a\\b", "tu-\nx")),
    {"encoder_weights": "../evil.pth"},
    {"_args_": ["hf-hub:evil/net"]},
]


INSIDE: list[dict[str, Any]] = [
    {"drop_path_rate": 0.1},
    {"use_checkpoint": True},
    {"pretrained": False},
    {"checkpoint_path": None, "pretrained_cfg": None},
    {"checkpoint_path": ""},
    {"encoder_weights": "imagenet"},
    {"encoder_name": "tu-convnext_tiny.dinov3_lvd1689m"},
    {"encoder_name": "timm-efficientnet-b0", "encoder_weights": "noisy-student"},
    {"decoder_use_norm": {"type": "groupnorm", "num_groups": 4}},
    {"norm_layer": {"_target_": "torch.nn.LayerNorm", "_partial_": True, "eps": 1e-6}},
]


@pytest.fixture(autouse=True)
def nothing_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_trusted", set())


@pytest.mark.parametrize("more", OUTSIDE, ids=str)
def test_a_network_is_read_from_nowhere(more: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"trust=\[segmentation_models_pytorch\]"):
        build(Node({**UNET, **more}, "model/mine.yaml"), in_channels=1, classes=2)
    trust.trust(["segmentation_models_pytorch"])
    require_allowed({**UNET, **more}, "model/mine.yaml")  # meant, and said so


@pytest.mark.parametrize("more", INSIDE, ids=str)
def test_what_says_how_a_network_is_made_may_be_said(more: dict[str, Any]) -> None:
    require_allowed({**UNET, **more}, "model/mine.yaml")


def test_what_the_encoder_takes_reaches_it() -> None:
    node = {**UNET, "encoder_name": "tu-test_resnet", "decoder_channels": [8] * 5, "drop_path_rate": 0.5}
    network = build(Node(node, "model/mine.yaml"), in_channels=1, classes=2)
    assert any(type(module).__name__ == "DropPath" for module in network.modules())


TENSORBOARD = "lightning.pytorch.loggers.TensorBoardLogger"


WANDB = "lightning.pytorch.loggers.WandbLogger"


MLFLOW = "lightning.pytorch.loggers.MLFlowLogger"


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        *[
            (TENSORBOARD, key, value)
            for key in ("name", "version", "sub_dir", "filename_suffix")
            for value in ("../x", "/tmp/x", "a/../../x", "~/x", "$HOME", "s3://bucket", "a::file:///x", ["x"], "..")
        ],
        (TENSORBOARD, "log_dir", "/tmp/x"),
        (TENSORBOARD, "write_to_disk", False),
        (WANDB, "dir", "/tmp/x"),
        (WANDB, "config", "secrets.yaml"),
        (WANDB, "save_code", True),
        (WANDB, "settings", {"base_url": "http://evil"}),
        (WANDB, "sync_tensorboard", True),
        (MLFLOW, "nobody_knows", "x"),
    ],
)
def test_a_logger_writes_in_the_runs_folder_alone(kind: str, key: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"{key} is "):
        require_allowed({"_target_": kind, key: value}, "logger/mine.yaml")


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": TENSORBOARD, "name": "tensorboard", "version": ""},
        {"_target_": TENSORBOARD, "name": "a b/c=1,d", "version": 3, "default_hp_metric": False},
        {"_target_": WANDB, "project": "cells", "offline": True, "tags": ["a/b"], "notes": "see http://x", "dir": None},
        {
            "_target_": MLFLOW,
            "experiment_name": "cells/liver",
            "tracking_uri": "http://server:5000",
            "tags": {"a": "b"},
        },
    ],
    ids=str,
)
def test_what_a_logger_is_called_may_be_said(node: dict[str, Any]) -> None:
    require_allowed(node, "logger/mine.yaml")


NEAR = [
    "sqlite:///outputs/mlflow.db",
    "file:mlruns",
    "mlruns",
    "http://server",
    "https://server:5000/a?b",
    "outputs/x.db",
]


FAR = [
    *("sqlite:////etc/x.db", "sqlite:///../x.db", "file:///etc", "file:../x", "/etc", "../x", "file://server/x"),
    *("postgresql://server/db", "mysql+pymysql://server/db", "s3://bucket", "databricks", "uc:x", "ftp://server"),
    *(
        "sqlite:///file:/etc/x.db?uri=true",
        "sqlite:///a%2F..%2F..%2Fx.db",
        "file:a/%2e%2e/%2e%2e/x",
        "sqlite+x:///a.db",
    ),
]


def logger_of(**values: Any) -> Any:
    node = {"_target_": MLFLOW, "experiment_name": "x", **values}
    return OmegaConf.create({"choices": {"logger": "mine"}, "logger": node})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunFolder]:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield RunFolder(tmp_path / "runs" / "name" / "run")


@pytest.mark.parametrize("key", ["tracking_uri", "artifact_location", "save_dir"])
def test_a_database_lies_near_or_beside_the_runs(key: str, run: RunFolder) -> None:
    runs = run.path.parent.parent
    for value in [*NEAR, f"sqlite:///{runs}/mlflow.db", None, ""]:
        require_places(RunConfig(logger_of(**{key: value})), run)
    beside = [f"file://{runs}/x.db", f"{runs}/mlruns", f"sqlite:///{runs}/a/x.db", f"sqlite:///{runs}/.bashrc"]
    for value in [*FAR, *beside, f"{runs.parent}/x"]:
        with pytest.raises(UserError, match=f"{key} is "):
            require_places(RunConfig(logger_of(**{key: value})), run)


def test_a_link_leads_to_where_it_leads(run: RunFolder) -> None:
    """An `outputs` that is a link is ordinary; another link is no way out."""
    runs = run.path.parent.parent
    runs.mkdir()
    Path("outputs").symlink_to(runs)
    Path("elsewhere").symlink_to(runs.parent)
    require_places(RunConfig(logger_of(tracking_uri="sqlite:///outputs/mlflow.db")), RunFolder("outputs/name/run"))
    with pytest.raises(UserError, match="tracking_uri is"):
        require_places(RunConfig(logger_of(tracking_uri="sqlite:///elsewhere/mlflow.db")), run)
    run.path.mkdir(parents=True)
    board = OmegaConf.create({"choices": {"logger": "x"}, "logger": {"_target_": TENSORBOARD, "name": "tensorboard"}})
    require_places(RunConfig(board), run)
    (run.path / "tensorboard").symlink_to(Path.cwd())
    with pytest.raises(UserError, match="leads out of the run's folder"):
        require_places(RunConfig(board), run)


@given(st.text(alphabet="ab/.:~$%\\@ \n", min_size=1, max_size=12))
def test_no_text_with_a_way_out_names_a_network(text: str) -> None:
    """Whatever is spelt: a name that passes has no part that a file system, timm or a hub takes for a place."""
    try:
        require_allowed({**UNET, "encoder_name": text}, "model/mine.yaml")
    except UserError:
        return
    assert not set("/:~$%\\@\n") & set(text)


def test_a_trainer_sends_nothing_away() -> None:
    with pytest.raises(UserError, match="model_registry is"):
        require_allowed({"_target_": "lightning.Trainer", "model_registry": "evil/net"}, "trainer/mine.yaml")
    require_allowed(
        {"_target_": "lightning.Trainer", "num_nodes": 1, "profiler": "simple", "max_epochs": 3}, "trainer/mine.yaml"
    )
