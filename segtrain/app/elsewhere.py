"""Names `work` as the pickled cluster jobs of earlier versions do, which are still in a queue.

They name `segtrain.config_files.Loader` and functions of `segtrain.config` as well.
"""

from segtrain.app.sweep.clusters import work

__all__ = ["work"]
