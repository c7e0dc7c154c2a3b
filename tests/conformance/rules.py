"""The rules of `docs/numerics.md` for the operators in which ONNX Runtime is no exact oracle, in numpy: they say how many of the
recorded elements differ from golden, and where a small cut of a large tensor is worth recording."""
import numpy as np

F32 = np.float32


def saturate(v, zero, dtype):
    """N-0."""
    info = np.iinfo(dtype)
    return np.clip(np.rint(v).astype(np.float64) + int(zero), info.min, info.max).astype(dtype)


def centred(operand):
    q, _, zero = operand
    return q.astype(np.int32) - zero.astype(np.int32)


def add(a, b, scale, zero):
    """N-6."""
    v = centred(a).astype(F32) * a[1] + centred(b).astype(F32) * b[1]
    return saturate(v / scale, zero, zero.dtype)


def mul(a, b, scale, zero):
    """N-7."""
    v = (centred(a) * centred(b)).astype(F32) * (a[1] * b[1] / scale)
    return saturate(v + F32(zero), 0, zero.dtype)


def mul_zero_point_last(a, b, scale, zero):
    """Not N-7: the zero point is added after the rounding. Cuts are made where this is seen."""
    v = (centred(a) * centred(b)).astype(F32) * (a[1] * b[1] / scale)
    return saturate(v, zero, zero.dtype)


def average_pool(x, attributes, scale, zero):
    """N-5, without padding."""
    height, width = attributes["kernel_shape"]
    step_y, step_x = attributes.get("strides", [1, 1])
    windows = np.lib.stride_tricks.sliding_window_view(centred(x), (height, width), (2, 3))[:, :, ::step_y, ::step_x]
    total = windows.sum((-1, -2)).astype(F32)
    return saturate(total * (x[1] / (scale * F32(height * width))), zero, zero.dtype)


def batch_norm_constants(gamma, beta, mean, variance, epsilon):
    """`a` and `b` of N-8, rounded at each step."""
    a = gamma / np.sqrt(variance + F32(epsilon))
    return a, beta - mean * a


def batch_norm(x, a, b, scale, zero):
    """N-8."""
    shape = (1, -1, 1, 1)
    v = centred(x).astype(F32) * x[1]
    return saturate((v * a.reshape(shape) + b.reshape(shape)) / scale, zero, zero.dtype)


def exp2p(x):
    """N-10's exponential, for x <= 0."""
    t = x * F32(1.44269502)
    k = np.rint(t)
    r = (x - k * F32(0.693359375)) - k * F32(-2.12194440e-4)
    p = np.full_like(x, F32(1.9875691500e-4))
    for c in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        p = p * r + F32(c)
    y = ((p * (r * r) + r) + F32(1)) * np.exp2(k)
    return np.where(t < -126, F32(0), y).astype(F32)


def softmax(x, scale, zero):
    """N-10, x of shape [1, c]."""
    q = x[0].reshape(-1).astype(np.int32)
    e = exp2p(-((q.max() - q).astype(F32) * x[1]))
    total = F32(0)
    for term in e:
        total = F32(total + term)
    return saturate(e / total / scale, zero, zero.dtype).reshape(x[0].shape)


def lnp(u):
    """N-13's logarithm, for normal u."""
    m, e = np.frexp(u)
    low = m < F32(0.707106781)
    x = np.where(low, (m + m) - F32(1), m - F32(1)).astype(F32)
    e = (e - low).astype(F32)
    z = x * x
    p = np.full_like(x, F32(7.0376836292e-2))
    for c in (-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1,
              -2.4999993993e-1, 3.3333331174e-1):
        p = p * x + F32(c)
    y = (p * x) * z
    y = y + e * F32(-2.12194440e-4)
    y = y - F32(0.5) * z
    return (x + y) + e * F32(0.693359375)


def lrn(x, attributes, scale, zero):
    """N-13, x of shape [1, c, h, w]."""
    q, size = centred(x), attributes["size"]
    before, after = (size - 1) // 2, size // 2
    channels = q.shape[1]
    squares = np.stack([(q[:, max(c - before, 0):c + after + 1] ** 2).sum(1) for c in range(channels)], 1).astype(F32)
    a = F32(attributes["alpha"]) / F32(size) * x[1] * x[1]
    u = F32(attributes["bias"]) + squares * a
    w = exp2p(F32(-attributes["beta"]) * lnp(u))
    return saturate(q.astype(F32) * x[1] * w / scale, zero, zero.dtype)
