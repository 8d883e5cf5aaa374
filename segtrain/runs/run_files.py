"""Names the files of a run folder, and the folder itself; no module outside `segtrain.runs` does that.

The folder of an evaluation holds some of the same: RESULTS and PER_IMAGE.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

CONFIG = "config.yaml"  # resolved; the only truth
OVERRIDES = "overrides.yaml"  # what was typed
CHANGES = "changes.yaml"  # what a run went on with that was another before
STATUS = "status.json"
ENVIRONMENT = "env.json"
SPLIT = "split.json"
METRICS = "metrics.csv"  # a row an epoch
RESULTS = "results.json"  # its presence means that the run is whole
OLD_RESULTS = "results-before-{}.json"  # of a run that went on after it was finished
PER_IMAGE = "per_image.csv"  # a row a test image
ROBUSTNESS = "robustness.csv"  # a row a shift, strength and test image
INITIAL_WEIGHTS = "init.json"  # the file that the weights began with
LOGGER = "logger.json"  # where the logger goes on
NONFINITE = "nonfinite.json"  # the samples at which the loss was no number
LOG = "train.log"
AUGMENTED, PREDICTIONS, CURVES, THUMBNAILS = "augmented.png", "predictions.png", "curves.png", "thumbnails.jpg"
CHECKPOINTS = "checkpoints"  # the folder of the next four
WEIGHTS, BEST, LAST, PREVIOUS = "best.safetensors", "best.ckpt", "last.ckpt", "previous.ckpt"
FINISHED = (SPLIT, ENVIRONMENT, METRICS, PER_IMAGE, RESULTS)  # what every version has written of a finished run
# What a longer training goes on with, beside the checkpoints.
GONE_ON_WITH = (CONFIG, CHANGES, ENVIRONMENT, SPLIT, METRICS, INITIAL_WEIGHTS, LOG)
# What using a finished run takes, and reading about it, beside the best weights.
USED_WITH = (
    *(CONFIG, OVERRIDES, CHANGES, INITIAL_WEIGHTS, LOG, AUGMENTED, PREDICTIONS, CURVES, THUMBNAILS, ROBUSTNESS),
    *(*FINISHED, STATUS),
)
MEMBERS = "ensemble.json"  # of a folder of runs that are used as one
# Overrides that do not change the result, or that the path says already.
UNNAMED = re.compile(
    r"(name|outputs|debug|resume|sweep|trust|checkpoint\..*|data\.(num_workers|cache)|logger.*|hydra([./].*)?)(@.*)?"
)
LONGEST = 120  # characters of a folder name: leaves room for the path before it on every file system
LONGEST_BYTES = 200  # file systems allow 255 bytes a name; a temporary file adds to it


def folder_name(overrides: Sequence[str]) -> str:
    """Returns the run folder's readable name: what was typed, in typed order, joined by commas.

    Leaves out what does not change the result or is said elsewhere. Spaces and quotes are dropped,
    characters that some file system refuses become '-'; a long name is cut and ends in a hash of all
    of it; no overrides give 'default'. One path component: no leading dot, at most 120 characters
    and 200 bytes.
    """
    typed = [text.strip().lstrip("+") for text in overrides]
    named = [text for text in typed if not UNNAMED.fullmatch(text.lstrip("~").partition("=")[0].strip())]
    if not named:
        return "default"
    plain = unicodedata.normalize("NFC", re.sub(r"[\s'\"]", "", ",".join(named)))
    name = re.sub(r"[^\w=.,+%@-]", "-", plain).strip(".")
    if name and len(name) <= LONGEST and len(name.encode()) <= LONGEST_BYTES:
        return name
    mark = hashlib.sha256("\n".join(named).encode(errors="surrogatepass")).hexdigest()[:8]
    cut = name[: LONGEST - 9].encode()[: LONGEST_BYTES - 9].decode(errors="ignore")
    return f"{cut}-{mark}" if cut else mark
