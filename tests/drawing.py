"""In tests figures are built but neither laid out nor drawn, a twentieth of the time, where no test looks at them.

PNGs are white then, of the size that they have for users; SVGs are drawn without a layout. A test that looks asks for
the fixture `laid_out`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.layout_engine import ConstrainedLayoutEngine

LAY_OUT, DRAW = ConstrainedLayoutEngine.execute, FigureCanvasAgg.draw


def draw_quickly() -> None:
    """Has figures stay as they are before their layout, and their PNGs white, in this process, from now on."""
    ConstrainedLayoutEngine.execute = lambda self, fig: None  # type: ignore[method-assign]
    FigureCanvasAgg.draw = _draw_nothing  # type: ignore[method-assign]


def _draw_nothing(self: FigureCanvasAgg) -> None:
    self.renderer = self.get_renderer()
    self.renderer.clear()


@contextmanager
def drawn_in_full() -> Iterator[None]:
    """Figures are laid out and drawn, as they are for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConstrainedLayoutEngine, "execute", LAY_OUT)
        patch.setattr(FigureCanvasAgg, "draw", DRAW)
        yield


@pytest.fixture(scope="module")
def laid_out() -> Iterator[None]:
    """So are they in this module."""
    with drawn_in_full():
        yield
