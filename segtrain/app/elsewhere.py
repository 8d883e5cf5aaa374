"""Names `work` as the pickled cluster jobs of earlier versions do, which are still in a queue."""

from segtrain.app.sweep.clusters import work

__all__ = ["work"]
