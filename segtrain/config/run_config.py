"""Holds the config of a run as plain values that are read only: decided once, at the door, and handed down.

Attributes have the paths of the keys: `config.data.crop`, `config.trainer.max_epochs`. What describes an object is a
`Node`, which `segtrain.config.objects.build` turns into it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self

from omegaconf import DictConfig, OmegaConf

from segtrain.config.allowed import ROLES
from segtrain.errors import UserError

Size = int | Sequence[int]  # a side in pixels, or height and width


class MissingKey(UserError, AttributeError, KeyError):
    """Says that a config lacks a key: of a run, when its config.yaml was changed by hand."""

    def __init__(self, key: str) -> None:
        """Takes the dotted key."""
        super().__init__(
            f"the config has no key '{key}'; expected every key that `--cfg job` shows; got none there: was the file "
            "changed, or is it of another program? Restore it, or give the key"
        )

    __str__ = Exception.__str__  # KeyError's own is in quotes


class Section(Mapping[str, Any]):
    """Holds keys of a config, which are its attributes too; asking for one that is not there is an error."""

    def __init__(self, values: Mapping[str, Any], place: str = "") -> None:
        """Keeps the values, plain and resolved, and the dotted key that they stand at."""
        self._values, self._place = dict(values), place

    def __getitem__(self, key: str) -> Any:
        if key not in self._values:
            raise MissingKey(f"{self._place}.{key}".lstrip("."))
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, key: str) -> Any:
        if "_values" in self.__dict__:
            return self[key]
        raise AttributeError(key)  # not there yet: copying asks


class Node(Section):
    """Describes one object: `_target_` and its arguments, and the file that messages name, "aug/flips.yaml"."""

    _target_: str

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        """Keeps both; the first part of `where` is the role of every `_target_`."""
        super().__init__(values, where.partition("/")[0])
        self.where = where

    def but(self, **values: Any) -> Self:
        """Returns the same node with other values of some keys."""
        return type(self)({**self, **values}, self.where)


class AugNode(Node):
    """Describes the augmentation at its strength: amounts are numbers here."""

    strength: float
    schedule: str
    without: str | Sequence[str]
    only: str | Sequence[str]
    transforms: Sequence[Mapping[str, Any]]


class TrainerNode(Node):
    """Describes Lightning's trainer; segtrain reads of it how long is trained, and on what."""

    max_epochs: int
    accumulate_grad_batches: int
    check_val_every_n_epoch: int | None
    accelerator: str
    precision: Any  # of Lightning's names


class DataConfig(Section):
    """Says what training is fed with: the keys are explained in conf/train.yaml."""

    batch_size: int  # once it is decided: the key itself may still say auto
    crop: Size | None
    crop_class: float
    padding: Literal["crop", "stride"]
    sampling: Literal["uniform", "classes", "weights"]
    steps_per_epoch: int | None
    cache: Literal["ram", "disk"] | None
    on_bad: Literal["raise", "skip"]
    num_workers: int  # once it is decided: the key itself may still say auto


class CheckpointConfig(Section):
    """Says how often a training is kept between the ends of epochs, and what stays of it."""

    every: int | str | None
    keep: Literal["all", "best"]


KINDS = {"aug": AugNode, "trainer": TrainerNode}
SECTIONS = {"data": DataConfig, "checkpoint": CheckpointConfig}
# What earlier versions did that did not know a key: such runs, and verbs without the key, are read as if they said so.
ABSENT = {"padding": "stride", "on_bad": "raise"}


class RunConfig(Section):
    """Holds what a run is: its values as they are decided, and nodes of the objects that it is made of.

    What depends on `aug.strength`, or on another key, is worked out when it is first asked for.
    """

    choices: Section
    dataset: Node
    aug: AugNode
    model: Node
    loss: Node
    optimizer: Node
    scheduler: Node
    trainer: TrainerNode
    logger: Node
    data: DataConfig
    checkpoint: CheckpointConfig
    name: str
    outputs: str
    seed: int
    deterministic: bool | Literal["warn"]
    compile: bool
    threads: int
    early_stopping: int | None
    ema: float | None
    init_from: str | None
    freeze_encoder: int
    encoder_lr: float
    deep_supervision: bool | Sequence[float]

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Takes the whole config, with the choice of each group below `choices`; references to other keys may stay."""
        super().__init__({})
        self._tree = values if isinstance(values, DictConfig) else DictConfig(values)

    def __getitem__(self, key: str) -> Any:
        if key not in self._values:
            if key not in self:
                raise MissingKey(key)
            self._values[key] = self._part(key)
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return map(str, self._tree)

    def __contains__(self, key: object) -> bool:
        return key in self._tree or key == "data"

    def __len__(self) -> int:
        return len(self._tree)

    def __getattr__(self, key: str) -> Any:
        if "_tree" in self.__dict__:
            return self[key]
        raise AttributeError(key)  # not there yet: copying asks

    @property
    def split(self) -> Node | None:
        """Returns what divides the samples, or None where nothing stands at dataset.split."""
        values = self.dataset.get("split")
        return None if values is None else Node(values, f"{self.dataset.where} with split={self.choices.get('split')}")

    def of_split(self, key: str) -> Any:
        """Returns a value of the split; None where it has none, or there is no split."""
        return None if self.split is None else self.split.get(key)

    @property
    def plain(self) -> dict[str, Any]:
        """Returns all of it as config.yaml holds it: amounts that scale with aug.strength as they stand."""
        values: dict[str, Any] = OmegaConf.to_container(self._tree, resolve=False)  # type: ignore[assignment]
        return values

    @property
    def yaml(self) -> str:
        """Returns the text of config.yaml."""
        return OmegaConf.to_yaml(self._tree)

    def value_of(self, key: str, default: Any = None) -> Any:
        """Returns what stands at a dotted key, or the default."""
        return OmegaConf.select(self._tree, key, default=default)

    def changed(self, values: Mapping[str, Any]) -> "RunConfig":
        """Returns the config with other values of some dotted keys, which are added where they are new."""
        tree = self._tree.copy()
        for key, value in values.items():
            OmegaConf.update(tree, key, value, merge=False, force_add=True)
        return RunConfig(tree)

    def _part(self, key: str) -> Any:
        value = self._tree[key] if key in self._tree else DictConfig({})
        if not OmegaConf.is_config(value):
            return value
        plain: Any = OmegaConf.to_container(value, resolve=True)
        if not isinstance(plain, dict):
            return plain
        if key in ROLES:
            return KINDS.get(key, Node)(plain, f"{key}/{(self.get('choices') or {}).get(key)}.yaml")
        return SECTIONS.get(key, Section)({**ABSENT, **plain} if key == "data" else plain, key)
