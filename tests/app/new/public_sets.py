"""Public data sets in small, laid out as their documentation has them, and what `new` must make of each."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image

from tests.app.new.layouts import SIZE, image, mask_image, save
from tests.data.datasets.mistakes.volume import body, nifti, series

GRID = (16, 18, 5)


class PublicSet(NamedTuple):
    """How it is made, and what of the config must come out; `asked` are words of the questions to the user."""

    make: Callable[[Path], object]
    expected: dict[str, Any]
    samples: int
    splits: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    channels: int = 3


def picture(path: Path, i: int) -> None:
    save(path, Image.fromarray(image(i)))


def mask(path: Path, i: int, codes: Any = (0, 255), how: str = "L") -> None:
    save(path, mask_image(i, list(codes), how))


def scan(path: Path, i: int, air: int = 0) -> None:
    values = np.random.default_rng(i).normal(300, 90, GRID).clip(20).astype(np.int16)
    values[0] = air
    nifti(str(path), values)


def label(path: Path, *values: int) -> None:
    """A box within a box."""
    drawn = body(GRID, values[0])
    for number, value in enumerate(values[1:], 2):
        drawn[2 * number : -2 * number, 2 * number : -2 * number, 1:-1] = value
    nifti(str(path), drawn)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def medical_decathlon(root: Path) -> None:
    """http://medicaldecathlon.com: imagesTr, labelsTr, imagesTs, dataset.json."""
    for i in (2, 3, 6, 10):
        scan(root / f"imagesTr/spleen_{i}.nii.gz", i)
        label(root / f"labelsTr/spleen_{i}.nii.gz", 1)
    scan(root / "imagesTs/spleen_1.nii.gz", 99)
    about = {"name": "Spleen", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "spleen"}}
    text(root / "dataset.json", json.dumps(about))


def nnunet(root: Path) -> None:
    """nnU-Net's documentation/dataset_format.md, version 2, with an ignore label."""
    for i in range(1, 5):
        for channel in range(2):
            scan(root / f"imagesTr/case_{i:03d}_{channel:04d}.nii.gz", 10 * i + channel)
        label(root / f"labelsTr/case_{i:03d}.nii.gz", 1, 2)
    about = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "tumour": 1, "ignore": 2},
        "numTraining": 4,
        "file_ending": ".nii.gz",
    }
    text(root / "dataset.json", json.dumps(about))


MODALITIES = ("flair", "t1", "t1ce", "t2")


def brats(root: Path, names: Iterable[str]) -> None:
    for i, name in enumerate(names):
        for k, modality in enumerate(MODALITIES):
            scan(root / name / f"{name}_{modality}.nii.gz", 10 * i + k)
        label(root / name / f"{name}_seg.nii.gz", 2, 1, 4)


def brats_2020(root: Path) -> None:
    """As on Kaggle: patient 355's labels are misnamed; the validation patients have none."""
    above = "MICCAI_BraTS2020_TrainingData"
    brats(root / above, [f"BraTS20_Training_{i:03d}" for i in (1, 2, 3, 4, 5, 6, 7, 8, 9, 355)])
    (root / above / "BraTS20_Training_355/BraTS20_Training_355_seg.nii.gz").rename(
        root / above / "BraTS20_Training_355/W39_1998.09.19_Segm.nii.gz"
    )
    text(root / above / "name_mapping.csv", "Grade,BraTS_2017_subject_ID,BraTS_2020_subject_ID\nHGG,NA,a\n")
    for i in (1, 2):
        for k, modality in enumerate(MODALITIES):
            name = f"BraTS20_Validation_{i:03d}"
            scan(root / "MICCAI_BraTS2020_ValidationData" / name / f"{name}_{modality}.nii.gz", 500 + 10 * i + k)


def acdc(root: Path) -> None:
    """Two frames of each heart with their ground truth, the film that they are of, and a file about the patient."""
    for i in (1, 2, 3, 4, 5, 6, 101, 102):
        folder = root / ("training" if i < 100 else "testing") / f"patient{i:03d}"
        text(folder / "Info.cfg", "ED: 1\nES: 9\nGroup: DCM\nNbFrame: 30\n")
        for frame in (1, 8 + i % 4):
            scan(folder / f"patient{i:03d}_frame{frame:02d}.nii.gz", 100 * i + frame)
            label(folder / f"patient{i:03d}_frame{frame:02d}_gt.nii.gz", 1, 2, 3)
        film = np.random.default_rng(i).integers(0, 900, (*GRID, 4)).astype(np.int16)
        nifti(str(folder / f"patient{i:03d}_4d.nii.gz"), film)
    text(root / "MANDATORY_CITATION.md", "Bernard et al. 2018")


def isic(root: Path, data: str, truth: str, ending: str, parts: dict[str, range]) -> None:
    for part, numbers in parts.items():
        for i in numbers:
            picture(root / data.format(part) / f"ISIC_{i:07d}.jpg", i)
            mask(root / truth.format(part) / f"ISIC_{i:07d}{ending}", i)
        text(root / truth.format(part) / "LICENSE.txt", "CC-0")


def isic_2016(root: Path) -> None:
    name = "ISBI2016_ISIC_Part1_{}_"
    isic(root, name + "Data", name + "GroundTruth", "_Segmentation.png", {"Training": range(8), "Test": range(8, 12)})
    text(root / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", "ISIC_0000000,benign\nISIC_0000001,malignant\n")


def isic_2018(root: Path) -> None:
    parts = {"Training": range(8), "Validation": range(8, 11), "Test": range(11, 14)}
    isic(root, "ISIC2018_Task1-2_{}_Input", "ISIC2018_Task1_{}_GroundTruth", "_segmentation.png", parts)
    text(root / "ISIC2018_Task1-2_Training_Input/ATTRIBUTION.txt", "ISIC")


def view() -> np.ndarray:
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    return np.uint8(255) * ((y - 20) ** 2 + (x - 24) ** 2 < 19**2)


def drive(root: Path, judged: bool = True) -> None:
    """Its test part came with the drawings of two, and comes without any today."""
    for part, numbers in {"training": range(21, 31), "test": range(1, 8)}.items():
        for i in numbers:
            picture(root / part / f"images/{i:02d}_{part}.tif", i)
            save(root / part / f"mask/{i:02d}_{part}_mask.gif", Image.fromarray(view()))
            for n in (1, 2) if part == "test" else (1,):
                if judged or part == "training":
                    mask(root / part / f"{'1st' if n == 1 else '2nd'}_manual/{i:02d}_manual{n}.gif", i)


def chase(root: Path) -> None:
    """Both eyes of 14 children, drawn by two."""
    for i in range(1, 15):
        for k, side in enumerate("LR"):
            picture(root / f"Image_{i:02d}{side}.jpg", 2 * i + k)
            for who in ("1stHO", "2ndHO"):
                mask(root / f"Image_{i:02d}{side}_{who}.png", 2 * i + k, (0, 1), "1")


def camvid(root: Path) -> None:
    """SegNet's, whose label 11 is unlabelled."""
    for i in range(9):
        part = ("train", "val", "test")[i % 3]
        picture(root / part / f"0001TP_{i:06d}.png", i)
        mask(root / f"{part}annot" / f"0001TP_{i:06d}.png", i, (*range(12),))


def camvid_colours(root: Path) -> None:
    """Cambridge's own: colours, named by a list in which black is void."""
    for i in range(12):
        picture(root / f"701_StillsRaw_full/0001TP_{i:06d}.png", i)
        colours = ("#000000", "#804080", "#400080", "#808080")
        mask(root / f"LabeledApproved_full/0001TP_{i:06d}_L.png", i, colours, "RGB")
    rows = ["64 128 64\tAnimal", "64 0 128\tCar", "128 64 128\tRoad", "128 128 128\tSky", "0 0 0\t\tVoid"]
    text(root / "label_colors.txt", "\n".join(rows) + "\n")


def cityscapes(root: Path) -> None:
    """gtFine: ids, instances, colours and polygons of each image."""
    ids = (0, 4, 7, 11, 26)
    for i in range(9):
        part, city = ("train", "train", "val")[i % 3], ("aachen", "bochum", "lindau")[i % 3]
        name = f"{city}_{i:06d}_000019"
        picture(root / f"leftImg8bit/{part}/{city}/{name}_leftImg8bit.png", i)
        mask(root / f"gtFine/{part}/{city}/{name}_gtFine_labelIds.png", i, ids)
        mask(root / f"gtFine/{part}/{city}/{name}_gtFine_instanceIds.png", i, (0, 4, 7, 11, 26001), "I;16")
        colours = ("#000000", "#000100", "#804080", "#464646", "#00008e")
        mask(root / f"gtFine/{part}/{city}/{name}_gtFine_color.png", i, colours, "RGB")
        text(root / f"gtFine/{part}/{city}/{name}_gtFine_polygons.json", '{"imgHeight": 40, "objects": []}')


def dsb_2018(root: Path) -> None:
    for i in range(6):
        name = f"{i:02d}ab"
        picture(root / f"stage1_train/{name}/images/{name}.png", i)
        for number in range(3):
            drawn = np.zeros(SIZE, np.uint8)
            drawn[5 * number : 5 * number + 4, 10:20] = 255
            save(root / f"stage1_train/{name}/masks/{number}f{i}.png", Image.fromarray(drawn))
        picture(root / f"stage1_test/t{i}/images/t{i}.png", 50 + i)
    text(root / "stage1_train_labels.csv", "ImageId,EncodedPixels\n00ab,1 4 8 4\n")


def lidc_slices(root: Path) -> None:
    """Slices about each nodule, numbered anew in each folder, drawn by four."""
    for i in range(24):
        folder = root / f"LIDC-IDRI-{i // 6 + 1:04d}/nodule-{i // 3 % 2}"
        picture(folder / f"images/slice-{i % 3}.png", i)
        for reader in range(4):
            mask(folder / f"mask-{reader}/slice-{i % 3}.png", i)


def kits(root: Path) -> None:
    """A folder a case, some of them without labels, and in some the drawings of single objects."""
    for i in range(6):
        scan(root / f"case_{i:05d}/imaging.nii.gz", i, -1024)
        if i < 5:
            label(root / f"case_{i:05d}/segmentation.nii.gz", 1, 2)
        for reader in (1, 2):
            label(root / f"case_{i:05d}/instances/kidney_instance-1_annotation-{reader}.nii.gz", 1)


def cvat_masks(root: Path) -> None:
    """Segmentation mask 1.1: colours of labelmap.txt."""
    for i in range(9):
        picture(root / f"JPEGImages/photo {i}.jpg", i)
        mask(root / f"SegmentationClass/photo {i}.png", i, ("#000000", "#fa3253", "#33ddff"), "RGB")
        mask(root / f"SegmentationObject/photo {i}.png", i, ("#000000", "#800000", "#008000"), "RGB")
    rows = ["# label:color_rgb:parts:actions", "background:0,0,0::", "cell:250,50,83::", "dirt:51,221,255::"]
    text(root / "labelmap.txt", "\n".join(rows) + "\n")
    text(root / "ImageSets/Segmentation/default.txt", "".join(f"photo {i}\n" for i in range(9)))


def kvasir(root: Path) -> None:
    """Masks saved as JPEG."""
    for i in range(12):
        picture(root / f"images/ck{i:02d}.jpg", i)
        y, x = np.ogrid[: SIZE[0], : SIZE[1]]
        drawn = np.uint8(255) * ((y - 18) ** 2 + (x - 20 - i) ** 2 < 130)
        path = root / f"masks/ck{i:02d}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.stack([drawn] * 3, 2)).save(path, quality=75)


def geotiff(root: Path) -> None:
    """Four bands of reflectance, -9999 where nothing was seen; masks whose tag says that 255 is none."""
    rng = np.random.default_rng(0)
    for i in range(6):
        bands = rng.random((*SIZE, 4)).astype(np.float32)
        drawn = (rng.random(SIZE) < 0.2).astype(np.uint8)
        bands[:, : 10 + i], drawn[:, : 10 + i] = -9999, 255
        for folder, pixels, nodata in (("images", bands, "-9999"), ("masks", drawn, "255")):
            (root / folder).mkdir(parents=True, exist_ok=True)
            tags = [(42113, "s", 0, nodata, True)]
            bands_last = {"planarconfig": "contig"} if pixels.ndim == 3 else {}
            path = root / folder / f"t{i:02d}.tif"
            tifffile.imwrite(path, pixels, photometric="minisblack", extratags=tags, **bands_last)


SPLITS = {"train": range(8), "valid": range(8, 11), "test": range(11, 14)}


def roboflow(root: Path) -> None:
    """COCO Segmentation: the annotations among the images of each part."""
    for part, numbers in SPLITS.items():
        for i in numbers:
            picture(root / part / f"IMG_{i:04d}_jpg.rf.{i:08x}.jpg", i)
        box = [5, 10, 30, 10, 30, 20, 5, 20]
        content = {
            "images": [
                {"id": i, "file_name": f"IMG_{i:04d}_jpg.rf.{i:08x}.jpg", "height": SIZE[0], "width": SIZE[1]}
                for i in numbers
            ],
            "categories": [{"id": 0, "name": "cells"}, {"id": 1, "name": "cell", "supercategory": "cells"}],
            "annotations": [
                {"id": i, "image_id": i, "category_id": 1, "segmentation": [box], "iscrowd": 0, "area": 250}
                for i in numbers
            ],
        }
        text(root / part / "_annotations.coco.json", json.dumps(content))
    text(root / "README.roboflow.txt", "exported")


def coco_of_windows(root: Path) -> None:
    """Paths of Windows, from above the folder of the images."""
    roboflow(root)
    for path in root.glob("*/_annotations.coco.json"):
        path.write_text(path.read_text().replace("IMG_", f"C:\\\\data\\\\{path.parent.name}\\\\IMG_"))


def coco_unlike(root: Path) -> None:
    """A polygon beyond the image, one of two corners, an object without any."""
    roboflow(root)
    for path in root.glob("*/_annotations.coco.json"):
        content = json.loads(path.read_text())
        box, two, out = content["annotations"][0]["segmentation"][0], [3, 3, 9, 9], [40, 5, 52.5, 5, 52.5, 12, 40, 12]
        for item, polygons in zip(content["annotations"], ([box, two], [box, out], []), strict=False):
            item["segmentation"] = polygons
        path.write_text(json.dumps(content))


def coco_lost(root: Path) -> None:
    roboflow(root)
    for path in root.glob("*/IMG_*"):
        path.rename(path.with_name(f"renamed{path.name}"))


def roboflow_masks(root: Path) -> None:
    """Semantic Segmentation Masks: each beside its image, the names in a table."""
    for part, numbers in SPLITS.items():
        for i in numbers:
            picture(root / part / f"IMG_{i:04d}_jpg.rf.{i:08x}.jpg", i)
            mask(root / part / f"IMG_{i:04d}_jpg.rf.{i:08x}_mask.png", i, (0, 1, 2))
        text(root / part / "_classes.csv", "Pixel Value, Class\n0, background\n1, cell\n2, dirt\n")


def of_modalities(folder: str, names: Iterable[str] = MODALITIES) -> list[str]:
    return [f"{folder}{{id}}/{{id}}_{name}.nii*" for name in names]


FRAMES = {"images": "{split}/*/{id}.nii*", "labels": "{split}/*/{id}_gt.nii*", "orphans": "leave_out"}
FULL = "MICCAI_BraTS2020_TrainingData/"
ISIC_2016, ISIC_2018 = "ISBI2016_ISIC_Part1_{split}_", "ISIC2018_Task1{}_{{split}}_"
EVERY = {
    "Medical Decathlon": PublicSet(
        medical_decathlon,
        {"images": "imagesTr/{id}.nii*", "classes": {"background": 0, "spleen": 1}, "window": [-160, 240]},
        20,
        channels=1,
    ),
    "nnU-Net": PublicSet(
        nnunet,
        {
            "images": ["imagesTr/{id}_0000.nii*", "imagesTr/{id}_0001.nii*"],
            "classes": {"background": 0, "tumour": 1},
            "ignore_value": 2,
        },
        20,
        channels=2,
    ),
    "BraTS 2020": PublicSet(
        brats_2020,
        {"images": of_modalities(FULL), "labels": f"{FULL}{{id}}/{{id}}_seg.nii*", "orphans": "leave_out"},
        45,
        asked=("BraTS20_Training_355",),
        channels=4,
    ),
    "BraTS 2021": PublicSet(
        lambda root: brats(root, [f"BraTS2021_{i:05d}" for i in (0, 2, 3, 5)]),
        {"images": of_modalities(""), "labels": "{id}/{id}_seg.nii*", "orphans": None},
        20,
        channels=4,
    ),
    "ACDC": PublicSet(acdc, FRAMES, 80, ("train", "test"), ("_4d.nii",), 1),
    "ISIC 2016": PublicSet(
        isic_2016,
        {"images": f"{ISIC_2016}Data/{{id}}.jpg", "masks": f"{ISIC_2016}GroundTruth/{{id}}_Segmentation.png"},
        12,
        ("train", "test"),
    ),
    "ISIC 2018": PublicSet(
        isic_2018,
        {
            "images": f"{ISIC_2018.format('-2')}Input/{{id}}.jpg",
            "masks": f"{ISIC_2018.format('')}GroundTruth/{{id}}_segmentation.png",
        },
        14,
        ("train", "val", "test"),
    ),
    "DRIVE": PublicSet(
        drive,
        {"masks": "{split}/1st_manual/{id}_manual1.gif", "regions": "{split}/mask/{id}_{split}_mask.gif"},
        17,
        ("train", "test"),
    ),
    "DRIVE without the test's drawings": PublicSet(
        lambda root: drive(root, judged=False),
        {"masks": "training/1st_manual/{id}_manual1.gif", "regions": "training/mask/{id}_training_mask.gif"},
        10,
        asked=("test has images without masks",),
    ),
    "CHASE": PublicSet(
        chase, {"masks": "{id}_1stHO.png", "split.group": True}, 28, asked=("could be masks too: {id}_2ndHO.png",)
    ),
    "CamVid": PublicSet(camvid, {"masks": "{split}annot/{id}.png", "ignore_value": 11}, 9, ("train", "val", "test")),
    "CamVid in colours": PublicSet(
        camvid_colours,
        {"classes": {"Car": "#400080", "Road": "#804080", "Sky": "#808080"}, "ignore_value": "#000000"},
        12,
    ),
    "Cityscapes": PublicSet(
        cityscapes,
        {
            "masks": "gtFine/{split}/{id}_gtFine_labelIds.png",
            "classes": {"road": 7, "building": 11, "car": 26},
        },
        9,
        ("train", "val"),
    ),
    "DSB 2018": PublicSet(dsb_2018, {"classes": ["background", "object"]}, 6),
    "LIDC-like slices": PublicSet(
        lidc_slices,
        {"images": "{folder}/images/{id}.png", "masks": "{folder}/mask-0/{id}.png", "split.group": "^([^/]+)/"},
        24,
        asked=("{folder}/mask-3/{id}.png",),
    ),
    "KiTS": PublicSet(
        kits,
        {
            "images": "{id}/imaging.nii*",
            "labels": "{id}/segmentation.nii*",
            "window": [-160, 240],
            "orphans": "leave_out",
        },
        25,
        asked=("case_00005",),
        channels=1,
    ),
    "CVAT's masks": PublicSet(
        cvat_masks, {"classes": {"background": "#000000", "dirt": "#33ddff", "cell": "#fa3253"}}, 9
    ),
    "Roboflow's COCO": PublicSet(roboflow, {"classes": ["background", "cell"]}, 14, ("train", "val", "test")),
    "COCO of Windows": PublicSet(
        coco_of_windows,
        {"classes": ["background", "cell"], "file_names": "last"},
        14,
        ("train", "val", "test"),
        ("file_names: last",),
    ),
    "COCO with polygons that are none": PublicSet(
        coco_unlike,
        {"outside": "clip", "shapeless": "skip", "file_names": None},
        14,
        ("train", "val", "test"),
        ("outside: clip", "shapeless: skip"),
    ),
    "Kvasir": PublicSet(kvasir, {"classes": {"background": 0, "foreground": 255}}, 12, asked=("JPEG",)),
    "GeoTIFF with nodata": PublicSet(
        geotiff,
        {"classes": {"background": 0, "foreground": 1}, "ignore_value": 255},
        6,
        channels=4,
    ),
    "Roboflow's masks": PublicSet(
        roboflow_masks, {"classes": {"background": 0, "cell": 1, "dirt": 2}}, 14, ("train", "val", "test")
    ),
}


def labelme(root: Path) -> None:
    for i in range(4):
        picture(root / f"p{i}.jpg", i)
        shape = {"label": "cell", "points": [[1, 2], [9, 2], [5, 9]], "shape_type": "polygon"}
        about = {"version": "5.4.1", "shapes": [shape], "imagePath": f"p{i}.jpg", "imageData": None}
        text(root / f"p{i}.json", json.dumps(about))


def label_studio(root: Path) -> None:
    for i in range(4):
        picture(root / f"images/{i:04d}beef-photo_{i}.jpg", i)
        for tag in ("cell", "dirt"):
            mask(root / f"masks/task-{i + 1}-annotation-{i + 1}-by-1-tag-{tag}-0.png", i)


def nrrd(root: Path) -> None:
    for i in range(3):
        text(root / f"case{i}/Volume.nrrd", "NRRD0004\n")
        text(root / f"case{i}/Segmentation.seg.nrrd", "NRRD0004\n")


def lidc_dicom(root: Path) -> None:
    for i in range(2):
        series(str(root / f"LIDC-IDRI-{i + 1:04d}/1.3.6.1/1.3.6.2"))
        text(root / f"LIDC-IDRI-{i + 1:04d}/1.3.6.1/1.3.6.2/069.xml", "<?xml version='1.0'?>\n<LidcReadMessage/>")


def cvat_xml(root: Path) -> None:
    for i in range(4):
        picture(root / f"images/{i}.jpg", i)
    text(
        root / "annotations.xml",
        '<?xml version="1.0"?>\n<annotations><version>1.1</version><image id="0" name="0.jpg">',
    )


def yolo(root: Path) -> None:
    for part, numbers in SPLITS.items():
        for i in numbers:
            picture(root / part / f"images/{i}.jpg", i)
            text(root / part / f"labels/{i}.txt", "0 0.1 0.1 0.5 0.1 0.5 0.5\n1 0.2 0.2 0.6 0.2 0.6 0.7 0.1 0.3\n")


UNREAD = {
    "LabelMe": (labelme, ("LabelMe", "p0.json", "labelme2voc")),
    "Label Studio": (label_studio, ("Label Studio", "cell, dirt", "COCO")),
    "NRRD": (nrrd, ("NRRD", "NIfTI")),
    "LIDC-IDRI": (lidc_dicom, ("LIDC-IDRI", "pylidc", "NIfTI")),
    "CVAT for images": (cvat_xml, ("CVAT", "annotations.xml", "Segmentation mask 1.1")),
    "YOLO": (yolo, ("YOLO", "COCO")),
    "COCO of other images": (coco_lost, ("_annotations.coco.json", "IMG_0", "file_name")),
}
