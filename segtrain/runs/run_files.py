"""Names the files of a run folder, which no module outside `segtrain.runs` does by itself.

The folder of an evaluation holds some of the same: RESULTS and PER_IMAGE.
"""

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
