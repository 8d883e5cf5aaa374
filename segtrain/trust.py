"""What a `_target_` may name: a config may come from a stranger, or from a run's folder, and is data, not a program.

A name must begin with a package of its role, so that nothing else is even imported, and the object that it resolves
to must be at home in one, so that no alias leads out: a class derived from what the role asks for, or a function of
segtrain's own. Packages of the user's own are added by trust=[mypackage], on the command line only.
"""

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

from segtrain.errors import UserError

MODULE = "torch.nn.modules.module.Module"


class Role(NamedTuple):
    """Packages in which a role's classes are at home, and the class, by dotted name, that all are derived from."""

    packages: tuple[str, ...]
    base: str | None = None


ROLES = {
    "dataset": Role(("segtrain.data.datasets", "segtrain.data.split")),
    "aug": Role(("segtrain.aug", "albumentations", "torchvision.transforms.v2")),
    "model": Role(("segmentation_models_pytorch", "timm", "torch.nn", "segtrain.model"), MODULE),
    "loss": Role(("segtrain.model.losses", "segmentation_models_pytorch", "torch.nn"), MODULE),
    "optimizer": Role(("torch.optim", "timm.optim"), "torch.optim.optimizer.Optimizer"),
    "scheduler": Role(("segtrain.model.schedulers", "torch.optim.lr_scheduler")),
    "trainer": Role(("lightning",)),
    "logger": Role(("lightning",), "lightning.fabric.loggers.logger.Logger"),
}

_trusted: set[str] = set()


def trust(packages: Sequence[str]) -> None:
    """From now on these packages, of the user's own, count as at home in every role."""
    _trusted.clear()
    _trusted.update(packages)


def typed_trust(packages: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The packages of trust=[…], among the overrides that were typed; from a file it would be the stranger's own word.

    Raises:
        UserError: they stand in a config file.
    """
    if packages and not any(override.lstrip("+").startswith("trust=") for override in overrides):
        raise UserError("trust stands in a config file; expected it on the command line only; leave it out there")
    return list(packages)


def require_name(target: str, role: str, where: str) -> None:
    """Raise UserError unless the name begins with a package of the role: to be asked before it is imported."""
    if not _within(target, {package.partition(".")[0] for package in ROLES[role].packages} | _trusted):
        raise _refusal(target, role, where)


def require_object(found: Any, target: str, role: str, where: str) -> None:
    """Raise UserError unless what the name resolved to is what the role asks for."""
    home = str(getattr(found, "__module__", ""))
    if _within(home, _trusted):
        return
    packages, base = ROLES[role]
    is_class = inspect.isclass(found) and (base is None or base in {_name(kind) for kind in found.__mro__})
    is_ours = inspect.isfunction(found) and home.startswith("segtrain.")
    if not (_within(home, packages) and (is_class or is_ours)):
        raise _refusal(target, role, where, f", which is {home}.{getattr(found, '__qualname__', found)}")


def _within(name: str, packages: Sequence[str] | set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _refusal(target: str, role: str, where: str, which: str = "") -> UserError:
    packages, base = ROLES[role]
    kind = f" derived from {base}" if base else ""
    return UserError(
        f"{where}: _target_ is '{target}'{which}; expected a class of {', '.join(packages)}{kind}; a config may come "
        f"from anyone, so nothing else is called; if it is yours, say so: trust=[{target.partition('.')[0]}]"
    )
