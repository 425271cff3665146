"""The great architectures at full size, for images of 3 x 224 x 224 in 1000 classes, as torchvision builds them: their
shapes and counts can be had, though nothing here is meant to train them."""

from __future__ import annotations

from engine.models.model import Layers, Model

IMAGENET = (3, 224, 224)


def _head(net: Layers) -> None:
    net.add("pool", "global_avg_pool")
    net.add("flatten", "flatten")


def _alexnet() -> Model:
    """Krizhevsky, "One weird trick", 2014. The adaptive pool before the flattening changes nothing at this size."""
    net = Layers()
    for k, out, size, stride, pooled in (
        (1, 64, 11, 4, True),
        (2, 192, 5, 1, True),
        (3, 384, 3, 1, False),
        (4, 256, 3, 1, False),
        (5, 256, 3, 1, True),
    ):
        net.add(f"conv{k}", "conv2d", out=out, kernel_size=size, stride=stride, padding=2 if size > 3 else 1)
        net.add(f"relu{k}", "relu")
        if pooled:
            net.add(f"pool{k}", "max_pool2d", kernel_size=3, stride=2)
    net.add("flatten", "flatten")
    for k in (6, 7):
        net.add(f"drop{k}", "dropout", p=0.5)
        net.add(f"fc{k}", "linear", out=4096)
        net.add(f"relu{k}", "relu")
    net.add("fc8", "linear", out=1000)
    return Model(
        "alexnet",
        "AlexNet",
        "Krizhevsky and others, 2012, in its widely used form of one column: five "
        "convolutions and three fully connected layers, 61,100,840 parameters.",
        net.document(IMAGENET),
    )


def _vgg16() -> Model:
    net = Layers()
    for block, (out, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), start=1):
        for k in range(1, count + 1):
            net.add(f"conv{block}_{k}", "conv2d", out=out, kernel_size=3, padding=1)
            net.add(f"relu{block}_{k}", "relu")
        net.add(f"pool{block}", "max_pool2d", kernel_size=2)
    net.add("flatten", "flatten")
    for k in (6, 7):
        net.add(f"fc{k}", "linear", out=4096)
        net.add(f"relu{k}", "relu")
        net.add(f"drop{k}", "dropout", p=0.5)
    net.add("fc8", "linear", out=1000)
    return Model(
        "vgg16",
        "VGG-16",
        "Simonyan and Zisserman, 2014: thirteen 3 x 3 convolutions and three fully "
        "connected layers, 138,357,544 parameters.",
        net.document(IMAGENET),
    )


def _googlenet() -> Model:
    """With batch norm, and 3 x 3 where the article has 5 x 5; the auxiliary classifiers are left out."""
    net = Layers()

    def conv(name: str, out: int, size: int, stride: int, *inputs: str) -> str:
        net.add(
            f"{name}_conv", "conv2d", *inputs, out=out, kernel_size=size, stride=stride, padding=size // 2, bias=False
        )
        net.add(f"{name}_bn", "batch_norm", eps=0.001)
        return net.add(f"{name}_relu", "relu")

    conv("conv1", 64, 7, 2)
    net.add("pool1", "max_pool2d", kernel_size=3, stride=2, ceil_mode=True)
    conv("conv2", 64, 1, 1)
    conv("conv3", 192, 3, 1)
    before = net.add("pool2", "max_pool2d", kernel_size=3, stride=2, ceil_mode=True)
    for name, one, three_first, three, five_first, five, pooled in (
        ("3a", 64, 96, 128, 16, 32, 32),
        ("3b", 128, 128, 192, 32, 96, 64),
        ("4a", 192, 96, 208, 16, 48, 64),
        ("4b", 160, 112, 224, 24, 64, 64),
        ("4c", 128, 128, 256, 24, 64, 64),
        ("4d", 112, 144, 288, 32, 64, 64),
        ("4e", 256, 160, 320, 32, 128, 128),
        ("5a", 256, 160, 320, 32, 128, 128),
        ("5b", 384, 192, 384, 48, 128, 128),
    ):
        if name in ("4a", "5a"):
            size = 3 if name == "4a" else 2
            before = net.add(f"pool{int(name[0]) - 1}", "max_pool2d", kernel_size=size, stride=2, ceil_mode=True)
        branches = [conv(f"inception{name}_1", one, 1, 1, before)]
        conv(f"inception{name}_2a", three_first, 1, 1, before)
        branches.append(conv(f"inception{name}_2b", three, 3, 1))
        conv(f"inception{name}_3a", five_first, 1, 1, before)
        branches.append(conv(f"inception{name}_3b", five, 3, 1))
        net.add(f"inception{name}_pool", "max_pool2d", before, kernel_size=3, stride=1, padding=1)
        branches.append(conv(f"inception{name}_4", pooled, 1, 1))
        before = net.add(f"inception{name}", "concat", *branches)
    _head(net)
    net.add("drop", "dropout", p=0.2)
    net.add("fc", "linear", out=1000)
    return Model(
        "googlenet",
        "GoogLeNet",
        "Szegedy and others, 2014, with batch norm: nine Inception blocks, 6,624,904 parameters.",
        net.document(IMAGENET),
    )


def _resnet(name: str, title: str, counts: tuple[int, ...], narrow: bool, words: str) -> Model:
    """`narrow` blocks have two 3 x 3 convolutions; the others 1 x 1, 3 x 3 and 1 x 1 with four times the channels."""
    net = Layers()

    def normed(name: str, out: int, size: int, stride: int, *inputs: str) -> str:
        net.add(
            f"{name}_conv", "conv2d", *inputs, out=out, kernel_size=size, stride=stride, padding=size // 2, bias=False
        )
        return net.add(f"{name}_bn", "batch_norm")

    normed("stem", 64, 7, 2)
    net.add("stem_relu", "relu")
    before = net.add("stem_pool", "max_pool2d", kernel_size=3, stride=2, padding=1)
    known = 64
    for stage, count in enumerate(counts, start=1):
        width = 64 * 2 ** (stage - 1)
        for block in range(1, count + 1):
            prefix, stride = f"layer{stage}_{block}", 2 if stage > 1 and block == 1 else 1
            parts = (
                [(width, 3, stride), (width, 3, 1)]
                if narrow
                else [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]
            )
            after = before
            for k, (out, size, step) in enumerate(parts, start=1):
                after = normed(f"{prefix}_{k}", out, size, step, after)
                if k < len(parts):
                    after = net.add(f"{prefix}_{k}_relu", "relu")
            wide = parts[-1][0]
            same = wide == known and stride == 1
            shortcut = before if same else normed(f"{prefix}_shortcut", wide, 1, stride, before)
            net.add(f"{prefix}_add", "add", after, shortcut)
            before, known = net.add(f"{prefix}_relu", "relu"), wide
    _head(net)
    net.add("fc", "linear", out=1000)
    return Model(name, title, words, net.document(IMAGENET))


def _densenet121() -> Model:
    net = Layers()

    def conv(name: str, out: int, size: int) -> str:
        net.add(f"{name}_bn", "batch_norm")
        net.add(f"{name}_relu", "relu")
        return net.add(f"{name}_conv", "conv2d", out=out, kernel_size=size, padding=size // 2, bias=False)

    net.add("stem_conv", "conv2d", out=64, kernel_size=7, stride=2, padding=3, bias=False)
    net.add("stem_bn", "batch_norm")
    net.add("stem_relu", "relu")
    known, channels = net.add("stem_pool", "max_pool2d", kernel_size=3, stride=2, padding=1), 64
    for block, count in enumerate((6, 12, 24, 16), start=1):
        for k in range(1, count + 1):
            conv(f"dense{block}_{k}_1", 128, 1)
            found = conv(f"dense{block}_{k}_2", 32, 3)
            known = net.add(f"dense{block}_{k}", "concat", known, found)
        channels += 32 * count
        if block < 4:
            channels //= 2
            conv(f"transition{block}", channels, 1)
            known = net.add(f"transition{block}_pool", "avg_pool2d", kernel_size=2)
    net.add("last_bn", "batch_norm")
    net.add("last_relu", "relu")
    _head(net)
    net.add("fc", "linear", out=1000)
    return Model(
        "densenet121",
        "DenseNet-121",
        "Huang and others, 2016: 58 dense layers, each reading all before it in its block, 7,978,856 parameters.",
        net.document(IMAGENET),
    )


GREAT = (
    _alexnet(),
    _vgg16(),
    _googlenet(),
    _resnet(
        "resnet18",
        "ResNet-18",
        (2, 2, 2, 2),
        True,
        "He and others, 2015: eight blocks of two convolutions, 11,689,512 parameters.",
    ),
    _resnet(
        "resnet50",
        "ResNet-50",
        (3, 4, 6, 3),
        False,
        "He and others, 2015: sixteen blocks of three convolutions, 25,557,032 parameters.",
    ),
    _densenet121(),
)
