"""Names Hydra's loader as the pickled cluster jobs of earlier versions do; see `segtrain.app.elsewhere`."""

from segtrain.config.files import CheckedLoader as Loader
from segtrain.config.files import ConfigFolder as Folder
from segtrain.config.files import Repository, Shipped

__all__ = ["Folder", "Loader", "Repository", "Shipped"]
