"""Composes configs as the command line does: where conf/ lies, and what `${…}` means in it."""

import functools
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.resolvers import oc

from segtrain.config.interpolations import settled
from segtrain.config.run_config import RunConfig, Section
from segtrain.errors import UserError
from segtrain.nearest_name import synonym


def conf_dir() -> Path:
    """Returns the folder of shipped choices: inside an installed package, beside it in a checkout."""
    inside = Path(__file__).parents[1] / "conf"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "conf"


def composed(verb: str, overrides: Sequence[str]) -> DictConfig:
    """Returns the config of a verb as the command line composes it, with the choice of each group below `choices`."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from segtrain.config.files import use

    register_resolvers()
    use(conf_dir())
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose(verb, list(overrides), return_hydra_config=True)
    with open_dict(config):
        config.choices = choices_of(config.pop("hydra"))
        if "${" in str(config._get_node("name")):
            config.name = config.choices.dataset
    return config


def typed_folder() -> str:
    """Returns the user's own folder for configs that this command was given (--config-dir); "" for none."""
    from hydra.core.hydra_config import HydraConfig

    sources = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else []
    return next((str(source.path) for source in sources if source.provider == "command-line"), "")


def given_folders(arguments: Sequence[str]) -> list[Path]:
    """Returns the values of --config-dir X, --config-dir=X and -cd X in a command that nothing is composed of yet."""
    pairs = pairwise([*arguments, ""])
    apart = [Path(after) for flag, after in pairs if flag in ("--config-dir", "-cd")]
    return apart + [Path(a.partition("=")[2]) for a in arguments if a.startswith("--config-dir=")]


def searched() -> list[str]:
    """Returns the user's own folder for configs (--config-dir) as an override, so that `composed` finds its choices."""
    own = typed_folder()
    quoted = str(Path(own).resolve()).replace("'", "\\'")  # a path may have = and , in it
    return [f"hydra.searchpath=['file://{quoted}']"] if own else []


@functools.cache
def keys_of(verb: str) -> list[str]:
    """Returns every key of the verb's default config, and the groups."""
    config = OmegaConf.to_container(composed(verb, []), resolve=False)
    return [*(path.name for path in conf_dir().iterdir() if path.is_dir()), *_dotted(config, "")]


def _dotted(node: object, prefix: str) -> list[str]:
    if not isinstance(node, dict):
        return []
    here = [f"{prefix}{key}" for key in node]
    return here + [path for key, item in node.items() for path in _dotted(item, f"{prefix}{key}.")]


def meant_key(key: str, verb: str) -> str:
    """Returns the key of a verb that a word of other programs means, or that ends with it; "" for none."""
    of_data = ["dataset.root", "dataset.classes"] if verb in ("train", "check", "preview") else []
    return synonym(key, [*keys_of(verb), *of_data])


def choices_of(hydra: Any) -> dict[str, str]:
    """Returns group to the name of its file, Hydra's own groups left out."""
    return {group: choice for group, choice in hydra.runtime.choices.items() if not group.startswith("hydra")}


class TypedValue(NamedTuple):
    """Holds an override: its key, its value, and whether it was typed with a + because the key is new."""

    key: str
    value: Any
    is_new: bool


def single_values(typed: Sequence[str]) -> list[TypedValue]:
    """Returns what overrides say.

    Raises:
        UserError: one that takes a key away, or has several values.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    found = []
    for override in OverridesParser.create().parse_overrides(list(typed)):
        if override.is_sweep_override() or override.is_delete():
            raise UserError(f"resume takes single values; got {override.input_line}; give key=value")
        found.append(TypedValue(override.key_or_group, override.value(), override.is_add()))
    return found


def chosen(group: str, choice: str, key: str) -> Any:
    """Returns what the file of a choice of a training's config puts at a key, plain and unresolved."""
    node = OmegaConf.select(composed("train", [*searched(), f"{group}={choice}"]), key)
    return OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node


def register_resolvers() -> None:
    """Registers `${amount:}`, `${span:}`, `${chance:}`, which aug.strength scales, `${threads:}`, `${run_name:}`."""
    OmegaConf.register_new_resolver("oc.env", _env, replace=True)
    for name, scaled in SCALED.items():
        OmegaConf.register_new_resolver(name, _by_strength(scaled), replace=True)
    OmegaConf.register_new_resolver("threads", _threads, replace=True)
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)


# Names of what its owner alone should read: a config may come from anyone; the run's folder and its loggers hold it.
SECRET = r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|(^|_)KEY|KEY($|_)|AUTH|COOKIE|WEBHOOK|DSN|DATABASE_URL"


def _env(name: str, *default: Any) -> Any:
    """Returns an environment variable, as OmegaConf's own resolver has it, unless its name says that it is secret.

    Raises:
        UserError: it does.
    """
    if re.search(SECRET, str(name).upper()):
        raise UserError(
            f"a config asks for the environment variable {name} by ${{oc.env:…}}; expected one that anyone may read: "
            "what a config says is written to the run's folder, and a config may come from anyone; loggers and stores "
            "read their own keys from the environment; leave it out"
        )
    return oc.env(name, *default)


# What a policy's file says of a number, as a function of aug.strength first.
SCALED: dict[str, Callable[..., Any]] = {
    "amount": lambda strength, value: value * strength,  # a magnitude, in the unit of the value
    "span": lambda strength, centre, half: [centre - half * strength, centre + half * strength],  # about a neutral one
    "chance": lambda strength, p: p * min(strength, 1.0),  # of an op without a magnitude
}


def _by_strength(scaled: Callable[..., Any]) -> Callable[..., Any]:
    def resolve(*values: float, _root_: Any) -> Any:
        return scaled(_required_strength(_root_.aug.strength), *values)

    return resolve


def _required_strength(strength: Any) -> float:
    if not isinstance(strength, int | float) or isinstance(strength, bool) or not 0 <= strength < float("inf"):
        raise UserError(f"aug.strength is one number ≥ 0 (0 none, 1 as published); got {strength!r}")
    return float(strength)


def cores() -> int:
    """Returns how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads(*, _root_: Any) -> int:
    """Returns all cores for a single run, shared by its processes; one for a job of a sweep, on every machine alike."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    in_sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    devices = OmegaConf.select(_root_, "trainer.devices", default=1)
    sharing = devices if type(devices) is int and devices > 0 else 1
    return 1 if in_sweep else max(1, cores() // sharing)


def _run_name() -> str:
    """Returns the dataset's name, and with a sweep file that one's too."""
    from hydra.core.hydra_config import HydraConfig

    choices = HydraConfig.get().runtime.choices
    return choices["dataset"] if choices.get("sweep") is None else f"{choices['dataset']}-{choices['sweep']}"


def plain(config: DictConfig, file_names: Mapping[str, str]) -> dict[str, Any]:
    """Returns the config as plain containers, all resolved but `aug`, whose amounts stay functions of aug.strength.

    Raises:
        UserError: a value that must be given (`???`) is missing.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        key = missing[0]
        group, own = key.split(".")[0], shlex.quote(typed_folder() or "my_conf")
        raise UserError(
            f"{key} has no value; {group}={file_names.get(group, '…')} needs one; give it as {key}=… "
            f"or in a file of your own, {own}/{group}/NAME.yaml{'' if typed_folder() else f' (--config-dir {own})'}"
        )
    container: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    if "aug" in config:
        container["aug"] = settled(OmegaConf.to_container(config.aug, resolve=False), container["aug"])
    return container


class Command(NamedTuple):
    """Holds what a command chose beside its config, so that another process of ours can take it up."""

    hydra: Any  # Hydra's own config; None outside a command
    trusted: tuple[str, ...]  # packages

    def take_up(self) -> None:
        """Makes these choices this process's own."""
        from hydra.core.hydra_config import HydraConfig

        from segtrain.config.files import use
        from segtrain.config.trust import trust

        register_resolvers()
        use(conf_dir())
        trust(self.trusted)
        if self.hydra is not None:
            HydraConfig.instance().cfg = self.hydra


def command_under_way() -> Command:
    """Returns the choices of the command that this process runs."""
    from hydra.core.hydra_config import HydraConfig

    from segtrain.config.trust import trusted_packages

    return Command(HydraConfig.instance().cfg, trusted_packages())


def run_config(config: DictConfig) -> RunConfig:
    """Returns what a composed config says, worked out, with the choices of the command under way.

    Raises:
        UserError: a value that must be given (`???`) is missing.
    """
    from hydra.core.hydra_config import HydraConfig

    choices = choices_of(HydraConfig.get())
    return RunConfig({**plain(config, choices), "choices": choices})


def settings(config: DictConfig) -> Section:
    """Returns what the composed config of a verb that takes a run says, worked out.

    Raises:
        UserError: a value that must be given (`???`) is missing.
    """
    return Section(plain(config, {}))
