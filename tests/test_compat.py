import subprocess
import sys


def run(code: str) -> str:
    """What a fresh interpreter prints; conftest has already registered the operators in this one."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_torchvision_and_smp_import_after_registering_twice_which_does_not_import_torchvision():
    out = run(
        "import sys\n"
        "from segtrain.compat import register_torchvision_operators as register\n"
        "register(); register()\n"
        "print('torchvision' in sys.modules)\n"
        "import torchvision, segmentation_models_pytorch\n"
        "register()"
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


def test_nothing_fails_without_torchvision_or_without_its_compiled_file():
    out = run(
        "import importlib.util, importlib.machinery, torch\n"
        "from segtrain.compat import register_torchvision_operators as register\n"
        "for hidden in (None, importlib.machinery.ModuleSpec('torchvision', None)):\n"
        "    importlib.util.find_spec = lambda name: hidden\n"
        "    register()\n"
        "    print(hasattr(torch.ops.torchvision, 'nms'))"
    )
    assert out.split() == ["False", "True"]  # the schemas stand in for the file alone
