#!/usr/bin/env python3
"""Multiply-accumulates and parameters of networks whose published figures are rounded or missing, from their tables of layers alone.

Needs Python only. `figures.py` prints the table; `figures.py --check` compares it with figures.csv beside it, which the tests of the
zoo read. It knows nothing of Systole: each network is written down once more, from its paper or its authors' file, as (output height,
output width, channels in a group's window, channels out, kernel height, kernel width, biased). Printed figures that a total must round to
stand beside it.
"""

import math
import pathlib
import sys


def conv(size, channels_in, channels_out, kernel, bias=True, groups=1):
    """(MACs, parameters) of a convolution with `size` = side or (h, w) of the output."""
    h, w = size if isinstance(size, tuple) else (size, size)
    kh, kw = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    weights = channels_in // groups * kh * kw * channels_out
    return h * w * weights, weights + (channels_out if bias else 0)


def transposed(size_in, channels_in, channels_out, kernel):
    """A transposed convolution without bias: every input pixel meets all weights."""
    weights = channels_in * channels_out * kernel * kernel
    return size_in * size_in * weights, weights


def dense(inputs, outputs, bias=True):
    return inputs * outputs, inputs * outputs + (outputs if bias else 0)


def norm(channels):
    """Scale and shift of a batch norm."""
    return 0, 2 * channels


def down(size, kernel, stride, pad=0, ceil=False):
    steps = (size + 2 * pad - kernel) / stride
    return (math.ceil(steps) if ceil else math.floor(steps)) + 1


def total(layers):
    return sum(layer[0] for layer in layers), sum(layer[1] for layer in layers)


def agrees(value, printed):
    """Whether `value` rounds to the digits printed, in millions."""
    if printed is None:
        return True
    if "e3" in printed:
        value, printed = value / 1000, printed.replace("e3", "")
    digits = len(printed.partition(".")[2])
    return f"{value / 1e6:.{digits}f}" == printed


def nin():
    layers, channels = [], 3
    for size, kernel, widths in [(54, 11, (96, 96, 96)), (27, 5, (256,) * 3), (13, 3, (384,) * 3), (6, 3, (1024, 1024, 1000))]:
        for index, width in enumerate(widths):
            layers.append(conv(size, channels, width, kernel if index == 0 else 1))
            channels = width
    return layers


def vgg_c():
    layers, channels = [], 3
    for size, width, kernels in [(224, 64, (3, 3)), (112, 128, (3, 3)), (56, 256, (3, 3, 1)), (28, 512, (3, 3, 1)), (14, 512, (3, 3, 1))]:
        for kernel in kernels:
            layers.append(conv(size, channels, width, kernel))
            channels = width
    return layers + [dense(512 * 49, 4096), dense(4096, 4096), dense(4096, 1000)]


def googlenet():
    layers = [conv(112, 3, 64, 7), conv(56, 64, 64, 1), conv(56, 64, 192, 3)]
    channels = 192
    table = {
        28: [(64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)],
        14: [(192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128)],
        7: [(256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)],
    }
    for size, modules in table.items():
        for one, reduce3, three, reduce5, five, projection in modules:
            layers += [conv(size, channels, one, 1), conv(size, channels, reduce3, 1), conv(size, reduce3, three, 3)]
            layers += [conv(size, channels, reduce5, 1), conv(size, reduce5, five, 5), conv(size, channels, projection, 1)]
            channels = one + three + five + projection
    return layers + [dense(channels, 1000)]


def nas_cifar():
    rows = [
        ((3, 3), 36, [0]), ((3, 3), 48, [1]), ((3, 3), 36, [1, 2]), ((5, 5), 36, [1, 2, 3]), ((3, 7), 48, [3, 4]),
        ((7, 7), 48, [2, 3, 4, 5]), ((7, 7), 48, [2, 3, 4, 5, 6]), ((7, 3), 36, [1, 6, 7]), ((7, 1), 36, [1, 5, 6, 8]),
        ((7, 7), 36, [1, 3, 4, 5, 6, 7, 8, 9]), ((5, 7), 36, [1, 2, 5, 6, 7, 8, 9, 10]), ((7, 7), 48, [1, 2, 3, 4, 6, 11]),
        ((7, 5), 48, [1, 3, 6, 7, 8, 9, 10, 11, 12]), ((7, 5), 48, [3, 7, 12, 13]), ((7, 5), 48, [6, 7, 11, 12, 13, 14]),
    ]
    widths, layers = [3], []
    for kernel, filters, sources in rows:
        layers += [conv(32, sum(widths[source] for source in sources), filters, kernel, bias=False), norm(filters)]
        widths.append(filters)
    return layers + [dense(48, 10)]


def fcn(skips):
    """`skips`: poolings whose scores are added."""
    layers, channels, size, pools = [], 3, 384 + 198, {}
    for stage, (width, count) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], 1):
        for _ in range(count):
            layers.append(conv(size, channels, width, 3))
            channels = width
        size = down(size, 2, 2, ceil=True)
        pools[stage] = (size, channels)
    size -= 6
    layers += [conv(size, 512, 4096, 7), conv(size, 4096, 4096, 1), conv(size, 4096, 21, 1)]
    factor = 32
    for stage in skips:
        layers.append(transposed(size, 21, 21, 4))
        size = (size - 1) * 2 + 4
        layers.append(conv(pools[stage][0], pools[stage][1], 21, 1))
        factor //= 2
    return layers + [transposed(size, 21, 21, 2 * factor)]


def sppnet_zf5():
    size = down(down(224, 7, 2, 1), 3, 2, ceil=True)
    first = down(224, 7, 2, 1)
    second = down(size, 5, 2)
    third = down(second, 3, 2, ceil=True)
    layers = [conv(first, 3, 96, 7), conv(second, 96, 256, 5), conv(third, 256, 384, 3), conv(third, 384, 384, 3), conv(third, 384, 256, 3)]
    return layers + [dense(256 * (36 + 9 + 4 + 1), 4096), dense(4096, 4096), dense(4096, 1000)]


def dilated(large):
    classes, layers, size = 21, [], 66 + 2 * 33 if large else 64
    channels = classes
    for dilation, factor in [(1, 2), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (1, 32)]:
        size -= 2 * dilation if large else 0
        width = classes * factor if large else classes
        layers.append(conv(size, channels, width, 3))
        channels = width
    return layers + [conv(size, channels, classes, 1)]


def alexnet():
    layers = [conv(55, 3, 96, 11), conv(27, 96, 256, 5, groups=2), conv(13, 256, 384, 3)]
    layers += [conv(13, 384, 384, 3, groups=2), conv(13, 384, 256, 3, groups=2)]
    return layers + [dense(9216, 4096), dense(4096, 4096), dense(4096, 1000)]


def xnor_alexnet():
    """Without groups; batch norm behind conv1, before each binary layer and behind fc7. Only fc8 has a bias."""
    layers = [conv(55, 3, 96, 11, bias=False), norm(96)]
    for size, channels_in, channels_out, kernel in [(27, 96, 256, 5), (13, 256, 384, 3), (13, 384, 384, 3), (13, 384, 256, 3)]:
        layers += [norm(channels_in), conv(size, channels_in, channels_out, kernel, bias=False)]
    layers += [norm(256), dense(9216, 4096, bias=False), norm(4096), dense(4096, 4096, bias=False), norm(4096)]
    # The printed 1.131 G has no last layer: 1 131 160 096 without it, 1 135 256 096 with it.
    assert agrees(total(layers)[0], "1131")
    return layers + [dense(4096, 1000)]


def bnn_vgg_small():
    layers, channels = [], 3
    for size, width in [(32, 128), (16, 256), (8, 512)]:
        for _ in range(2):
            layers += [conv(size, channels, width, 3, bias=False), norm(width)]
            channels = width
    for inputs, outputs in [(4 * 4 * 512, 1024), (1024, 1024), (1024, 10)]:
        layers += [dense(inputs, outputs, bias=False), norm(outputs)]
    return layers


def deformable_resnet_50():
    """The last stage at stride 1; a 3×3 with bias computes two offsets for each of nine taps."""
    layers, channels = [conv(112, 3, 64, 7, bias=False), norm(64)], 64
    for size, width, blocks in [(56, 64, 3), (28, 128, 4), (14, 256, 6), (14, 512, 3)]:
        for block in range(blocks):
            layers += [conv(size, channels, width, 1, bias=False), norm(width)]
            if width == 512:
                layers.append(conv(size, width, 2 * 9, 3))
            layers += [conv(size, width, width, 3, bias=False), norm(width), conv(size, width, 4 * width, 1, bias=False), norm(4 * width)]
            if block == 0:
                layers += [conv(size, channels, 4 * width, 1, bias=False), norm(4 * width)]
            channels = 4 * width
    return layers + [dense(2048, 1000)]


def deconvnet():
    first = down(224, 7, 2, 1)
    second = down(down(first, 3, 2, 1), 5, 2)
    layers = [conv(first, 3, 96, 7), conv(second, 96, 256, 5)]
    for size, channels_in, channels_out, kernel in [(second, 256, 96, 5), (first, 96, 3, 7)]:
        macs, weights = transposed(size, channels_in, channels_out, kernel)
        layers.append((macs, weights + channels_out))
    return layers


# name: (layers, printed MACs in millions and parameters in millions with their digits, or None where nothing is printed)
NETWORKS = {
    "alexnet": (alexnet(), "724.406816", "60.965224"),
    "nin": (nin(), "1100.189", "7.595176"),
    "vgg-c": (vgg_c(), "11770.888", "133.638952"),
    "googlenet": (googlenet(), "1582.672", "6.998552"),
    "nas-cifar": (nas_cifar(), None, "4.2"),
    "sppnet-zf5": (sppnet_zf5(), "1182.713", "77.037672"),
    "fcn-32s": (fcn([]), "124876.9", None),
    "fcn-16s": (fcn([4]), None, None),
    "fcn-8s": (fcn([4, 3]), "125001.5", "134.4898"),
    "dilated-context": (dilated(True), "34.8e3", None),
    "dilated-context-basic": (dilated(False), None, None),
    "xnor-alexnet": (xnor_alexnet(), "1135", None),
    "bnn-vgg-small": (bnn_vgg_small(), None, None),
    "deformable-resnet-50": (deformable_resnet_50(), None, None),
    "deconvnet": (deconvnet(), None, None),
}


def main():
    lines = ["network,macs,parameters"]
    for name, (layers, macs, parameters) in NETWORKS.items():
        found = total(layers)
        for value, printed, what in zip(found, (macs, parameters), ("MACs", "parameters")):
            if not agrees(value, printed):
                sys.exit(f"{name}: {value} {what}, printed are {printed} million")
        lines.append(f"{name},{found[0]},{found[1]}")
    text = "\n".join(lines) + "\n"
    recorded = pathlib.Path(__file__).with_name("figures.csv")
    if sys.argv[1:] == ["--check"]:
        if recorded.read_text() != text:
            sys.exit(f"{recorded} is not what this script computes; run it and save its output there")
        print(f"{recorded}: {len(NETWORKS)} networks, as computed")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
