"""Runs `python -m segtrain serve`: a page on this machine on which an image is dropped and its prediction looked at."""

import copy
import importlib
import ipaddress
import os
import secrets
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from segtrain.app.serve.queue import Queue, TimeLimit
from segtrain.app.serve.uploads import MEGA, Uploads
from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.interrupts import Stopped, Stops
from segtrain.printable import print_text
from segtrain.runs.ensemble import average_words, run_name
from segtrain.runs.find_run import runs_of

if TYPE_CHECKING:
    from torch import Tensor

    from segtrain.app.serve.prediction_view import PredictionView
    from segtrain.parts.predictor import Predictor

SERVERS = ("uvicorn", "starlette")  # what the page imports of the extra
VARIABLE = "SEGTRAIN_PASSWORD"  # of the environment: a password there is not seen in the list of processes
SHORTEST = 8  # characters of a password
INTERRUPTED = 130  # exit status of Ctrl-C


@dataclass(frozen=True)
class ServeOptions:
    """Holds what is asked of the server, as conf/serve.yaml says it."""

    run: str | None
    model_file: Path | None
    outputs: Path
    host: str
    port: int
    password: str | None = field(repr=False)  # given, or made up; None: none is asked for
    is_made_up: bool
    views: str
    shift: str
    shifts: tuple[str, ...]
    max_mb: float
    max_uploads_mb: float
    max_pixels: int
    max_gb: float
    max_seconds: float
    allow_other_pixels: bool
    device: str


def serve(config: DictConfig) -> None:
    """Serves the page until Ctrl-C, which ends with exit status 130, or SIGTERM, which ends with 0.

    Raises:
        UserError: no run and no model, or both; a value that cannot be; the extra is not installed; the port is taken.
        KeyboardInterrupt: Ctrl-C.
    """
    options = _read_options(config)
    with tempfile.TemporaryDirectory(prefix="segtrain-serve-") as uploads:
        limit = TimeLimit(options.max_seconds)
        try:
            with Stops():
                _serve(options, Path(uploads), limit)
        except Stopped as stop:
            limit.ended.set()
            print_text("stopped; what was uploaded is deleted", flush=True)
            if stop.status == INTERRUPTED:
                raise KeyboardInterrupt from None


def _serve(options: ServeOptions, folder: Path, limit: TimeLimit) -> None:
    if options.run is not None:
        runs_of(options.run, options.outputs)  # told before torch is imported, which takes seconds
    page = _import_page()
    with open_socket(options.host, options.port) as listener:  # before the network is loaded, which takes seconds
        view, title = open_view(options, limit)
        server = _server(options, page, view, title, folder, limit, listener)
        print_text(f"{title}: {address(options, listener)}", flush=True)
        if not is_local(options.host):
            print_text(
                f"warning: {options.host} is reachable from other machines, and the connection is not encrypted; who "
                "reads it reads the password and the images",
                flush=True,
            )
        print_text(
            f"takes images of up to {options.max_mb:g} MB and {options.max_pixels:,} pixels; Ctrl-C ends it", flush=True
        )
        page.run_server(server, listener)


def _server(
    options: ServeOptions,
    page: Any,
    view: "PredictionView",
    title: str,
    folder: Path,
    limit: TimeLimit,
    listener: socket.socket,
) -> Any:
    """Returns the parts of the server, a `segtrain.app.serve.page.Server`."""
    from segtrain.app.serve.gate import Gate

    most, in_all = int(options.max_mb * MEGA), int(options.max_uploads_mb * MEGA)
    uploads = Uploads(folder, most, in_all, view.show.cache_clear)
    hosts = tuple(dict.fromkeys((options.host, "localhost", "127.0.0.1"))) if is_local(options.host) else None
    gate = Gate(uploads, hosts, options.password, listener.getsockname()[1])
    shown = page.Page(view, title, options.views, options.shift, options.max_mb)
    return page.Server(shown, uploads, Queue(limit), gate)


def _read_options(config: DictConfig) -> ServeOptions:
    """Returns the values of the verb's config, with a password where one is needed.

    Raises:
        UserError: one is not what it may be.
    """
    if (config.run is None) == (config.model_file is None):
        got = "neither" if config.run is None else "both"
        raise UserError(f"serve shows one network; expected run=RUN, or model=FILE.onnx; got {got}")
    rules: dict[str, tuple[str, Any]] = {
        "host": ("localhost or an address such as 127.0.0.1", _is_host),
        "port": ("a whole number from 0, any free one, to 65535", lambda v: type(v) is int and 0 <= v < 65536),
        "max_mb": ("a number above 0", _is_positive),
        "max_uploads_mb": ("a number above 0", _is_positive),
        "max_gb": ("a number above 0", _is_positive),
        "max_seconds": ("a number above 0", _is_positive),
        "max_pixels": ("a whole number from 1", lambda v: type(v) is int and v > 0),
        "shifts": ("a list of files of conf/aug", lambda v: isinstance(v, ListConfig)),
    }
    for key, (expected, holds) in rules.items():
        value = OmegaConf.select(config, key)
        if not holds(value):
            raise UserError(f"{key} is {value!r}; expected {expected}; give {key}=…")
    same = ("host", "port", "views", "shift", "device", "allow_other_pixels")
    return ServeOptions(
        run=None if config.run is None else str(config.run),
        model_file=None if config.model_file is None else Path(str(config.model_file)).expanduser(),
        outputs=Path(config.outputs),
        password=secret_of(config.host, config.password),
        is_made_up=config.password is None and VARIABLE not in os.environ,
        shifts=tuple(config.shifts),
        **{key: config[key] for key in (*same, *(key for key in rules if key.startswith("max_")))},
    )


def secret_of(host: str, password: Any) -> str | None:
    """Returns what the page asks for before it shows anything: the password that was given, or one that is made up.

    None of a host that only this machine reaches, unless a password was given, by password= or in `VARIABLE`.

    Raises:
        UserError: it is shorter than `SHORTEST`.
    """
    given = os.environ.get(VARIABLE) if password is None else password
    if given is not None and not isinstance(given, str):  # it is not said: others may read along
        raise UserError(
            f"the password is read as {type(given).__name__}; expected text; give it in quotes of its own: "
            f"'password=\"…\"', or as {VARIABLE}"
        )
    if given is None:
        return None if is_local(host) else secrets.token_urlsafe(32)
    if len(given) < SHORTEST:
        raise UserError(
            f"the password has {counted(len(given), 'character')}; expected {SHORTEST} or more, as anyone who reaches "
            f"the page may try; give password=… or {VARIABLE}, or leave it out, and one is made up"
        )
    return given


def address(options: ServeOptions, listener: socket.socket) -> str:
    """Returns where the page is, with the password in it where that was made up, as nobody else could know it."""
    shown = f"[{options.host}]" if ":" in options.host else options.host
    token = f"/?token={options.password}" if options.password is not None and options.is_made_up else ""
    return f"http://{shown}:{listener.getsockname()[1]}{token}"


def open_view(options: ServeOptions, limit: TimeLimit) -> tuple["PredictionView", str]:
    """Returns what answers the page, and the page's title.

    Raises:
        UserError: no such run, file, view or shift.
    """
    from segtrain.app.serve.prediction_view import PredictionView, UploadReader
    from segtrain.config.composition import searched
    from segtrain.model.ensemble import VIEWS
    from segtrain.parts.input_images import Images
    from segtrain.parts.policy import Shifts
    from segtrain.parts.predictor import predictor_of

    given: dict[str, Any] = {"device": options.device, "allow_other_pixels": options.allow_other_pixels}
    if options.model_file is not None:
        predictor, title = predictor_of(options.model_file, **given), options.model_file.name
    else:
        runs = runs_of(str(options.run), options.outputs)
        predictor = predictor_of(runs, **given)
        title = run_name(runs[0].path) if len(runs) == 1 else average_words(runs)
    if options.views not in VIEWS:
        raise UserError(f"views={options.views}; expected one of {', '.join(VIEWS)}")
    shifts = Shifts(options.shifts, predictor.ignore_index, searched())
    if options.shift not in ("none", *shifts.names):
        raise UserError(f"shift={options.shift} is not offered; expected none, or one of shifts={list(options.shifts)}")
    predict = {name: with_views(predictor, name, limit).predict for name in VIEWS}
    computable = predictor.computable(options.max_pixels, options.max_gb, is_in_one=True)
    images = Images(predictor.reading, predictor.channels, pixels=predictor.pixels)
    read = UploadReader(images, computable, options.max_pixels).read
    return PredictionView(predict, read, shifts, predictor.classes, predictor.palette, predictor.ignore_index), title


def with_views(predictor: "Predictor", views: str, limit: TimeLimit) -> "Predictor":
    """Returns the predictor with a test-time augmentation, on the same network; each window first asks for time.

    What the image is, was asked when it was read: a shift of the page's may lead anywhere.
    """
    from segtrain.model.ensemble import viewed

    def model(image: "Tensor") -> "Tensor":
        limit.require()
        return predictor.model(image)

    other = copy.copy(predictor)
    other.pixels = ()
    other.model = viewed(model, [views], predictor.least)
    return other


def open_socket(host: str, port: int) -> socket.socket:
    """Returns a socket on which nobody answers yet; port 0 is any free one.

    Raises:
        UserError: the port is taken, or not ours to take.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(
            f"could not listen at {host}, port {port}: {error.strerror or error}; expected a free port; give another "
            "by port=…, or port=0 for any"
        ) from error


def is_local(host: str) -> bool:
    """Returns whether only this machine can reach the address."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")


def _is_host(value: Any) -> bool:
    try:
        return isinstance(value, str) and (value == "localhost" or bool(ipaddress.ip_address(value)))
    except ValueError:
        return False


def _import_page() -> ModuleType:
    """Returns the module that needs the extra.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module("segtrain.app.serve.page")
    except ImportError as error:
        if str(error.name).partition(".")[0] not in SERVERS:
            raise
        raise UserError(f'serve needs uvicorn and starlette; got "{error}"; pip install "segtrain[serve]"') from error
