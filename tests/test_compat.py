import subprocess
import sys

import pytest


def run(code: str) -> str:
    """What a fresh interpreter prints; conftest has already registered the operators in this one."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_torchvision_and_smp_import_after_registering_twice():
    run(
        "from segtrain.compat import register_torchvision_operators as register\n"
        "register(); register()\n"
        "import torchvision, segmentation_models_pytorch\n"
        "register()"
    )


def test_registering_does_not_import_torchvision():
    out = run(
        "import sys\n"
        "from segtrain.compat import register_torchvision_operators as register\n"
        "register()\n"
        "print('torchvision' in sys.modules)"
    )
    assert out.strip() == "False"


def test_operators_that_exist_are_left_alone():
    out = run(
        "import torch\n"
        "library = torch.library.Library('torchvision', 'DEF')\n"
        "for name in ('nms', 'qnms'):\n"
        "    library.define(name + '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "    library.impl(name, lambda dets, scores, iou_threshold: dets + 41, 'CPU')\n"
        "from segtrain.compat import register_torchvision_operators as register\n"
        "register()\n"
        "print(int(torch.ops.torchvision.nms(torch.ones(()), torch.ones(()), 0.5)))"
    )
    assert out.strip() == "42"


@pytest.mark.parametrize("hidden", ["None", "importlib.machinery.ModuleSpec('torchvision', None)"])
def test_nothing_fails_without_torchvision_or_without_its_compiled_file(hidden):
    run(
        "import importlib.util, importlib.machinery, torch\n"
        f"importlib.util.find_spec = lambda name: {hidden}\n"
        "from segtrain.compat import register_torchvision_operators as register\n"
        "register()"
    )
