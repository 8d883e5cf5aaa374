"""No network, trainer or logger of a config reaches outside, by any of its arguments."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from segtrain.app.train.logbook import require_places
from segtrain.config import trust
from segtrain.config.objects import build
from segtrain.config.run_config import Node, RunConfig
from segtrain.config.trust import require_allowed
from segtrain.errors import UserError
from segtrain.runs.folder import RunFolder

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
def no_trust(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_trainer_sends_nothing_away_and_waits_for_nobody() -> None:
    with pytest.raises(UserError, match="model_registry is"):
        require_allowed({"_target_": "lightning.Trainer", "model_registry": "evil/net"}, "trainer/mine.yaml")
    with pytest.raises(UserError, match="num_nodes is"):
        require_allowed({"_target_": "lightning.Trainer", "num_nodes": 2}, "trainer/mine.yaml")
    require_allowed(
        {"_target_": "lightning.Trainer", "num_nodes": 1, "profiler": "simple", "max_epochs": 3}, "trainer/mine.yaml"
    )
