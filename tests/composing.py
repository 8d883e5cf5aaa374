"""Hydra composes faster in tests: a shipped file is parsed once, and a command's config is composed once, not twice.

It was a quarter of the suite's time. What is composed is the same (tests/test_composing.py); files of a user are read
anew each time, and processes that a test starts know nothing of this.
"""

import pickle

from hydra._internal.config_repository import ConfigRepository
from hydra._internal.hydra import Hydra
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode

from segtrain.config.composition import conf_dir

SHIPPED = {f"file://{conf_dir()}", str(conf_dir()), "pkg://hydra.conf", "structured://"}
READ, MODE = ConfigRepository.load_config, Hydra.get_mode

_known: dict[tuple[str, str, str, str], bytes] = {}


def compose_quickly() -> None:
    """Has Hydra compose so, in this process, from now on."""
    ConfigRepository.load_config = _read_once  # type: ignore[method-assign]
    Hydra.get_mode = _mode  # type: ignore[method-assign]


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


def _mode(self: Hydra, config_name: str | None, overrides: list[str]) -> RunMode | None:
    """`hydra.mode` of the composed config, or nothing composed where it cannot be set: by shipped files and these."""
    places = {place.path for place in self.config_loader.get_search_path().get_path()}
    if places <= SHIPPED and not any("hydra" in override for override in overrides):
        return None
    mode: RunMode | None = MODE(self, config_name, overrides)
    return mode
