"""`python -m segtrain serve`: a page on this machine on which an image is dropped and its prediction looked at."""

import copy
import importlib
import ipaddress
import os
import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from segtrain.app.stops import Stopped, Stops
from segtrain.errors import UserError

if TYPE_CHECKING:
    from segtrain.app.predictor import Predictor

INTERRUPTED = 130  # exit status of Ctrl-C


def serve(config: DictConfig) -> None:
    """Serve the page until Ctrl-C, which ends with exit status 130, or SIGTERM, which ends with 0.

    Raises:
        UserError: no run and no model, or both; a value that cannot be; gradio is not installed; the port is taken.
        KeyboardInterrupt: Ctrl-C.
    """
    check(config)
    with tempfile.TemporaryDirectory(prefix="segtrain-serve-") as uploads:
        try:
            with Stops():
                os.environ["GRADIO_TEMP_DIR"] = uploads  # where gradio keeps what is uploaded and shown
                _serve(config)
        except Stopped as stop:
            print("stopped; what was uploaded is deleted", flush=True)
            if stop.status == INTERRUPTED:
                raise KeyboardInterrupt from None


def _serve(config: DictConfig) -> None:
    serving = _serving()
    with serving.listening(config.host, config.port) as listener:  # first: loading takes seconds
        look, title = look_of(config)
        page = serving.page(look, title, config.views, config.shift, config.max_mb)
        port = listener.getsockname()[1]
        shown = f"[{config.host}]" if ":" in config.host else config.host
        print(f"{title}: http://{shown}:{port}", flush=True)
        if not is_local(config.host):
            print(f"warning: {config.host} is reachable from other machines, without a password", flush=True)
        print(
            f"takes images of up to {config.max_mb:g} MB and {config.max_pixels:,} pixels; Ctrl-C ends it", flush=True
        )
        serving.run(page, listener, config.host if is_local(config.host) else None, config.max_mb)


def look_of(config: DictConfig) -> tuple[Any, str]:
    """What answers the page, a `segtrain.app.look.Look`, and the page's title."""
    from segtrain.app.evaluate_data import searched
    from segtrain.app.images import Images
    from segtrain.app.look import Look
    from segtrain.app.predictor import predictor_of
    from segtrain.app.several import runs_of
    from segtrain.app.shifted import Shifts
    from segtrain.app.upload import Upload
    from segtrain.model.views import VIEWS

    if config.model_file is not None:
        path = Path(config.model_file).expanduser()
        predictor, title = predictor_of(path, device=config.device), path.name
    else:
        runs = runs_of(config.run, Path(config.outputs))
        predictor, title = predictor_of(runs, device=config.device), "/".join(runs[0].path.resolve().parts[-2:])
        title += f" and {len(runs) - 1} more, averaged" if len(runs) > 1 else ""
    if config.views not in VIEWS:
        raise UserError(f"views={config.views}; expected one of {', '.join(VIEWS)}")
    shifts = Shifts(list(config.shifts), predictor.ignore_index, searched())
    if config.shift not in ("none", *shifts.names):
        raise UserError(f"shift={config.shift} is not offered; expected none, or one of shifts={list(config.shifts)}")
    predict = {name: _seen(predictor, name).predict for name in VIEWS}
    read = Upload(Images(predictor.reading, predictor.channels), config.max_pixels).read
    look = Look(predict, read, shifts, predictor.classes, predictor.palette, predictor.ignore_index)
    return look, title


def _seen(predictor: "Predictor", views: str) -> "Predictor":
    """The predictor with a test-time augmentation, the network shared."""
    from segtrain.model.views import viewed

    other = copy.copy(predictor)
    other.model = viewed(predictor.model, [views])
    return other


def is_local(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def check(config: DictConfig) -> None:
    """Nothing, when every value is what it may be.

    Raises:
        UserError: the first that is not.
    """
    if (config.run is None) == (config.model_file is None):
        got = "neither" if config.run is None else "both"
        raise UserError(f"serve shows one network; expected run=RUN, or model=FILE.onnx; got {got}")
    rules: dict[str, tuple[str, Any]] = {
        "host": ("localhost or an address such as 127.0.0.1", _is_host),
        "port": ("a whole number from 0, any free one, to 65535", lambda v: type(v) is int and 0 <= v < 65536),
        "max_mb": ("a number above 0", lambda v: type(v) in (int, float) and 0 < v < float("inf")),
        "max_pixels": ("a whole number from 1", lambda v: type(v) is int and v > 0),
        "shifts": ("a list of files of conf/aug", lambda v: isinstance(v, ListConfig)),
    }
    for key, (expected, holds) in rules.items():
        value = OmegaConf.select(config, key)
        if not holds(value):
            raise UserError(f"{key} is {value!r}; expected {expected}; give {key}=…")


def _is_host(value: Any) -> bool:
    try:
        return isinstance(value, str) and (value == "localhost" or bool(ipaddress.ip_address(value)))
    except ValueError:
        return False


def _serving() -> ModuleType:
    """The module that needs gradio.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module("segtrain.app.serve_page")
    except ImportError as error:
        if "gradio" not in str(error):
            raise
        raise UserError(f'serve shows its page with gradio; got "{error}"; pip install "segtrain[serve]"') from error
