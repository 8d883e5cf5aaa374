"""What the list of what may be built promises, over every name of our package and of those that it names classes of."""

import functools
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from segtrain.config import allowed, trust
from segtrain.config.composition import conf_dir
from segtrain.config.objects import build, target_of
from segtrain.config.run_config import Node, RunConfig
from segtrain.errors import UserError

PLACES = {**allowed.ROLES, "split": allowed.SPLIT}
LISTED = [
    (role, key, name)
    for role, of in PLACES.items()
    for key, names in (("", of.itself), ("below", of.below))
    for name in names
]
# A dotted name that each class has had, and that a config of a user may still have.
OLDER = {
    "segtrain.data.datasets.folder.Folder": "dataset",
    "segtrain.data.datasets.csv_manifest.Csv": "dataset",
    "segtrain.data.datasets.streamed.Streamed": "dataset",
    "segtrain.data.split.ratios.Ratios": "split",
    "segtrain.aug.policy.Policy": "aug",
    "segtrain.aug.mix.CutMix": "aug",
    "albumentations.augmentations.geometric.rotate.Rotate": "aug",
    "albumentations.core.composition.OneOf": "aug",
    "torchvision.transforms.v2._geometry.RandomHorizontalFlip": "aug",
    "segmentation_models_pytorch.decoders.unet.model.Unet": "model",
    "segmentation_models_pytorch.decoders.unet.Unet": "model",
    "torch.nn.modules.normalization.LayerNorm": "model",
    "segmentation_models_pytorch.losses.dice.DiceLoss": "loss",
    "torch.nn.modules.loss.CrossEntropyLoss": "loss",
    "torch.optim.adamw.AdamW": "optimizer",
    "torch.optim.sgd.SGD": "optimizer",
    "timm.optim.lion.Lion": "optimizer",
    "lightning.pytorch.Trainer": "trainer",
    "lightning.pytorch.trainer.trainer.Trainer": "trainer",
    "lightning.pytorch.loggers.tensorboard.TensorBoardLogger": "logger",
}
# What a class that may be built is derived from, by its role and place; of the others the list is all that is asked.
BASES = {
    ("model", ""): "torch.nn.Module",
    ("model", "below"): "torch.nn.Module",
    ("loss", ""): "torch.nn.Module",
    ("optimizer", ""): "torch.optim.Optimizer",
    ("trainer", ""): "lightning.Trainer",
    ("logger", ""): "lightning.fabric.loggers.logger.Logger",
}


@pytest.fixture(autouse=True)
def no_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_trusted", set())


def where(role: str) -> str:
    return "dataset/mine.yaml with split=mine" if role == "split" else f"{role}/mine.yaml"


def shipped() -> Iterator[tuple[str, str, str]]:
    """Role, place and name of each `_target_` in conf/."""
    for role in PLACES:
        for path in sorted((conf_dir() / role).glob("*.yaml")):
            for key, target in trust.targets(yaml.safe_load(path.read_text(encoding="utf-8"))):
                yield role, key, target


def test_what_conf_names_is_listed() -> None:
    found = list(shipped())
    assert len(found) > 50
    for role, key, target in found:
        assert target in (PLACES[role].below if key else PLACES[role].itself)


@pytest.mark.parametrize("place", sorted({(role, key) for role, key, _ in LISTED}))
def test_what_is_listed_exists_and_is_what_its_role_needs(place: tuple[str, str]) -> None:
    """Each by its own name, once: no two of a place are told apart by what stands between first and last part."""
    importlib.import_module("segtrain.aug")
    names = [name for role, key, name in LISTED if (role, key) == place]
    assert len({(name.partition(".")[0], name.rpartition(".")[2]) for name in names}) == len(names)
    module, _, base = BASES.get(place, "builtins.object").rpartition(".")
    for name in names:
        found = target_of(name, where(place[0]), place[1])
        if inspect.isfunction(found):  # ours alone
            assert found.__module__ in ("segtrain.model.schedulers", "segtrain.aug.random_policy")
        else:
            assert inspect.isclass(found) and issubclass(found, getattr(importlib.import_module(module), base)), name


@pytest.mark.parametrize(("target", "role"), OLDER.items())
def test_the_same_class_by_another_name(target: str, role: str) -> None:
    importlib.import_module("segtrain.aug")
    key = "" if target.rpartition(".")[2] in {name.rpartition(".")[2] for name in PLACES[role].itself} else "below"
    found = target_of(target, where(role), key)
    first, last = target.partition(".")[0], target.rpartition(".")[2]
    names = PLACES[role].below if key else PLACES[role].itself
    (name,) = [one for one in names if one.startswith(f"{first}.") and one.endswith(f".{last}")]
    assert name != target and found is target_of(name, where(role), key)


def test_nothing_that_reads_or_calls_what_it_is_given_is_listed() -> None:
    """No argument of a listed class is a file or a function, by its name or annotation, but those looked at here."""
    harmless = {
        *("transforms", "activation", "labels_getter"),  # built from the list; one of a few words; a key
        *("noise_params", "mask_params", "bbox_params", "keypoint_params", "metadata_key"),  # mappings of numbers
        "area_for_downscale",
    }
    data = ("dataset", "split", "logger", "trainer")  # data lie where they are said to; the others are asked elsewhere
    words = ("Callable", "Path", "path", "file", "read_fn", "url", "cache", "checkpoint")
    for role, key, name in LISTED:
        for one in inspect.signature(target_of(name, where(role), key)).parameters.values() if role not in data else ():
            if one.name not in harmless and one.kind is not one.VAR_KEYWORD and name.rpartition(".")[2] != "Equalize":
                assert not any(word in f"{one.name} {one.annotation}" for word in words), (name, one)


# Names that would do something if they were looked up, in places that a config can have.
NODES = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=3), st.sampled_from(["_args_", "x", "_y_"])), inner, max_size=3),
    ),
    max_leaves=6,
)


@given(role=st.sampled_from(sorted(PLACES)), around=NODES, data=st.data())
def test_a_name_is_found_wherever_it_stands(role: str, around: Any, data: st.DataObject) -> None:
    """Put at any place of any node, also under keys of Hydra's and of nobody's, it is refused before anything else."""
    bad = {"_target_": data.draw(st.sampled_from(["os.system", "segtrain.nothing.Here", "", 3, None, ["os.system"]]))}
    node = {"_target_": PLACES[role].itself[0], **(around if isinstance(around, dict) else {"around": around})}
    places = [one for one in _containers(node) if one is not node or role]
    place = data.draw(st.sampled_from(range(len(places))))
    if isinstance(places[place], dict):
        places[place][data.draw(st.sampled_from(["", "x", "_args_", "_partial_", "a.b", "_z"]))] = bad
    else:
        places[place].append(bad)
    before = set(sys.modules)
    with pytest.raises(UserError, match="_target_ is"):
        trust.require_allowed(node, where(role))
    assert set(sys.modules) == before


def _containers(node: Any) -> list[Any]:
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [*([node] if isinstance(node, dict | list) else []), *(one for item in inner for one in _containers(item))]


# Runs in a process of its own, in which nothing that is named has been imported; tells the number of names.
BY_TEXT = r"""
import re, sys, importlib.util
from pathlib import Path
from segtrain.config import allowed
from segtrain.config import trust
from segtrain.config.objects import unknown_keys
from segtrain.errors import UserError

site = {top: Path(importlib.util.find_spec(top).origin).parent for top in
        ("segtrain", "albumentations", "torchvision", "torch", "segmentation_models_pytorch", "timm", "lightning")}
roots = ("segtrain", "albumentations", "torchvision/transforms/v2", "torch/optim", "torch/nn",
         "segmentation_models_pytorch", "timm", "lightning")
names = set()
for root in roots:
    top, _, rest = root.partition("/")
    for file in (site[top] / rest).rglob("*.py"):
        module = ".".join((top, *file.relative_to(site[top]).with_suffix("").parts)).removesuffix(".__init__")
        text = file.read_text(encoding="utf-8")
        own = re.findall(r"^(?:class|def|import|from \S+ import \(?)\s*(\w+)|^(\w+) *[:=]|^    (\w+),$", text, re.M)
        names |= {module, *(f"{module}.{one}" for found in own for one in found if one)}
names |= {f"{name}.{tail}" for name in list(names)[::50] for tail in ("load", "__init__", "os.system", "")}
for root in roots:
    top = root.replace("/", ".")
    names |= {f"{top}.{last}" for of in allowed.ROLES.values() for name in (*of.itself, *of.below)
              for last in [name.rpartition(".")[2]]}
places = [(f"{role}/x.yaml", of) for role, of in allowed.ROLES.items()] + [("dataset/x with split=y", allowed.SPLIT)]
lasts = {name.rpartition(".")[2] for _, of in places for name in (*of.itself, *of.below)}
trust.nearest_name = lambda *_: ''  # the words of a message take longer than the decision

events = []
sys.addaudithook(lambda event, arguments: events.append((event, str(arguments)[:200])) if watched else None)
watched = True
passed = 0
for i, (where, of) in enumerate(places):
    ends = [{(n.partition(".")[0], n.rpartition(".")[2]) for n in kind} for kind in (of.itself, of.below)]
    for name in names:
        end = name.partition(".")[0], name.rpartition(".")[2]
        if end[1] not in lasts and len(name) % len(places) != i:
            continue  # each in one place, those that end as a listed one in all
        for is_below, node in enumerate(({"_target_": name}, [{"_target_": name, "_partial_": True}])):
            if end[1] not in lasts and len(name) // len(places) % 2 != is_below:
                continue
            try:
                trust.require_allowed(node, where)
                assert end in ends[is_below], (name, where)
                passed += 1
            except UserError:
                assert end not in ends[is_below], (name, where)
                if len(name) % 4 == 0:
                    try:
                        list(unknown_keys(node, where, {}))
                    except UserError:
                        continue
                    raise AssertionError(name)
watched = False
harmless = [e for e in events if e[0] in ("object.__getattr__", "compile", "sys._getframe", "code.__new__")]
assert len(events) == len(harmless), events[:5]
print(len(names), passed)
"""


def test_no_name_that_is_not_listed_imports_or_opens_anything() -> None:
    """Of every file of our package and of those that the list names: decided by the text of the name alone."""
    done = subprocess.run([sys.executable, "-c", BY_TEXT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    names, passed = map(int, done.stdout.split())
    assert names > 20_000 and passed > 200


# The same where all of it is imported, so that each name leads to an object: what is found is listed, and nothing runs.
BY_OBJECT = r"""
import importlib, pkgutil, sys, warnings
warnings.simplefilter("ignore")
import segtrain, segtrain.aug
from segtrain.config import allowed
from segtrain.config import trust
from segtrain.compat import register_torchvision_operators
from segtrain.config.objects import target_of
from segtrain.errors import UserError
register_torchvision_operators()
import albumentations, lightning, lightning.pytorch.cli, segmentation_models_pytorch, timm, timm.optim
import torchvision.transforms.v2
for one in pkgutil.walk_packages(segtrain.__path__, "segtrain."):
    if "__main__" not in one.name and "serve_page" not in one.name:
        importlib.import_module(one.name)
tops = ("segtrain", "albumentations", "torchvision.transforms", "torch.optim", "torch.nn", "timm", "lightning",
        "segmentation_models_pytorch")
modules = [name for name in list(sys.modules) if name.startswith(tops)]
names = sorted({f"{module}.{one}" for module in modules for one in vars(sys.modules[module])})
places = [(f"{role}/x.yaml", key, kind) for role, of in {**allowed.ROLES, "split": allowed.SPLIT}.items()
          for key, kind in (("", of.itself), ("x", of.below))]
places = [(w.replace("split/x.yaml", "dataset/x with split=y"), key, kind) for w, key, kind in places]
objects = {where + key: [target_of(name, where, key) for name in kind] for where, key, kind in places}
trust.nearest_name = lambda *_: ''
events, found = [], 0
sys.addaudithook(lambda event, arguments: events.append((event, str(arguments)[:200])) if watched else None)
watched = True
lasts = {name.rpartition(".")[2] for _, _, kind in places for name in kind}
for i, (where, key, kind) in enumerate(places):
    listed = {id(one) for one in objects[where + key]}
    for name in names:
        if name.rpartition(".")[2] not in lasts and len(name) % len(places) != i:
            continue  # each in one place, those that end as a listed one in all
        try:
            one = target_of(name, where, key)
        except UserError:
            continue
        assert id(one) in listed, (name, where)
        found += 1
watched = False
bad = [e for e in events if e[0].split(".")[0] in ("import", "open", "os", "socket", "subprocess", "shutil", "exec")]
assert not bad, bad[:5]
print(len(names), found)
"""


@pytest.mark.slow
def test_every_public_name_leads_to_what_is_listed_or_nowhere() -> None:
    done = subprocess.run([sys.executable, "-c", BY_OBJECT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    names, found = map(int, done.stdout.split())
    assert names > 20_000 and found > len(LISTED)


def test_a_node_is_built_as_it_was_looked_at() -> None:
    """What an escaped `${…}` holds is text: nothing resolves it once more, behind the look."""
    node = OmegaConf.create({"_target_": "torch.optim.AdamW", "_partial_": True, "lr": r"\${oc.env:HOME}"})
    made = build(RunConfig({"optimizer": node}).optimizer)
    assert isinstance(made, functools.partial) and made.keywords["lr"] == "${oc.env:HOME}"
    with pytest.raises(UserError, match="_target_ is"):
        build(Node({"_target_": r"\${oc.decode:os.system}"}, "model/mine.yaml"))


@pytest.mark.parametrize(
    ("key", "value"), [("_recursive_", False), ("_convert_", "none"), ("_args_", 3), ("_partial_", 1)]
)
def test_how_it_is_called_is_not_for_a_config_to_say(key: str, value: Any) -> None:
    node = {"_target_": "torch.optim.AdamW", "_partial_": True, key: value}
    with pytest.raises(UserError, match=f"{key} is"):
        build(Node(node, "optimizer/mine.yaml"))


def test_trust_opens_what_lies_below_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what the package imports, nor what that would lead to, nor a package whose name begins alike."""
    (tmp_path / "mine_own").mkdir()
    (tmp_path / "mine_own" / "__init__.py").write_text(
        "import os\nimport torch.nn as nn\nfrom segmentation_models_pytorch import Unet\nrun = os.system\n"
        "class Net(nn.Module): pass\n"
    )
    (tmp_path / "mine_own_evil.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(tmp_path)
    trust.trust(["mine_own"])
    assert target_of("mine_own.Net", "model/mine.yaml").__name__ == "Net"
    assert target_of("mine_own.Unet", "model/mine.yaml").__name__ == "Unet"  # listed, handed on
    for name in ("run", "os.system", "os.path.join", "nn.Linear", "Net.load_state_dict", "nn.modules", "nothing"):
        with pytest.raises(UserError, match="_target_ is"):
            target_of(f"mine_own.{name}", "model/mine.yaml")
    with pytest.raises(UserError, match=r"trust=\[mine_own_evil\]"):
        target_of("mine_own_evil.Net", "model/mine.yaml")


@pytest.mark.parametrize("package", ["", ".", "a b", "a.", "os;x", "*", "../x", "segtrain", "segtrain.data"])
def test_trust_is_the_name_of_a_package_that_is_not_ours(package: str) -> None:
    with pytest.raises(UserError, match="trust names"):
        trust.trust([package])
