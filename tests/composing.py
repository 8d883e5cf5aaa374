"""Hydra composes faster in tests: what shipped files alone say is put together once, and a text is parsed once.

It was a quarter of the suite's time. What is composed is the same (tests/test_composing.py); files of a user are read
anew each time, and processes that a test starts know nothing of this.
"""

import pickle
from functools import lru_cache
from typing import Any

import omegaconf
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra._internal.defaults_list import DefaultsList, Overrides
from hydra._internal.hydra import Hydra
from hydra.core.default_element import ResultDefault
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig

from segtrain.config.composition import conf_dir

SHIPPED = {f"file://{conf_dir()}", str(conf_dir()), "pkg://hydra.conf", "hydra.conf", "structured://", ""}
READ, MODE = ConfigRepository.load_config, Hydra.get_mode
LIST, MERGE = config_loader_impl.create_defaults_list, ConfigLoaderImpl._compose_config_from_defaults_list
PARSE, PARSE_OVERRIDE = omegaconf.base.parse, OverridesParser.parse_rule

_known: dict[Any, bytes] = {}  # pickled


def compose_quickly() -> None:
    """Has Hydra compose so, in this process, from now on."""
    ConfigRepository.load_config = _read_once  # type: ignore[method-assign]
    config_loader_impl.create_defaults_list = _list_once  # type: ignore[attr-defined]
    ConfigLoaderImpl._compose_config_from_defaults_list = _merge_once  # type: ignore[method-assign]
    Hydra.get_mode = _mode  # type: ignore[method-assign]
    OverridesParser.parse_rule = _parse_once  # type: ignore[method-assign]
    omegaconf.base.parse = omegaconf._utils.parse = lru_cache(10_000)(PARSE)  # trees that nothing changes


def compose_slowly(patch: Any) -> None:
    """Has Hydra compose as it does for users, until `patch`, a MonkeyPatch, is undone."""
    patch.setattr(ConfigRepository, "load_config", READ)
    patch.setattr(config_loader_impl, "create_defaults_list", LIST)
    patch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", MERGE)
    patch.setattr(Hydra, "get_mode", MODE)
    patch.setattr(OverridesParser, "parse_rule", PARSE_OVERRIDE)
    patch.setattr(omegaconf.base, "parse", PARSE)
    patch.setattr(omegaconf._utils, "parse", PARSE)


def _read_once(self: ConfigRepository, config_path: str) -> ConfigResult | None:
    """A file of conf/ or of Hydra as it was read first; a copy each time, as Hydra changes what it is given."""
    source = self._find_object_source(config_path, ObjectType.CONFIG)
    if source is None or source.scheme() == "structured" or source.path not in SHIPPED:
        return READ(self, config_path)
    key = (source.provider, source.scheme(), source.path, config_path)
    if key not in _known:
        _known[key] = pickle.dumps(READ(self, config_path))
    result: ConfigResult = pickle.loads(_known[key])
    return result


def _list_once(
    repo: IConfigRepository,
    config_name: str | None,
    overrides_list: list[Override],
    prepend_hydra: bool,
    skip_missing: bool,
) -> DefaultsList:
    """The files that a choice of shipped ones leads to, as they were first; values that are typed choose none."""
    asked = (config_name, prepend_hydra, skip_missing)
    if not _is_shipped(repo):
        return LIST(repo, config_name, overrides_list, *asked[1:])
    overrides = Overrides(repo=repo, overrides_list=overrides_list)
    values = {id(one) for one in overrides.config_overrides}
    key = (*asked, *(one.input_line for one in overrides_list if id(one) not in values))
    if key not in _known:
        found = LIST(repo, config_name, overrides_list, *asked[1:])
        _known[key] = pickle.dumps((found.defaults, found.defaults_tree, found.overrides.known_choices))
        return found
    defaults, tree, overrides.known_choices = pickle.loads(_known[key])
    return DefaultsList(defaults, tree, overrides.config_overrides, overrides)


def _merge_once(self: ConfigLoaderImpl, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
    """Shipped files in one, as they were first; a copy each time, as what is typed is written into it."""
    if not _is_shipped(repo):
        return MERGE(self, defaults, repo)
    key = repr(defaults)
    if key not in _known:
        merged = MERGE(self, defaults, repo)
        _known[key] = pickle.dumps(merged)
        return merged
    config: DictConfig = pickle.loads(_known[key])
    return config


def _parse_once(self: OverridesParser, s: str, rule_name: str) -> Any:
    """An override as it was parsed first; a copy each time, as Hydra writes into it."""
    if rule_name != "override":
        return PARSE_OVERRIDE(self, s, rule_name)
    if (rule_name, s) not in _known:
        _known[rule_name, s] = pickle.dumps(PARSE_OVERRIDE(self, s, rule_name))
    return pickle.loads(_known[rule_name, s])


def _is_shipped(repo: IConfigRepository) -> bool:
    return {source.path for source in repo.get_sources()} <= SHIPPED


def _mode(self: Hydra, config_name: str | None, overrides: list[str]) -> RunMode | None:
    """`hydra.mode` of the composed config, or nothing composed where it cannot be set: by shipped files and these."""
    places = {place.path for place in self.config_loader.get_search_path().get_path()}
    if places <= SHIPPED and not any("hydra" in override for override in overrides):
        return None
    mode: RunMode | None = MODE(self, config_name, overrides)
    return mode
