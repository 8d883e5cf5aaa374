"""In tests figures are drawn without a layout, which takes half of their time, where no test looks at their place.

A test that does asks for the fixture `laid_out`.
"""

from collections.abc import Iterator

import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine

LAY_OUT = ConstrainedLayoutEngine.execute


def draw_quickly() -> None:
    """Has figures stay as they are before their layout, in this process, from now on."""
    ConstrainedLayoutEngine.execute = lambda self, fig: None  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def laid_out() -> Iterator[None]:
    """Figures are laid out in this module, as they are for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConstrainedLayoutEngine, "execute", LAY_OUT)
        yield
