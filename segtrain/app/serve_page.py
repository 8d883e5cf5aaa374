"""serve's page and its server, in Gradio: controls, pictures, events. What is shown is `segtrain.app.look`'s."""

import base64
import os
import socket
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before the import: no word to any server
os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["HF_HUB_OFFLINE"] = "1"

import fastapi
import gradio as gr
import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from segtrain.app.look import NONE, Asked, Look, Shown
from segtrain.errors import UserError
from segtrain.printable import in_html

SUFFIXES = [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".nii", ".gz"]
MEGA = 2**20  # bytes
GRACE = 1  # seconds for answers under way when the server ends: a page's connection stays open by itself
KEPT = (300, 3600)  # seconds: how often files are looked at, and how old they become
STRONGEST = 3  # of the slider
PAGE = "Page of a stack, slice of a scan; -1: the middle one"
NO_FILE = "Drop an image on the field, or click on it."
FONT = ("system-ui", "sans-serif")
CSS = """
.gradio-container { max-width: 1500px !important; }
.pictures img { image-rendering: pixelated; }
.legend { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; }
.legend li { display: flex; align-items: center; gap: .45rem; margin: 0; }
.swatch { width: 1em; height: 1em; border: 1px solid #888; flex: none; }
.share { font-variant-numeric: tabular-nums; opacity: .75; }
h2 { margin: 0; overflow-wrap: anywhere; }
.refusal { color: #b00020; font-weight: 600; overflow-wrap: anywhere; }
.dark .refusal { color: #ff8a9a; }
.save { display: inline-block; padding: .5rem 1rem; border: 1px solid #888; border-radius: 4px; font-weight: 600; }
footer { display: none !important; }
"""


def page(look: Look, title: str, views: str, shift: str, most_mb: float) -> gr.Blocks:
    """The page, not yet served.

    Args:
        look: what answers it.
        title: what is served, as its heading.
        views: the test-time augmentation that is chosen at first.
        shift: the shift that is chosen at first.
        most_mb: size of a file, for the label; the server holds it.
    """
    with gr.Blocks(title=f"segtrain: {title}", analytics_enabled=False, delete_cache=KEPT) as blocks:
        gr.HTML(f"<h2>{in_html(title)}</h2>")
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                file = gr.File(label=f"Image, up to {most_mb:g} MB", file_types=SUFFIXES, elem_id="upload", height=180)
                number = gr.Number(-1, label=PAGE, precision=0, minimum=-1, maximum=10**6, elem_id="page")
                chosen = gr.Radio(list(look.predict), value=views, label="Test-time augmentation", elem_id="views")
                shifted = gr.Dropdown([NONE, *look.shifts.names], value=shift, label="Shift", elem_id="shift")
                strength = gr.Slider(0, STRONGEST, 1, step=0.1, label="Strength of the shift", elem_id="strength")
                draw = gr.Number(0, label="Draw of the shift", precision=0, minimum=0, maximum=10**6, elem_id="draw")
                fires = gr.Checkbox(True, label="Ops with a chance always fire", elem_id="fires")
            with gr.Column(scale=3, min_width=300):
                legend, facts = gr.HTML(elem_id="legend"), gr.HTML(NO_FILE, elem_id="facts")
                with gr.Row(elem_classes="pictures"):
                    image, mask = _picture("Image, as the network sees it", "image"), _picture("Mask", "mask")
                with gr.Row(elem_classes="pictures"):
                    over = _picture("Overlay", "overlay")
                    with gr.Column(min_width=240):
                        probability = _picture("Probability: black 0, yellow 1", "probability")
                        names = list(look.classes)
                        of = gr.Dropdown(names, value=names[-1], label="Probability of", elem_id="class")
                labels = gr.HTML(elem_id="labels")
        asked: list[Any] = [file, number, chosen, shifted, strength, draw, fires, of]
        answered = [image, mask, over, probability, legend, facts, labels]
        events = [control.change for control in asked]
        gr.on(
            events, answers(look), asked, answered, concurrency_limit=1, trigger_mode="always_last",
            show_progress="minimal", show_progress_on=facts, api_visibility="private",
        )  # fmt: skip
    blocks.queue(default_concurrency_limit=1, max_size=16)
    return blocks  # type: ignore[no-any-return, unused-ignore]  # gradio's own annotations


def answers(look: Look) -> Any:
    """The function behind the controls; a mistake of the user's is told on the page, which goes on."""

    def answer(
        path: str | None,
        page: int | None,
        views: str,
        shift: str,
        strength: float,
        draw: int | None,
        fires: bool,
        name: str,
    ) -> list[Any]:
        if path is None:
            return _nothing(NO_FILE)
        try:
            number = page if page is not None and page >= 0 else None
            shown = look.show(Asked(path, number, views, shift, float(strength), int(draw or 0), bool(fires)))
        except UserError as error:
            message = str(error).replace(path, Path(path).name)  # where an upload lies is not the user's concern
            return _nothing(f'<span class="refusal">{in_html(message)}</span>')
        return _something(shown, look.classes.index(name), Path(path).stem)

    return answer


def _picture(label: str, name: str) -> gr.Image:
    return gr.Image(
        label=label, elem_id=name, format="png", interactive=False, buttons=["download", "fullscreen"], min_width=240
    )


def _nothing(message: str) -> list[Any]:
    return [None, None, None, None, "", message, ""]


def _something(shown: Shown, label: int, stem: str) -> list[Any]:
    """The link holds the file itself: nothing has to be kept for it."""
    source = f"data:image/png;base64,{base64.b64encode(shown.png).decode()}"
    link = f'<a class="save" download="{in_html(stem)}.png" href="{source}">Labels as PNG</a>'
    pictures = [shown.image, shown.mask, shown.overlay, shown.probabilities[label]]
    return [*pictures, shown.legend, shown.facts, link]


def run(blocks: gr.Blocks, listener: socket.socket, host: str | None, most_mb: float) -> None:
    """Answer until a signal ends it.

    host: what the page may be asked for as, beside localhost; others are refused, so that no other site's name can be
    made to stand for this machine. None: anything.
    """
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if host is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[host, f"[{host}]", "localhost", "127.0.0.1"])
    theme = gr.themes.Default(font=FONT, font_mono=("ui-monospace", "monospace"))
    options = {"footer_links": [], "run_history": False, "show_error": True, "ssr_mode": False, "mcp_server": False}
    options |= {"pwa": False, "enable_monitoring": False, "theme": theme, "css": CSS}
    app = gr.mount_gradio_app(app, blocks, "/", max_file_size=int(most_mb * MEGA), **options)
    settings = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=GRACE)
    uvicorn.Server(settings).run(sockets=[listener])
