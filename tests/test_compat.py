"""torchvision's operators, registered in processes of their own: torch is imported once, and each case begins there."""

import subprocess
import sys
import textwrap

import pytest

CASES = {
    "torchvision and smp import after registering twice, which does not import torchvision": (
        """
        import sys
        from segtrain.compat import register_torchvision_operators as register
        register(); register()
        print('torchvision' in sys.modules)
        import torchvision, segmentation_models_pytorch
        register()
        """,
        ["False"],
    ),
    "operators that exist are left alone": (
        """
        import torch
        library = torch.library.Library('torchvision', 'DEF')
        for name in ('nms', 'qnms'):
            library.define(name + '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
            library.impl(name, lambda dets, scores, iou_threshold: dets + 41, 'CPU')
        from segtrain.compat import register_torchvision_operators as register
        register()
        print(int(torch.ops.torchvision.nms(torch.ones(()), torch.ones(()), 0.5)))
        """,
        ["42"],
    ),
    "nothing fails without torchvision or without its compiled file": (
        """
        import importlib.util, importlib.machinery, torch
        from segtrain.compat import register_torchvision_operators as register
        for hidden in (None, importlib.machinery.ModuleSpec('torchvision', None)):
            importlib.util.find_spec = lambda name: hidden
            register()
            print(hasattr(torch.ops.torchvision, 'nms'))
        """,
        ["False", "True"],  # the schemas stand in for the file alone
    ),
}
FORKS = """
import os, sys, torch
for code in sys.argv[1:]:
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        exec(code, {})
        sys.stdout.flush()
        os._exit(0)
    print("status", os.waitpid(child, 0)[1])
"""


@pytest.fixture(scope="module")
def printed() -> dict[str, list[str]]:
    """Case to the words that it prints and its exit status; conftest has registered the operators in this process."""
    codes = [textwrap.dedent(code) for code, _ in CASES.values()]
    done = subprocess.run([sys.executable, "-W", "error", "-c", FORKS, *codes], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *parts, _ = done.stdout.split("status 0\n")
    assert len(parts) == len(CASES), done.stdout + done.stderr
    return {case: part.split() for case, part in zip(CASES, parts, strict=True)}


@pytest.mark.parametrize("case", CASES)
def test_operators(case: str, printed: dict[str, list[str]]) -> None:
    assert printed[case] == CASES[case][1]
