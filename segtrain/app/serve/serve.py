"""`python -m segtrain serve`: a page on this machine on which an image is dropped and its prediction looked at."""

import copy
import importlib
import ipaddress
import os
import secrets
import socket
import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from segtrain.app.serve.queue import Line, Patience
from segtrain.app.serve.uploads import MEGA, Uploads
from segtrain.config.composition import settings
from segtrain.config.run_config import Section
from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.interrupts import Stopped, Stops
from segtrain.printable import print_text
from segtrain.runs.find_runs import runs_of

if TYPE_CHECKING:
    from torch import Tensor

    from segtrain.parts.predictor import Predictor

SERVERS = ("uvicorn", "starlette")  # what serve_page imports of the extra
VARIABLE = "SEGTRAIN_PASSWORD"  # of the environment: a password there is not seen in the list of processes
SHORTEST = 8  # characters of a password
INTERRUPTED = 130  # exit status of Ctrl-C


def serve(config: DictConfig) -> None:
    """Serve the page until Ctrl-C, which ends with exit status 130, or SIGTERM, which ends with 0.

    Raises:
        UserError: no run and no model, or both; a value that cannot be; the extra is not installed; the port is taken.
        KeyboardInterrupt: Ctrl-C.
    """
    wanted = settings(config)
    check(wanted)
    secret = secret_of(wanted.host, wanted.password)
    with tempfile.TemporaryDirectory(prefix="segtrain-serve-") as uploads:
        patience = Patience(wanted.max_seconds)
        try:
            with Stops():
                _serve(wanted, Path(uploads), patience, secret)
        except Stopped as stop:
            patience.ended.set()
            print_text("stopped; what was uploaded is deleted", flush=True)
            if stop.status == INTERRUPTED:
                raise KeyboardInterrupt from None


def _serve(config: Section, folder: Path, patience: Patience, secret: str | None) -> None:
    if config.run is not None:
        runs_of(str(config.run), Path(config.outputs))  # told before torch is imported, which takes seconds
    serving = _serving()
    with listening(config.host, config.port) as listener:  # before the network is loaded, which takes seconds
        look, title = look_of(config, patience)
        server = _server(config, serving, look, title, folder, patience, secret, listener)
        print_text(f"{title}: {address(config, listener, secret)}", flush=True)
        if not is_local(config.host):
            print_text(
                f"warning: {config.host} is reachable from other machines, and the connection is not encrypted; who "
                "reads it reads the password and the images",
                flush=True,
            )
        print_text(
            f"takes images of up to {config.max_mb:g} MB and {config.max_pixels:,} pixels; Ctrl-C ends it", flush=True
        )
        serving.run(server, listener)


def _server(
    config: Section,
    serving: Any,
    look: Any,
    title: str,
    folder: Path,
    patience: Patience,
    secret: str | None,
    listener: socket.socket,
) -> Any:
    """The parts of the server, a `segtrain.app.serve.page.Server`."""
    from segtrain.app.serve.gate import Gate

    most, in_all = int(config.max_mb * MEGA), int(config.max_uploads_mb * MEGA)
    uploads = Uploads(folder, most, in_all, look.show.cache_clear)
    hosts = tuple(dict.fromkeys((config.host, "localhost", "127.0.0.1"))) if is_local(config.host) else None
    gate = Gate(uploads, hosts, secret, listener.getsockname()[1])
    page = serving.Page(look, title, config.views, config.shift, config.max_mb)
    return serving.Server(page, uploads, Line(patience), gate)


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


def address(config: Section, listener: socket.socket, secret: str | None) -> str:
    """Returns where the page is, with the password in it where that was made up, as nobody else could know it."""
    shown = f"[{config.host}]" if ":" in config.host else config.host
    is_made_up = secret is not None and config.password is None and VARIABLE not in os.environ
    token = f"/?token={secret}" if is_made_up else ""
    return f"http://{shown}:{listener.getsockname()[1]}{token}"


def look_of(config: Section, patience: Patience) -> tuple[Any, str]:
    """What answers the page, a `segtrain.app.serve.prediction_view.Look`, and the page's title."""
    from segtrain.app.serve.prediction_view import Look
    from segtrain.app.serve.upload_reader import Upload
    from segtrain.config.composition import searched
    from segtrain.model.ensemble import VIEWS
    from segtrain.parts.input_images import Images
    from segtrain.parts.predictor import predictor_of
    from segtrain.parts.shifts import Shifts

    options: dict[str, Any] = {"device": config.device, "allow_other_pixels": config.allow_other_pixels}
    if config.model_file is not None:
        path = Path(config.model_file).expanduser()
        predictor, title = predictor_of(path, **options), path.name
    else:
        runs = runs_of(str(config.run), Path(config.outputs))
        predictor, title = predictor_of(runs, **options), "/".join(runs[0].path.resolve().parts[-2:])
        title += f" and {len(runs) - 1} more, averaged" if len(runs) > 1 else ""
    if config.views not in VIEWS:
        raise UserError(f"views={config.views}; expected one of {', '.join(VIEWS)}")
    shifts = Shifts(list(config.shifts), predictor.ignore_index, searched())
    if config.shift not in ("none", *shifts.names):
        raise UserError(f"shift={config.shift} is not offered; expected none, or one of shifts={list(config.shifts)}")
    predict = {name: seen(predictor, name, patience).predict for name in VIEWS}
    computable = predictor.computable(config.max_pixels, config.max_gb, is_in_one=True)
    images = Images(predictor.reading, predictor.channels, pixels=predictor.pixels)
    read = Upload(images, computable, config.max_pixels).read
    look = Look(predict, read, shifts, predictor.classes, predictor.palette, predictor.ignore_index)
    return look, title


def seen(predictor: "Predictor", views: str, patience: Patience) -> "Predictor":
    """The predictor with a test-time augmentation, the network shared; it asks before each window whether to go on.

    What the image is, was asked when it was read: a shift of the page's may lead anywhere.
    """
    from segtrain.model.ensemble import viewed

    def model(image: "Tensor") -> "Tensor":
        patience.require()
        return predictor.model(image)

    other = copy.copy(predictor)
    other.pixels = ()
    other.model = viewed(model, [views], predictor.least)
    return other


def listening(host: str, port: int) -> socket.socket:
    """A socket on which nobody answers yet; port 0 is any free one.

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
    """Whether only this machine can reach the address."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def check(config: Section) -> None:
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
        "max_mb": ("a number above 0", _is_positive),
        "max_uploads_mb": ("a number above 0", _is_positive),
        "max_gb": ("a number above 0", _is_positive),
        "max_seconds": ("a number above 0", _is_positive),
        "max_pixels": ("a whole number from 1", lambda v: type(v) is int and v > 0),
        "shifts": ("a list of files of conf/aug", lambda v: isinstance(v, list)),
    }
    for key, (expected, holds) in rules.items():
        value = config[key]
        if not holds(value):
            raise UserError(f"{key} is {value!r}; expected {expected}; give {key}=…")


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")


def _is_host(value: Any) -> bool:
    try:
        return isinstance(value, str) and (value == "localhost" or bool(ipaddress.ip_address(value)))
    except ValueError:
        return False


def _serving() -> ModuleType:
    """The module that needs the extra.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module("segtrain.app.serve.page")
    except ImportError as error:
        if str(error.name).partition(".")[0] not in SERVERS:
            raise
        raise UserError(f'serve needs uvicorn and starlette; got "{error}"; pip install "segtrain[serve]"') from error
