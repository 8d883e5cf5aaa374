"""The verbs that take names: configs are nothing to them, and what they do not read is refused as what it is."""

import pytest

from tests.app.report.made import run, sweep
from tests.conftest import CommandLine

PAIR = tuple(f"outputs/s/aug={policy},aug.strength=1,seed=0" for policy in ("elastic", "flips"))
COMMANDS = {"report": ("outputs/s",), "compare": PAIR, "diff": PAIR}
FOLDER = (["--config-dir", "my_conf"], ["--config-dir=my_conf"], ["-cd", "my_conf"])


@pytest.mark.parametrize("verb", COMMANDS)
def test_what_else_is_typed(verb: str, segtrain: CommandLine) -> None:
    for policy in ("elastic", "flips"):
        run(segtrain.folder / "outputs/s", policy, 1.0, seed=0, model={}, loss={}, optimizer={}, scheduler={})
    names = COMMANDS[verb]
    assert segtrain(verb, *names) == 0, segtrain.err
    plain = segtrain.out
    for folder in FOLDER:
        for typed in ([*folder, verb, *names], [verb, *folder, *names], [verb, *names, *folder]):
            assert segtrain(*typed) == 0, segtrain.err
            assert segtrain.out.replace("--config-dir my_conf", "--config-dir …") == plain  # in commands that it tells
    for other in ("+foo=1", "++foo.bar=1", "~foo"):
        assert segtrain(verb, *names, other) == 2
        assert f"nothing reads the key '{other.lstrip('+~').partition('=')[0]}'" in segtrain.err
    assert segtrain(verb, *names, "--foo") == 2 and "there is no option --foo" in segtrain.err


def test_a_key_without_a_sign_is_no_folder_either(segtrain: CommandLine) -> None:
    sweep(segtrain.folder / "outputs/s", seeds=2)
    assert segtrain("report", "outputs/s", "tims=false") == 2 and "the key 'tims'" in segtrain.err
    (segtrain.folder / "outputs/s").rename(segtrain.folder / "name=s")
    assert segtrain("report", "name=s") == 0, segtrain.err
