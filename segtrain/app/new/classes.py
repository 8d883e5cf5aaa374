"""The classes of a config, as guessed from the values of the masks."""

from collections.abc import Iterator

from segtrain.app.new.mask_values import Meaning
from segtrain.app.new.yaml_lines import Line, entry, scalar
from segtrain.counted import counted

NAME_THEM = "name the classes {}; one named background is left out of means"
WRAPPED = 16  # numbers a line


def class_words(meaning: Meaning) -> str:
    """What was found, on a line."""
    codes = [
        f"{n}={code[0]}..{code[-1]}" if isinstance(code, list) else f"{n}={code}" for n, code in meaning.classes.items()
    ]
    ignored = f"; ignored: {', '.join(map(str, meaning.ignored))}" if meaning.ignored else ""
    return f"{counted(len(codes), 'class', 'classes')}: {', '.join(codes)}{ignored}"


def class_lines(meaning: Meaning) -> Iterator[Line]:
    """`classes` and `ignore_value`, with their comments."""
    colours = any(isinstance(code, str) for code in meaning.classes.values())
    what = "colour" if colours else "value"
    names = f"; names from {meaning.source}" if meaning.source else ""
    yield Line(
        "classes:", f"name: {what} in the mask, from {counted(meaning.masks, 'mask')}; the check reads all{names}"
    )
    for name, code in meaning.classes.items():
        if isinstance(code, list):
            yield Line(f"  {scalar(name)}: [", meaning.comments[name])
            rows = [code[i : i + WRAPPED] for i in range(0, len(code), WRAPPED)]
            yield from (Line(f"    {', '.join(map(scalar, row))},") for row in rows)
            yield Line("  ]")
        else:
            yield entry(name, code, meaning.comments[name], indent=2)
    if meaning.ignored:
        value = meaning.ignored if len(meaning.ignored) > 1 else meaning.ignored[0]
        yield entry("ignore_value", value, f"{meaning.ignored_comment}: counts nowhere; if it should, make it a class")
    if meaning.tolerance is not None:
        yield entry(
            "tolerance", meaning.tolerance, "the masks are JPEG, which changes values: each is of the nearest class"
        )


def class_questions(meaning: Meaning) -> Iterator[str]:
    """Yields what the values of the masks leave open, a sentence each."""
    if meaning.unnamed:
        yield NAME_THEM.format(", ".join(meaning.unnamed))
    if meaning.tolerance is not None:
        yield (
            f"the masks are JPEG, so that values stray about those of {', '.join(meaning.classes)} "
            f"({', '.join(map(str, meaning.classes.values()))}); is there no other class? Save masks as PNG, if you can"
        )
