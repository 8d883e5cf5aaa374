"""What is written: every format gives back what was put."""

import csv
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from segtrain.app.predict import output_folder
from segtrain.app.predict.output_folder import TABLE, Band, DoneTable, Wanted, open_outputs, paths_of
from segtrain.errors import UserError
from segtrain.parts.input_images import Images, InputFile
from tests.parts.test_input_images import GEOREFERENCE

PALETTE = ((0, 0, 0), (230, 159, 0), (86, 180, 233))
HEIGHT, WIDTH = 40, 30
RNG = np.random.default_rng(0)


def wanted(**more: Any) -> Wanted:
    return Wanted(
        **{"overlay": False, "probabilities": None, **more},
        classes=("background", "a", "b"),
        palette=PALETTE,
        ignore_index=255,
    )


def opened(kind: Any = "image", pages: int = 1) -> InputFile:
    return InputFile(kind, pages, HEIGHT, WIDTH, lambda page, top, end: np.full((end - top, WIDTH, 1), page, np.uint8))


def write(
    folder: Path, source: InputFile, what: Wanted
) -> tuple[dict[str, Path], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Paths, labels (pages, H, W) and probabilities (pages, 3, H, W), put in bands of uneven height."""
    drawn = RNG.random((source.pages, 3, source.height, source.width), np.float32)
    probabilities = drawn / drawn.sum(1, keepdims=True)
    labels = probabilities.argmax(1).astype(np.uint8)
    paths = paths_of(folder / "sub/a", source, Path("a.nii.gz"), what)
    cut = source.height // 3
    with open_outputs(paths, source, what) as put:
        for page in range(source.pages):
            for top, end in ((0, cut), (cut, source.height)):
                rows = labels[page, top:end]
                put(
                    Band(
                        page,
                        top,
                        rows,
                        lambda p=page, t=top, e=end: probabilities[p, :, t:e],  # type: ignore[misc]
                        lambda p=page, t=top, e=end: source.rows(p, t, e),  # type: ignore[misc]
                    )
                )
    return paths, labels, probabilities


def test_an_image_gives_a_png_whose_numbers_are_labels_in_the_colours_of_the_classes(tmp_path: Path) -> None:
    paths, labels, _ = write(tmp_path, opened(), wanted())
    assert paths == {"labels": tmp_path / "sub/a.png"}
    image = Image.open(paths["labels"])
    assert image.mode == "P"
    np.testing.assert_array_equal(np.array(image), labels[0])
    np.testing.assert_array_equal(np.array(image.convert("RGB")), np.array(PALETTE, np.uint8)[labels[0]])


@pytest.mark.parametrize(("kind", "pages"), [("stack", 3), ("large", 1)])
def test_stacks_and_large_images_give_a_tiff_with_a_palette(tmp_path: Path, kind: str, pages: int) -> None:
    paths, labels, _ = write(tmp_path, opened(kind, pages), wanted())
    with tifffile.TiffFile(paths["labels"]) as file:
        np.testing.assert_array_equal(file.asarray(), labels if pages > 1 else labels[0])
        assert len(file.pages) == pages and file.pages[0].photometric.name == "PALETTE"  # type: ignore[union-attr]
        colours = file.pages[0].colormap  # type: ignore[union-attr]
    np.testing.assert_array_equal(colours[:, :3].T >> 8, PALETTE)


@pytest.mark.parametrize(("kind", "pages"), [("image", 1), ("stack", 2)])
def test_probabilities_are_16_bits_or_float32(tmp_path: Path, kind: str, pages: int) -> None:
    paths, _, probabilities = write(tmp_path, opened(kind, pages), wanted(probabilities="tiff"))
    found = tifffile.imread(paths["probabilities"])
    assert found.dtype == np.uint16
    expected = probabilities if pages > 1 else probabilities[0]
    np.testing.assert_array_equal(found, np.rint(expected * 65535))
    paths, _, probabilities = write(tmp_path, opened(kind, pages), wanted(probabilities="npz"))
    with np.load(paths["probabilities"]) as file:
        np.testing.assert_array_equal(file["probabilities"], probabilities if pages > 1 else probabilities[0])
        assert file["classes"].tolist() == ["background", "a", "b"]


def test_labels_of_a_scan_lie_where_the_scan_lies(tmp_path: Path) -> None:
    affine = np.array([[0, -2.0, 0, 5], [1, 0, 0, -7], [0, 0, -3, 1], [0, 0, 0, 1]])
    scan = nibabel.Nifti1Image(RNG.random((6, 8, 9), np.float32), affine)
    scan.header.set_xyzt_units("mm")
    nibabel.save(scan, tmp_path / "scan.nii.gz")
    for axis in (0, 1, 2):
        source = Images({}, 1, axis=axis).open(tmp_path / "scan.nii.gz")
        paths, labels, _ = write(tmp_path, source, wanted())
        assert paths["labels"].name == "a.nii.gz"
        found = nibabel.load(paths["labels"])
        assert found.shape == (6, 8, 9) and found.get_data_dtype() == np.uint8
        np.testing.assert_array_equal(found.affine, scan.affine)
        for key in ("qform_code", "sform_code", "xyzt_units", "pixdim"):
            np.testing.assert_array_equal(found.header[key], scan.header[key])
        again = Images({}, 1, axis=axis).open(paths["labels"])  # cut as the scan was
        for page in range(again.pages):
            np.testing.assert_array_equal(again.rows(page, 0, again.height)[..., 0], labels[page])


def test_an_overlay_of_a_large_image_shows_every_nth_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, _, _ = write(tmp_path, opened(), wanted(overlay=True))
    assert np.array(Image.open(paths["overlay"])).shape == (HEIGHT, WIDTH, 3)
    paths, _, _ = write(tmp_path, opened("stack", 2), wanted(overlay=True))
    assert tifffile.imread(paths["overlay"]).shape == (2, HEIGHT, WIDTH, 3)
    monkeypatch.setattr(output_folder, "MOST_OVERLAY", 15)
    paths, _, _ = write(tmp_path, opened("large"), wanted(overlay=True))
    assert np.array(Image.open(paths["overlay"])).shape == (14, 10, 3)


def test_a_failure_midway_leaves_what_was_there(tmp_path: Path) -> None:
    for kind in ("image", "large"):
        paths, labels, _ = write(tmp_path, opened(kind), wanted(probabilities="tiff"))
        before = {path: path.read_bytes() for path in paths.values()}
        with (
            pytest.raises(UserError, match="broken"),
            open_outputs(paths, opened(kind), wanted(probabilities="tiff")) as put,
        ):
            put(Band(0, 0, labels[0, :9] * 0, lambda: np.zeros((3, 9, WIDTH), np.float32), lambda: np.zeros(0)))
            raise UserError("broken")
        assert {path: path.read_bytes() for path in paths.values()} == before
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("kind", ["image", "large"])
def test_what_is_made_of_a_geotiff_lies_where_it_lies(kind: str, tmp_path: Path) -> None:
    """As a program for maps finds it: labels in a band of one page, classes as bands of one page."""
    source = opened(kind)._replace(georeference=tuple(GEOREFERENCE), has_nodata=True)
    paths, labels, probabilities = write(tmp_path, source, wanted(probabilities="tiff", overlay=True))
    assert paths["labels"].name == "a.tif"
    for name, expected in (("labels", labels[0]), ("probabilities", np.rint(probabilities[0] * 65535))):
        with tifffile.TiffFile(paths[name]) as file:
            page: Any = file.pages[0]
            assert len(file.pages) == 1 and [page.tags.valueof(code) for code, *_ in GEOREFERENCE] == [
                value for _, _, _, value, _ in GEOREFERENCE
            ]
            assert page.tags.valueof(42113) == ("255" if name == "labels" else None)
            np.testing.assert_array_equal(page.asarray(), expected)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"image")
    (tmp_path / "out").mkdir()
    return path


def test_done_is_what_the_same_model_made_of_the_same_file(source: Path) -> None:
    folder = source.parent / "out"
    output = folder / "a,1.png"
    output.write_bytes(b"labels")
    DoneTable(folder, "m").add("a", source, [output])
    assert DoneTable(folder, "m").has("a", source)
    assert not DoneTable(folder, "other").has("a", source) and not DoneTable(folder, "m").has("b", source)
    os.utime(source, ns=(0, 0))
    assert not DoneTable(folder, "m").has("a", source)
    DoneTable(folder, "m").add("a", source, [output])
    assert DoneTable(folder, "m").has("a", source)  # the last line counts
    output.unlink()
    assert not DoneTable(folder, "m").has("a", source)


def test_half_a_line_of_a_killed_process_counts_for_nothing(source: Path) -> None:
    folder = source.parent / "out"
    output = folder / "a.png"
    output.write_bytes(b"labels")
    done = DoneTable(folder, "m")
    done.add("a", source, [output])
    whole = (folder / TABLE).read_text()
    (folder / TABLE).write_text(whole[:-20])
    assert not DoneTable(folder, "m").has("a", source)
    DoneTable(folder, "m").add("a", source, [output])
    assert DoneTable(folder, "m").has("a", source)


def test_a_file_that_predict_has_not_made_is_not_replaced(source: Path) -> None:
    folder = source.parent / "out"
    output = folder / "a.png"
    output.write_bytes(b"precious")
    with pytest.raises(UserError, match="predict has not made it; nothing was replaced"):
        DoneTable(folder, "m").require_free("a", [output])
    DoneTable(folder, "m").add("a", source, [output])
    DoneTable(folder, "other").require_free("a", [output])  # another model's labels may replace ours
    with pytest.raises(UserError, match="is what predict made of 'a'"):
        DoneTable(folder, "m").require_free("b", [output])


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x85b\u2028", "a|b", "a\\u0041", 'a,"b"', os.fsdecode(b"\xffa")])
def test_any_name_is_known_again(source: Path, name: str) -> None:
    folder = source.parent / "out"
    source = source.rename(source.with_name(f"{name}.png"))
    (output := folder / f"{name}.png").write_bytes(b"labels")
    for _ in range(2):
        DoneTable(folder, "m").add(name, source, [output])
        done = DoneTable(folder, "m")
        assert done.has(name, source)
        done.require_free(name, [output])
        with pytest.raises(UserError, match="is there already"):
            done.require_free("another", [output])
    assert (folder / TABLE).read_bytes().decode().count("\n") == 3


@pytest.mark.parametrize("name", ["=cmd", "+1+1", "@SUM(1)", "-rf", "'=1", "'a", "''@x"])
def test_no_name_is_a_formula_and_each_is_known_again(source: Path, name: str) -> None:
    folder = source.parent / "out"
    source = source.rename(source.with_name(f"{name}.png"))
    (output := folder / f"{name}.png").write_bytes(b"labels")
    DoneTable(folder, "m").add(name, source, [output])
    cells = [cell for row in csv.reader((folder / TABLE).read_text().splitlines()) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "@", "-")]
    done = DoneTable(folder, "m")
    assert done.has(name, source)
    done.require_free(name, [output])


def test_what_was_done_is_written_through_no_link(source: Path) -> None:
    folder, mine = source.parent / "out", source.parent / "mine"
    (folder / TABLE).symlink_to(mine)
    with pytest.raises(UserError, match="is a link"):
        DoneTable(folder, "m").add("a", source, [])
    assert not mine.exists()
