"""What a model card says of how to use the file: commands and code that run as they stand."""

import json

from segtrain.app.export.formats import run_name
from segtrain.command_line import command
from segtrain.draw.markdown import block
from segtrain.parts.trained_run import Loaded
from segtrain.printable import one_line

PADDED = """
height, width = image.shape[:2]
down, right = (max(-side % about["stride"], least - side) for side, least in zip((height, width), about["least"]))
image = np.pad(image, ((0, down), (0, right), (0, 0)), mode="reflect")
images = image.transpose(2, 0, 1)[None].astype(np.float32)
"""
ONNX = """import json

import numpy as np
import onnxruntime
{imports}
session = onnxruntime.InferenceSession({file})
about = json.loads(session.get_modelmeta().custom_metadata_map["segtrain"])
{read}{padded}(logits,) = session.run(None, {{"image": images}})
label = {label}
{last}"""
TORCH = """import json

import numpy as np
import torch
{imports}
extra = {{"segtrain": ""}}
network = torch.export.load({file}, extra_files=extra).module()
about = json.loads(extra["segtrain"])
{read}{padded}logits = network(torch.from_numpy(images)).numpy()
label = {label}
{last}"""
LAST = 'print({name: int((label == index).sum()) for index, name in enumerate(about["classes"])})  # pixels a class'


def use(loaded: Loaded, file: str) -> str:
    """The section for a file of this name."""
    run = run_name(loaded.run.path)
    parts = ["## How to use it", "With segtrain, on files, folders and scans of any size:"]
    source = f"model={file}" if file.endswith(".onnx") else f"run=outputs/{run}"
    name = file if file.endswith(".onnx") else f"outputs/{run}"
    parts += [block("bash", command("predict", source, "input=image.png")), "or from Python:"]
    parts.append(block("python", _python(loaded, name)))
    if file.endswith(".safetensors"):
        parts += [
            "The file holds the weights, under the names that segtrain gives them; to train on from them:",
            block("bash", command("", f"init_from={file}", "dataset=…", conf="")),
        ]
    else:
        parts += ["Without segtrain:", block("python", snippet(loaded, file))]
    return "\n\n".join(parts)


def snippet(loaded: Loaded, file: str) -> str:
    """A program that needs NumPy, a reader of images, and onnxruntime or torch."""
    imports, read = _reading(loaded)
    one = loaded.model(loaded.model.mean.expand(1, -1, 64, 64)).shape[1] == 1
    label = "logits[0, 0, :height, :width] > 0" if one else "logits[0, :, :height, :width].argmax(0)"
    words = {"imports": imports, "file": _quoted(file), "read": read, "padded": PADDED, "label": label, "last": LAST}
    return (ONNX if file.endswith(".onnx") else TORCH).format(**words)


def _python(loaded: Loaded, name: str) -> str:
    imports, read = _reading(loaded)
    return (
        f"import numpy as np\n{imports}\nimport segtrain\n\n"
        f"predictor = segtrain.load({_quoted(name)})\n{read}\nlabels, probabilities = predictor.predict(image)"
    )


def _quoted(name: str) -> str:
    """Returns the name as a text of Python, on one line."""
    return json.dumps(one_line(name), ensure_ascii=False)


def _reading(loaded: Loaded) -> tuple[str, str]:
    """The import and the lines that read an image (H, W, C): PIL's own conversions leave 8 bits of any picture."""
    channels, dtypes = loaded.channels, ("uint8",) if loaded.pixels is None else loaded.pixels.dtypes
    if channels not in (1, 3) or dtypes != ("uint8",):
        return "", f'image = np.load("image.npy")  # (H, W, C) {" or ".join(dtypes)}'
    grey = 'np.array(Image.open("image.png").convert("L"))[..., None]  # (H, W, 1)'
    colour = 'np.array(Image.open("image.png").convert("RGB"))  # (H, W, 3)'
    return "from PIL import Image\n", f"image = {grey if channels == 1 else colour}"
