"""The names that a `_target_` may have without trust=[…], by role: every class that is a choice, and nothing else.

What is left out takes a file, an address, code, a function, or what was pickled: albumentations' Lambda, TextImage,
FDA, HistogramMatching, PixelDistributionAdaptation (they read the files that they are given), torchvision's Lambda,
timm's and smp's functions that load weights. A class that a newer version of a library brings is refused until it is
listed here; until then trust=[package] says that it is meant.
"""

from typing import NamedTuple


class Role(NamedTuple):
    """Dotted names of what a node may build, and of what the nodes below it may."""

    itself: tuple[str, ...]
    below: tuple[str, ...] = ()


def _of(package: str, names: str) -> tuple[str, ...]:
    return tuple(f"{package}.{name}" for name in names.split())


DATASETS = _of(
    "segtrain.data.datasets",
    "BrainScanners BrainTissue Coco Csv Folder HuggingFace Instances Shapes Streamed Tiff Volume",
)
SPLITS = _of("segtrain.data.split", "Blocks Folds Given Ratios Stratified")
TRANSFORMS = (
    *_of("segtrain.aug", "CopyPaste CutMix Geometry Mosaic OpenCVElastic Photometry RandAugment TrivialAugment"),
    *_of("segtrain.aug.torchvision", "TorchVision"),
    *_of(
        "albumentations",
        """AdditiveNoise AdvancedBlur Affine AtLeastOneBBoxRandomCrop AutoContrast BBoxSafeRandomCrop Blur CLAHE
        CenterCrop CenterCrop3D ChannelDropout ChannelShuffle ChromaticAberration CoarseDropout CoarseDropout3D
        ColorJitter Compose ConstrainedCoarseDropout Crop CropAndPad CropNonEmptyMaskIfExists CubicSymmetry D4 Defocus
        Downscale ElasticTransform Emboss Equalize Erasing FancyPCA FrequencyMasking FromFloat GaussNoise GaussianBlur
        GlassBlur GridDistortion GridDropout GridElasticDeform HEStain HorizontalFlip HueSaturationValue ISONoise
        Illumination ImageCompression InvertImg LongestMaxSize MaskDropout MedianBlur Morphological MotionBlur
        MultiplicativeNoise NoOp Normalize OneOf OneOrOther OpticalDistortion Pad Pad3D PadIfNeeded PadIfNeeded3D
        Perspective PiecewiseAffine PixelDropout PlanckianJitter PlasmaBrightnessContrast PlasmaShadow Posterize
        RGBShift RandomBrightnessContrast RandomCrop RandomCrop3D RandomCropFromBorders RandomCropNearBBox RandomFog
        RandomGamma RandomGravel RandomGridShuffle RandomOrder RandomRain RandomResizedCrop RandomRotate90 RandomScale
        RandomShadow RandomSizedBBoxSafeCrop RandomSizedCrop RandomSnow RandomSunFlare RandomToneCurve ReplayCompose
        Resize RingingOvershoot Rotate SafeRotate SaltAndPepper SelectiveChannelTransform Sequential Sharpen
        ShiftScaleRotate ShotNoise SmallestMaxSize Solarize SomeOf Spatter SquareSymmetry Superpixels ThinPlateSpline
        TimeMasking TimeReverse ToFloat ToGray ToRGB ToSepia ToTensor3D ToTensorV2 Transpose UnsharpMask VerticalFlip
        XYMasking ZoomBlur""",
    ),
    *_of(
        "torchvision.transforms.v2",
        """AugMix AutoAugment CenterCrop ColorJitter Compose ConvertImageDtype CutMix ElasticTransform FiveCrop
        GaussianBlur GaussianNoise Grayscale Identity JPEG MixUp Normalize PILToTensor Pad RGB RandAugment
        RandomAdjustSharpness RandomAffine RandomApply RandomAutocontrast RandomChannelPermutation RandomChoice
        RandomCrop RandomEqualize RandomErasing RandomGrayscale RandomHorizontalFlip RandomInvert RandomIoUCrop
        RandomOrder RandomPerspective RandomPhotometricDistort RandomPosterize RandomResize RandomResizedCrop
        RandomRotation RandomShortestSize RandomSolarize RandomVerticalFlip RandomZoomOut Resize ScaleJitter TenCrop
        ToDtype ToImage ToPILImage ToPureTensor ToTensor TrivialAugmentWide UniformTemporalSubsample""",
    ),
)
NETWORKS = _of(
    "segmentation_models_pytorch",
    "DPT DeepLabV3 DeepLabV3Plus FPN Linknet MAnet PAN PSPNet Segformer UPerNet Unet UnetPlusPlus",
)
LAYERS = _of(  # arguments of timm's encoders, such as norm_layer, with _partial_: true
    "torch.nn",
    """AdaptiveAvgPool2d AdaptiveMaxPool2d AlphaDropout AvgPool2d BatchNorm2d CELU Conv2d Dropout Dropout2d ELU Flatten
    GELU GLU GroupNorm Hardshrink Hardsigmoid Hardswish Hardtanh Identity InstanceNorm2d LayerNorm LeakyReLU Linear
    LocalResponseNorm LogSigmoid LogSoftmax MaxPool2d Mish PReLU PixelShuffle PixelUnshuffle RMSNorm RReLU ReLU ReLU6
    SELU Sequential SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink Softsign Tanh Tanhshrink Upsample""",
)
LOSSES = (
    *_of("segtrain.model.losses", "CrossEntropy Dice DiceCE Focal Lovasz Tversky"),
    *_of(
        "segmentation_models_pytorch.losses",
        "DiceLoss FocalLoss JaccardLoss LovaszLoss MCCLoss SoftBCEWithLogitsLoss SoftCrossEntropyLoss TverskyLoss",
    ),
    *_of(
        "torch.nn",
        """BCELoss BCEWithLogitsLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss HuberLoss KLDivLoss L1Loss
        MSELoss MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss PoissonNLLLoss SmoothL1Loss
        SoftMarginLoss""",
    ),
)
OPTIMIZERS = (
    *_of(
        "torch.optim",
        """ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax LBFGS Muon NAdam RAdam RMSprop Rprop SGD SparseAdam""",
    ),
    *_of(
        "timm.optim",
        """AdaBelief Adadelta Adafactor AdafactorBigVision Adagrad Adahessian Adam AdamP AdamW AdamWLegacy Adamax Adan
        Adopt LaProp Lamb Lars Lion MADGRAD Mars Muon NAdam NAdamLegacy NAdamW NvNovoGrad RAdam RAdamLegacy RMSprop
        RMSpropTF SGD SGDP SGDW""",
    ),
)
SCHEDULERS = (
    *_of("segtrain.model.schedulers", "constant cosine one_cycle plateau poly"),
    *_of(
        "torch.optim.lr_scheduler",
        """ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts ExponentialLR LinearLR MultiStepLR
        OneCycleLR PolynomialLR ReduceLROnPlateau StepLR""",
    ),
)
ROLES = {
    "dataset": Role(DATASETS),
    "aug": Role(("segtrain.aug.Policy",), TRANSFORMS),
    "model": Role(NETWORKS, LAYERS),
    "loss": Role(LOSSES),
    "optimizer": Role(OPTIMIZERS),
    "scheduler": Role(SCHEDULERS),
    "trainer": Role(("lightning.Trainer",)),
    "logger": Role(_of("lightning.pytorch.loggers", "MLFlowLogger TensorBoardLogger WandbLogger")),
}
SPLIT = Role(SPLITS)  # at dataset.split
