"""Names a run folder readably after what was typed."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

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
