//! Channels to blocks of pixels and back: `DepthToSpace`, `SpaceToDepth`.

use systole_network::op::DepthOrder;

use super::Sources;
use crate::call::Call;
use crate::error::GoldenError;

/// Pixel (y, x) of channel c is from pixel (y / b, x / b), channel `(y mod b · b + x mod b) · depth + c` or `c · b² + y mod b · b + x mod b`.
pub(super) fn to_space(call: &Call<'_>, block: usize, order: DepthOrder) -> Result<Sources, GoldenError> {
    let [n, channels, h, w] = call.nchw(0)?;
    let area = block * block;
    if area == 0 || !channels.is_multiple_of(area) {
        return Err(call.malformed(format!("{channels} channels in blocks of {block}")));
    }
    let depth = channels / area;
    call.expect_output([n, depth, h * block, w * block])?;
    let mut sources = vec![];
    for image in 0..n {
        for c in 0..depth {
            for y in 0..h * block {
                for x in 0..w * block {
                    let place = y % block * block + x % block;
                    let channel = match order {
                        DepthOrder::DepthColumnRow => place * depth + c,
                        DepthOrder::ColumnRowDepth => c * area + place,
                    };
                    sources.push(Some(((image * channels + channel) * h + y / block) * w + x / block));
                }
            }
        }
    }
    Ok(sources)
}

/// Channel `(i · b + j) · c + k` of pixel (y, x) is channel k of pixel (y · b + i, x · b + j).
pub(super) fn to_depth(call: &Call<'_>, block: usize) -> Result<Sources, GoldenError> {
    let [n, channels, h, w] = call.nchw(0)?;
    if block == 0 || !h.is_multiple_of(block) || !w.is_multiple_of(block) {
        return Err(call.malformed(format!("{h} x {w} pixels in blocks of {block}")));
    }
    call.expect_output([n, channels * block * block, h / block, w / block])?;
    let mut sources = vec![];
    for image in 0..n {
        for place in 0..block * block {
            for channel in 0..channels {
                for y in 0..h / block {
                    for x in 0..w / block {
                        let (row, column) = (y * block + place / block, x * block + place % block);
                        sources.push(Some(((image * channels + channel) * h + row) * w + column));
                    }
                }
            }
        }
    }
    Ok(sources)
}
