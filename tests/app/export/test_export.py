"""A run's network as a file: what is in it, that it computes the same, and what is refused."""

import functools
import json
import pickle
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from segtrain.__main__ import main
from segtrain.app.export import export as verb
from segtrain.app.export.card import fill_card
from segtrain.app.export.export import compared_sizes, measure_agreement
from segtrain.app.export.formats import FORMATS, write_onnx
from segtrain.config.composition import conf_dir
from segtrain.config.run_config import RunConfig
from segtrain.data.pixel_meaning import PixelMeaning
from segtrain.errors import UserError
from segtrain.model.metrics import prediction
from segtrain.model.normalised_network import NormalisedNetwork
from segtrain.parts.data import named_model
from segtrain.parts.network import build_network, load_average, load_run
from segtrain.parts.onnx_file import open_onnx
from segtrain.parts.predictor import predictor_of
from segtrain.runs.ensemble import ensemble_members, write_ensemble
from segtrain.runs.folder import RunFolder
from tests.conftest import SMALL, CommandLine, train

Export = Callable[..., int]


def exported(folder: Path, run: Path, form: str) -> Path:
    """The file of a format that the command writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setattr("sys.argv", ["segtrain", "export", f"run={run}", f"format={form}"])
        main()
    return run / "exported" / f"model{FORMATS[form].suffix}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = [option for option in SMALL if "decoder_channels" not in option]
    shallow = ["model=unet_shallow", "model.decoder_channels=[8,8,8]", "trainer.max_epochs=1"]
    return train(tmp_path_factory.mktemp("exported"), *kept, *shallow)


@pytest.fixture(scope="module")
def files(run: Path) -> Callable[[str], Path]:
    """files("onnx") -> the file of a format; each is written once."""
    return functools.cache(lambda form: exported(run, run, form))


@pytest.fixture(params=["onnx", "safetensors", pytest.param("torch_export", marks=pytest.mark.slow)])
def file(request: pytest.FixtureRequest, files: Callable[[str], Path]) -> Path:
    """The file of each format."""
    return files(request.param)


@pytest.fixture
def onnx_file(files: Callable[[str], Path]) -> Path:
    return files("onnx")


@pytest.fixture
def export(segtrain: CommandLine, run: Path) -> Export:
    """export("format=onnx", …) -> exit status."""
    return lambda *arguments: segtrain("export", f"run={run}", *arguments)


def about_in(file: Path) -> dict[str, Any]:
    (form,) = (form for form in FORMATS.values() if form.suffix == file.suffix)
    return form.open(file)[1]


def images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@pytest.mark.parametrize("shape", [(1, 1, 64, 64), (2, 1, 96, 160), (3, 1, 128, 64), (1, 1, 256, 224)])
def test_the_file_computes_what_the_network_does_for_every_batch_and_size(
    file: Path, run: Path, shape: tuple[int, ...]
) -> None:
    (form,) = (form for form in FORMATS.values() if form.suffix == file.suffix)
    stored = images(*shape).float()
    expected, got = load_run(RunFolder(run)).model(stored), form.open(file)[0](stored)
    assert got.shape == expected.shape == (shape[0], 3, *shape[2:])
    assert (got - expected).abs().max() <= 1e-3 * expected.abs().max()
    assert (prediction(got) == prediction(expected)).double().mean() >= 0.9999


def test_the_file_says_what_its_numbers_mean(file: Path, run: Path) -> None:
    about, loaded = about_in(file), load_run(RunFolder(run))
    assert about["classes"] == ["background", "disc", "square"]
    assert about["palette"] == [list(colour) for colour in loaded.palette]
    assert (about["channels"], about["ignore_index"], about["stride"]) == (1, 255, 32)
    assert about["normalisation"]["mean"] == pytest.approx(loaded.model.mean.flatten().tolist())
    assert about["run"] == f"shapes/{run.name}" and about["epoch_from_1"] == loaded.epoch + 1
    assert "reflect" in about["padding"] and "float32" in about["input"] and "largest" in about["output"]


def test_the_file_refuses_other_pixels_than_the_trainings_as_its_run_does(file: Path, run: Path) -> None:
    pixels = load_run(RunFolder(run)).pixels
    assert pixels is not None and PixelMeaning.from_json(about_in(file)["pixels"]) == pixels
    if file.suffix == ".onnx":
        for source in (file, [RunFolder(run)]):
            assert predictor_of(source).pixels == (pixels,)
            assert predictor_of(source, allow_other_pixels=True).pixels == ()


def test_the_file_names_no_folder_of_this_machine(file: Path, run: Path) -> None:
    content = file.read_bytes()
    for name in (str(run.parents[2]), str(Path(torch.__file__).parent), str(Path(__file__).parents[3])):
        assert name.encode() not in content


def test_the_terminal_tells_sizes_and_differences(export: Export, segtrain: CommandLine, run: Path) -> None:
    assert export("format=safetensors") == 0, segtrain.err
    for batch, height, width in compared_sizes(32):
        assert f"{batch} × 1 × {height} × {width}" in segtrain.out
    assert "100.0000%" in segtrain.out and str(run / "exported" / "model.safetensors.card.md") in segtrain.out
    assert not list((run / "exported").glob(".*")), "a temporary file is left"


def test_the_smallest_image_and_uint8_go_through_onnx(onnx_file: Path, run: Path) -> None:
    network, _ = open_onnx(onnx_file)
    expected = load_run(RunFolder(run)).model(images(1, 1, 32, 32))
    torch.testing.assert_close(network(images(1, 1, 32, 32)), expected, rtol=1e-4, atol=1e-4)


def test_onnx_is_one_sound_file_with_named_axes(onnx_file: Path) -> None:
    import onnx

    model = onnx.load(onnx_file, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    for value, channels in ((model.graph.input[0], 1), (model.graph.output[0], 3)):
        sizes = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        assert sizes == ["batch", channels, "32*rows", "32*columns"]
    assert {path.name for path in onnx_file.parent.iterdir() if path.name.startswith("model.onnx")} == {
        "model.onnx",
        "model.onnx.card.md",
    }


def test_the_python_of_the_card_gives_the_labels_of_predict(onnx_file: Path, tmp_path: Path) -> None:
    """Without segtrain: an odd size, padded and cut as the metadata says."""
    import segtrain

    Image.fromarray(images(45, 70).numpy()).save(tmp_path / "image.png")
    card = onnx_file.with_name("model.onnx.card.md").read_text()
    with_segtrain, alone = (part.split("```")[0] for part in card.split("```python\n")[1:])
    assert "segtrain.load" in with_segtrain and "import segtrain" not in alone
    alone = alone.replace("model.onnx", str(onnx_file)) + '\nnp.save("label.npy", label)\n'
    subprocess.run([sys.executable, "-c", alone], cwd=tmp_path, check=True, timeout=120)
    label = np.load(tmp_path / "label.npy")
    expected = segtrain.load(onnx_file).predict(np.array(Image.open(tmp_path / "image.png"))).labels
    assert label.shape == (45, 70) and (label == expected).all()


@pytest.mark.slow
def test_the_python_of_a_torch_export_card_runs_on_a_tiny_image(files: Callable[[str], Path], tmp_path: Path) -> None:
    file = files("torch_export")
    Image.fromarray(images(20, 70).numpy()).save(tmp_path / "image.png")
    card = file.with_name("model.pt2.card.md").read_text()
    alone = card.split("```python\n")[-1].split("```")[0].replace("model.pt2", str(file))
    done = subprocess.run([sys.executable, "-c", alone], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert sum(eval(done.stdout).values()) == 20 * 70


@pytest.fixture(scope="module")
def ensemble(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an ensemble of two in 32 bits: the run, and one of other weights, trained on other pixels."""
    folder = tmp_path_factory.mktemp("averaged") / "outputs" / "shapes"
    members = [Path(shutil.copytree(run, folder / name)) for name in ("seed=0", "aug=flips,seed=1")]
    for member in members:
        config = member / "config.yaml"
        config.write_text(re.sub(r"precision: \S+", "precision: 32-true", config.read_text()))
    weights = members[1] / "checkpoints" / "best.safetensors"
    with safe_open(weights, "pt") as file:
        about = json.loads(file.metadata()["segtrain"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    about["pixels"]["floor"] = [about["pixels"]["floor"][0] + 1]
    draws = torch.Generator().manual_seed(3)
    for tensor in (one for one in state.values() if one.is_floating_point() and one.ndim == 4):
        tensor *= 1 + torch.randn(tensor.shape, generator=draws)
    weights.write_bytes(safetensors_bytes(state, {"segtrain": json.dumps(about)}))
    write_ensemble(folder / "best", members)
    return folder / "best"


@pytest.mark.parametrize("form", ["onnx", pytest.param("torch_export", marks=pytest.mark.slow)])
def test_the_file_of_an_ensemble_gives_the_probabilities_of_predict(ensemble: Path, form: str) -> None:
    file = exported(ensemble.parents[2], ensemble, form)
    runs = ensemble_members(ensemble)
    predictor, single = predictor_of(runs), predictor_of(runs[:1])
    network, about = FORMATS[form].open(file)
    stored = images(1, 1, 96, 64).float()
    found = network(stored)[0].softmax(0).numpy()
    expected = predictor.predict(stored[0, 0].numpy().astype(np.uint8))
    np.testing.assert_allclose(found, expected.probabilities, atol=1e-5)
    assert np.abs(found - single.predict(stored[0, 0].numpy().astype(np.uint8)).probabilities).max() > 1e-3
    assert about["run"] == "shapes/best/seed=0 + shapes/best/aug=flips,seed=1"
    assert len(predictor.pixels) == 2 and (form != "onnx" or predictor_of(file).pixels == predictor.pixels)


@pytest.mark.parametrize("as_list", [False, True])
def test_the_card_of_an_ensemble_names_runs_that_can_be_used(
    ensemble: Path, as_list: bool, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a folder or as a list of runs, whose names have commas in them: the commands work as they stand."""
    monkeypatch.setattr(segtrain, "folder", ensemble.parents[2])
    Image.fromarray(images(45, 70).numpy()).save(segtrain.folder / "image.png")
    runs = ensemble_members(ensemble)
    if as_list:
        runs = [RunFolder(ensemble.parent / run.path.name) for run in runs]
    card = fill_card(load_average(runs), "model.pt2")
    assert "averages the probabilities of 2 runs" in card
    command = card.split("```bash\n")[1].split("```")[0]
    typed = shlex.split(command.replace("image.png", f"image.png output=labels-{as_list}"))
    assert ("run=outputs/shapes/best" in typed) == (not as_list)
    assert segtrain(*typed[3:], "probabilities=npz") == 0, segtrain.err
    spoken: dict[str, Any] = {}
    exec(card.split("```python\n")[1].split("```")[0], spoken)
    with np.load(segtrain.folder / f"labels-{as_list}" / "image_probabilities.npz") as written:
        np.testing.assert_allclose(spoken["probabilities"], written[written.files[0]], atol=1e-6)


def test_runs_without_a_folder_of_their_own_need_a_name(ensemble: Path, segtrain: CommandLine) -> None:
    several = f"run={ensemble.parent}/*seed=?"
    assert segtrain("export", several) == 2 and "output=NAME.onnx" in segtrain.err
    assert segtrain("export", several, "format=safetensors", "output=both.safetensors") == 2
    assert "one network" in segtrain.err and not list(segtrain.folder.iterdir())


@pytest.mark.parametrize("arguments", [["init_from=BEST", *SMALL], ["resume=BEST"], ["preview", "replay=BEST"]])
def test_what_goes_on_from_one_run_asks_for_a_member(
    ensemble: Path, segtrain: CommandLine, arguments: list[str]
) -> None:
    assert segtrain(*[argument.replace("BEST", str(ensemble)) for argument in arguments]) == 2
    assert "is an ensemble of 2 runs" in segtrain.err and str(ensemble_members(ensemble)[0].path) in segtrain.err
    assert segtrain.err.count("\n") == 1


@pytest.mark.slow
def test_an_ensemble_of_one_is_exported_as_its_run(run: Path, tmp_path: Path, files: Callable[[str], Path]) -> None:
    write_ensemble(tmp_path / "shapes" / "best", [run])
    file = exported(tmp_path, tmp_path / "shapes" / "best", "torch_export")
    opened, stored = FORMATS["torch_export"].open, images(1, 1, 64, 96).float()
    assert torch.equal(opened(file)[0](stored), opened(files("torch_export"))[0](stored))


def test_safetensors_have_the_names_of_training(run: Path, files: Callable[[str], Path]) -> None:
    file = files("safetensors")
    with safe_open(file, "pt") as ours, safe_open(run / "checkpoints" / "best.safetensors", "pt") as trained:
        assert set(ours.keys()) == {k for k in trained.keys() if k.startswith(("network.", "mean", "std"))}  # noqa: SIM118
        for name in ours.keys():  # noqa: SIM118
            assert torch.equal(ours.get_tensor(name), trained.get_tensor(name)), name


def test_a_network_by_its_class_is_called_so(composed: Callable[..., DictConfig]) -> None:
    assert named_model(RunConfig(composed("model=upernet"))) == "upernet"
    other = composed("model._target_=segmentation_models_pytorch.PSPNet", "~model.decoder_channels")
    assert named_model(RunConfig(other)).startswith("PSPNet ") and "unet_resnet18" in named_model(RunConfig(other))


def test_a_file_that_differs_is_not_kept_and_the_old_one_stays(
    export: Export, segtrain: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "model.safetensors"
    assert export("format=safetensors", f"output={output}") == 0, segtrain.err
    before = output.read_bytes()
    monkeypatch.setattr(verb, "RELATIVE", -1.0)  # no file can hold that
    assert export("format=safetensors", f"output={output}") == 2
    assert "computes something else" in segtrain.err and "was not kept" in segtrain.err
    assert output.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "model.safetensors.card.md"}


def test_another_file_is_not_overwritten(export: Export, segtrain: CommandLine, tmp_path: Path) -> None:
    output = tmp_path / "mine.safetensors"
    output.write_bytes(b"something else")
    assert export("format=safetensors", f"output={output}") == 2
    assert "is there already" in segtrain.err and "a file that is no export" in segtrain.err
    assert output.read_bytes() == b"something else"


@pytest.mark.slow
def test_a_file_that_is_there_is_not_run(export: Export, files: Callable[[str], Path], tmp_path: Path) -> None:
    output, canary = tmp_path / "mine.pt2", tmp_path / "ran"
    with zipfile.ZipFile(files("torch_export")) as ours, zipfile.ZipFile(output, "w") as theirs:
        for name in ours.namelist():
            # what torch.export.load unpickles without asking what it is
            theirs.writestr(name, pickle.dumps(Evil(canary)) if "/data/" in name else ours.read(name))
    assert export("format=torch_export", f"output={output}") == 0  # an export of this run: replaced
    assert not canary.exists()


class Evil:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_another_run_s_export_is_not_overwritten(
    export: Export, segtrain: CommandLine, files: Callable[[str], Path], run: Path, tmp_path: Path
) -> None:
    about = {**about_in(files("safetensors")), "run": "theirs/seed=1"}
    output = tmp_path / "theirs.safetensors"
    FORMATS["safetensors"].write(load_run(RunFolder(run)).model, about, output)
    assert export("format=safetensors", f"output={output}") == 2
    assert "got theirs/seed=1" in segtrain.err and "delete the file" in segtrain.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["format=tflite"], "expected onnx, torch_export or safetensors"),
        (["format=safetensors", "output=model.onnx"], "ends in .safetensors"),
        (["format=safetensors", "output=."], "ends in .safetensors"),
        (["card=perhaps"], "expected true or false"),
        (["run=nowhere"], "is no run folder"),
    ],
)
def test_a_mistake_is_told(export: Export, segtrain: CommandLine, arguments: list[str], told: str) -> None:
    assert export(*arguments) == 2
    assert told in segtrain.err and "Traceback" not in segtrain.err


def test_a_run_must_be_named(segtrain: CommandLine) -> None:
    assert segtrain("export") == 2
    assert "run" in segtrain.err and "Traceback" not in segtrain.err


def test_help_and_cfg_do_not_import_torch(run: Path) -> None:
    code = (
        "import sys\nfrom segtrain.__main__ import main\n"
        "sys.argv = ['segtrain', 'export', 'run=x', '--cfg', 'job']\nmain()\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=run, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "format: onnx" in done.stdout


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_told_with_its_extra(
    export: Export, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert export("format=onnx") == 2
    assert f"package {package}," in segtrain.err and "segtrain[export]" in segtrain.err


@pytest.mark.slow
@pytest.mark.parametrize("name", [*sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml")), "PSPNet"])
def test_architectures_agree_at_every_size(
    name: str, composed: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they ship, with random weights; the encoder of most is a small one, segformer's has one block a stage."""
    from segmentation_models_pytorch.encoders import encoders

    monkeypatch.setitem(encoders["mit_b0"]["params"], "depths", [1, 1, 1, 1])
    encoder = [] if name in ("segformer", "unet_shallow") else ["model.encoder_name=tu-test_resnet"]
    other = ["model._target_=segmentation_models_pytorch.PSPNet", "~model.decoder_channels"]
    torch.manual_seed(0)
    typed = other if name == "PSPNet" else [f"model={name}"]
    model = NormalisedNetwork(build_network(RunConfig(composed(*typed, *encoder)).model, 1, 4), [100.0], [50.0])
    model.eval().requires_grad_(False)
    about = {"classes": list("abcd"), "palette": [], "channels": 1, "ignore_index": 255, "stride": 32}
    write_onnx(model, about, tmp_path / "model.onnx")
    found = measure_agreement(model, open_onnx(tmp_path / "model.onnx")[0], 1, 32)
    assert len(found) == 4
    assert all(one.relative <= 1e-3 and one.labels >= 0.9999 for one in found), found


@pytest.fixture
def model() -> NormalisedNetwork:
    torch.manual_seed(0)
    return NormalisedNetwork(nn.Conv2d(2, 3, 3, padding=1), [100.0, 10.0], [50.0, 5.0]).eval().requires_grad_(False)


def test_the_same_network_agrees_fully(model: NormalisedNetwork) -> None:
    found = measure_agreement(model, model, 2, 32)
    assert [(one.absolute, one.relative, one.labels) for one in found] == [(0, 0, 1)] * len(compared_sizes(32))
    shapes = {one.shape for one in found}
    assert len(shapes) >= 3 and any(s[0] > 1 for s in shapes) and any(s[2] != s[3] for s in shapes)


def wrong_at_one_size(logits: Tensor) -> Tensor:
    return logits * (1.0 if logits.shape[-2:] != (128, 64) else 1.01)


WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "a little off": lambda logits: logits + 2e-3 * logits.abs().max(),
    "NaN": lambda logits: logits * float("nan"),
    "infinite": lambda logits: logits / 0,
    "another size": lambda logits: logits[..., :-1],
    "at one size alone": wrong_at_one_size,
}


@pytest.mark.parametrize("how", WRONG)
def test_another_result_is_refused(model: NormalisedNetwork, how: str) -> None:
    with pytest.raises(UserError, match="computes something else than the network"):
        measure_agreement(model, lambda images: WRONG[how](model(images)), 2, 32)


def test_other_labels_are_refused_though_the_logits_are_near(model: NormalisedNetwork) -> None:
    """Two classes whose logits are equal but for less than the tolerance."""
    near = nn.Conv2d(2, 2, 1)
    with torch.no_grad():
        near.weight.fill_(1.0)
        near.bias.copy_(torch.tensor([0.0, 1e-5]))  # type: ignore[union-attr]
    twins = NormalisedNetwork(near, [0.0, 0.0], [1.0, 1.0]).eval().requires_grad_(False)
    with pytest.raises(UserError, match=r"0\.0000% of labels agree"):
        measure_agreement(twins, lambda images: twins(images).flip(1), 2, 32)


def test_a_file_that_does_not_run_is_told(model: NormalisedNetwork) -> None:
    def broken(images: Tensor) -> Tensor:
        raise RuntimeError("no kernel")

    with pytest.raises(UserError, match=r"does not run on images of \(1, 2, 64, 64\); got: no kernel"):
        measure_agreement(model, broken, 2, 64)
