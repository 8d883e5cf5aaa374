"""Checks each config file that Hydra finds and reads, as one from a stranger, before Hydra acts on it.

Hydra makes objects of its own part of a config, the `hydra` node, before segtrain sees any of it. So its loader is
replaced by one that asks, of each file and of what was typed, whether it may say that
(`segtrain.config.hydra_keys`), in every way in which a config is composed: runs, sweeps and their jobs, --cfg, --info,
and `segtrain.config.composition.composed`.
"""

import functools
import importlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra._internal.hydra
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import segtrain
from segtrain.config.allowed import ROLES
from segtrain.config.hydra_keys import (
    GROUPS,
    MAKING,
    require_composed,
    require_in_file,
    require_search_path,
    require_typed,
    trusted_of,
)
from segtrain.config.interpolations import require_bounded
from segtrain.config.values import require_value
from segtrain.errors import UserError
from segtrain.files import text_of
from segtrain.plain_files import MOST_BYTES, require_plain


def use(shipped: Path) -> None:
    """Lets Hydra load configs by the loader of this module from now on; `shipped` is the folder of segtrain's own."""
    _require_installed_plugins()
    CheckedLoader.shipped = str(shipped)
    hydra._internal.hydra.ConfigLoaderImpl = CheckedLoader  # type: ignore[attr-defined]


@functools.cache
def _require_installed_plugins() -> None:
    """Lets Hydra find its plug-ins where packages are installed: it imports all that lies in a folder of that name.

    The current folder, which may be a stranger's, counts only where segtrain itself lies in it, or PYTHONPATH names it.
    """
    before, own = list(sys.path), Path(__file__).parents[2]
    if segtrain.HERE and sys.path[-1:] == [segtrain.HERE] and Path(segtrain.HERE).resolve() != own:
        sys.path.pop()
    try:
        plugins = importlib.import_module("hydra_plugins")
        plugins.__path__ = list(plugins.__path__)  # fixed: that of a namespace follows sys.path
    finally:
        sys.path[:] = before


class CheckedLoader(ConfigLoaderImpl):
    """Loads configs as Hydra does, and refuses what a file or a command line may not say of Hydra."""

    shipped = ""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        """Searches there."""
        self.config_search_path = config_search_path
        self.repository = Repository(config_search_path)
        self._own = f"file://{self.shipped}"
        self._trusted: tuple[str, ...] = ()
        self._typed: Sequence[Override] = ()
        self._has_foreign = False

    def _process_config_searchpath(
        self, config_name: str | None, parsed_overrides: list[Override], repo: CachingConfigRepository
    ) -> None:
        require_typed(parsed_overrides)
        self._typed, self._trusted = parsed_overrides, trusted_of(parsed_overrides)
        self._has_foreign = False
        if config_name is not None and (primary := repo.load_config(config_path=config_name)) is not None:
            self._require_result(primary, config_name)
        require_search_path(parsed_overrides)
        for override in parsed_overrides:
            self._require_choice(override, repo)
        super()._process_config_searchpath(config_name, parsed_overrides, repo)

    def _require_choice(self, override: Override, repo: CachingConfigRepository) -> None:
        """Raises UserError where a group is given what is no choice's name."""
        key, value = override.key_or_group, override.value()
        if override.is_sweep_override() or override.is_delete():
            return
        group = key.partition("@")[0]
        if isinstance(value, str | list):
            if "." not in key and repo.group_exists(group):
                _require_names(override, group, repo.get_group_options(group))
            return
        if key == "" or ("." not in key and repo.group_exists(key)):
            listed = ", ".join(repo.get_group_options(key)) if key else "key=value"
            way = f"; leave {key}=null out" if value is None and key else ""
            raise UserError(f"{override.input_line!r} names no choice of {key or 'a key'}; expected {listed}{way}")

    def _load_single_config(self, default: ResultDefault, repo: Any) -> ConfigResult:
        try:
            result = super()._load_single_config(default, repo)
        except ConfigCompositionException as error:
            if "searchpath" not in str(error):
                raise
            where = f"the config file '{default.config_path}.yaml'"
            require_in_file({"searchpath": "…"}, where, ())
        self._require_result(result, str(default.config_path))
        return result

    def _require_result(self, result: ConfigResult, path: str) -> None:
        """Raises UserError where a file says of Hydra what it may not; segtrain's primary files are asked nothing."""
        is_own = result.path == self._own
        if not is_own and (result.path.startswith("file://") or result.provider.startswith(("hydra.search", "main"))):
            self._has_foreign = True
        elif not (is_own and "/" in path):
            return
        if isinstance(result.config, DictConfig) and result.config._get_node("hydra") is not None:
            plain: Any = OmegaConf.to_container(result.config, resolve=False)
            folder = result.path.partition("://")[2]
            require_in_file(plain["hydra"], os.path.join(folder, f"{path}.yaml"), self._trusted)

    def _load_configuration_impl(self, config_name: str | None, *args: Any, **options: Any) -> DictConfig:
        config = super()._load_configuration_impl(config_name, *args, **options)
        if config_name is not None:
            nodes = {name: config.hydra._get_node(name) for name in MAKING}
            plain = {
                n: OmegaConf.to_container(o, resolve=False) if OmegaConf.is_config(o) else None
                for n, o in nodes.items()
            }
            require_composed(plain, self._typed, self._trusted)
            self._require_below_outputs(config)
        if self._has_foreign or any("${" in str(one.input_line) for one in self._typed):
            require_bounded(OmegaConf.to_container(config, resolve=False))
        return config

    def _require_below_outputs(self, config: DictConfig) -> None:
        """Raises UserError where a name leaves `outputs`: Hydra makes a folder of it before a verb begins."""
        swept = {one.key_or_group for one in self._typed if one.is_sweep_override()}
        for key in ("name", "outputs"):
            node = config._get_node(key, validate_access=False)
            if isinstance(node, Node) and not node._is_interpolation() and not node._is_missing() and key not in swept:
                require_value(key, OmegaConf.select(config, key))
        if self._has_foreign:
            typed = {str(one.key_or_group) for one in self._typed}
            keys = ("resume", "resume_with", "resume_allow", "outputs")
            _require_typed({key: OmegaConf.select(config, key) for key in keys if key not in typed})


def _require_typed(said: Mapping[str, Any]) -> None:
    """Raises UserError where a file says which run is changed, or has outputs lead out of the current folder."""
    for key in ("resume", "resume_with", "resume_allow"):
        if said.get(key):
            raise UserError(f"{key} stands in a config file; expected it on the command line only; leave it out there")
    outputs = str(said.get("outputs") or "outputs")
    if os.path.isabs(outputs) or os.path.normpath(outputs).split(os.sep)[0] == os.pardir:
        raise UserError(
            f"a config file puts outputs at '{outputs}', outside of the current folder; expected a folder in it, as a "
            f"file may come from anyone; if it is meant, type it: 'outputs={outputs}'"
        )


def _require_names(override: Override, group: str, listed: Sequence[str]) -> None:
    """Raises UserError unless a group is given the name of one choice, or several where it may have some."""
    value: Any = override.value()
    names = value if isinstance(value, list) else [value]
    told = f"expected one of {', '.join(listed)}; give {group}=NAME"
    if isinstance(value, list) and group in (*ROLES, "split", *GROUPS):
        raise UserError(f"{override.input_line!r} names a list of choices, and {group} has one; {told}")
    if bad := [name for name in names if {"..", ".", ""} & set(str(name).split("/"))]:
        raise UserError(
            f"{override.input_line!r} names the choice {bad[0]!r}, which is a path out of the group; {told}, or name "
            "the folder of your own with --config-dir"
        )


class Repository(ConfigRepository):
    """Holds Hydra's view on the folders that it searches, each of them a `ConfigFolder`."""

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Makes a source of each path; Hydra's hook."""
        super().initialize_sources(config_search_path)
        self.sources = [_checked(source) for source in self.sources]


def _checked(source: ConfigSource) -> ConfigSource:
    if source.scheme() != "file":  # by its word and not its class: Hydra imports its plug-ins anew
        return source
    kind = Shipped if source.path == CheckedLoader.shipped else ConfigFolder
    return kind(source.provider, f"file://{source.path}")


class Shipped(FileConfigSource):
    """Reads the folder of segtrain's own configs, out of which no name of another file leads."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Returns what a file says; Hydra's hook."""
        is_inside(config_path, self.path)
        return super().load_config(config_path)

    def is_config(self, config_path: str) -> bool:
        """Returns whether there is such a file; Hydra's hook."""
        return is_inside(config_path, self.path) and super().is_config(config_path)

    def is_group(self, config_path: str) -> bool:
        """Returns whether there is such a folder below; Hydra's hook."""
        return is_inside(config_path, self.path) and super().is_group(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Returns the names below a group; Hydra's hook."""
        return super().list(config_path, results_filter) if is_inside(config_path, self.path) else []


class ConfigFolder(FileConfigSource):
    """Reads a folder of configs that may come from a stranger: they are regular, in it, and not too large."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Returns what a file says; Hydra's hook.

        Raises:
            UserError: it lies elsewhere, is no regular file, no UTF-8, no YAML, stands for too much, or is no mapping.
        """
        name = self._normalize_file_name(config_path)
        path = os.path.join(self.path, name)
        text = text_of(path, MOST_BYTES)
        require_plain(text, path)
        try:
            header = self._get_header_dict(text[:512])
            config = OmegaConf.create(text)
        except (ValueError, OSError, RecursionError, yaml.YAMLError, OmegaConfBaseException) as error:
            raise UserError(
                f"'{path}' cannot be read: {' '.join(str(error).split())[:500]}; expected a YAML mapping of keys to "
                "values; correct it, or leave the file out"
            ) from error
        if not isinstance(config, DictConfig):
            raise UserError(f"'{path}' holds a list; expected a YAML mapping, key: value; correct it")
        _require_defaults(OmegaConf.to_container(config, resolve=False), path, "/" in config_path)
        return ConfigResult(provider=self.provider, path=self.full_path(), config=config, header=header)

    def is_config(self, config_path: str) -> bool:
        """Returns whether there is such a file; Hydra's hook.

        Raises:
            UserError: the name leads out of the folder.
        """
        return self._is_inside(config_path) and super().is_config(config_path)

    def is_group(self, config_path: str) -> bool:
        """Returns whether there is such a folder below; Hydra's hook."""
        return self._is_inside(config_path) and super().is_group(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Returns the names below a group; Hydra's hook."""
        return super().list(config_path, results_filter) if self._is_inside(config_path) else []

    def _is_inside(self, name: str) -> bool:
        return is_inside(name, self.path)


def _require_defaults(config: Any, path: str, is_choice: bool) -> None:
    """Raises UserError unless what a file begins with is a list of choices, as Hydra takes them, and none is overruled.

    is_choice: whether it is a file of a group: launcher and sweeper that it names are those of the primary file still.
    """
    defaults = config.get("defaults", [])
    for entry in defaults if isinstance(defaults, list) else [defaults]:
        (key, value), *more = entry.items() if isinstance(entry, dict) and entry else [("", entry)]
        chosen = value if isinstance(value, list) and key else [value]
        fits = isinstance(key, str) and all(isinstance(one, str) or (one is None and key) for one in chosen)
        if more or not fits or not isinstance(defaults, list):
            raise UserError(
                f"'{path}' begins with {str(entry)[:100]!r} in its defaults; expected a list of files such as "
                "- folder, or - model: unet_resnet18; correct it"
            )
        if is_choice and (engine := re.fullmatch(r"override\s+/?(hydra/(?:launcher|sweeper))", key)):
            raise UserError(
                f"'{path}' chooses {engine[1]}={value}, which segtrain's own file overrules; expected it on the "
                f"command line; type {engine[1]}={value}, and leave it out there"
            )


@functools.cache
def is_inside(name: str, folder: str) -> bool:
    """Returns True of a name that stays within its folder.

    Raises:
        UserError: it leads out of it, by `..` or as an absolute path.
    """
    if os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] == os.pardir or "\0" in name:
        raise UserError(
            f"the config file {name!r} lies outside of '{folder}'; expected a file below it; copy it there, or name "
            "its folder with --config-dir"
        )
    return True
