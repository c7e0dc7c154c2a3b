//! `Resize` between pixels: rule N-30 in single precision, which both forms share.

use systole_network::op::Resize;

use crate::call::Call;
use crate::error::GoldenError;
use crate::moves::Places;

/// The two pixels beside a place, and how far it is from the lower one.
struct Between {
    lower: usize,
    upper: usize,
    part: f32,
}

impl Between {
    fn of(place: f32, length: usize) -> Between {
        let place = place.max(0.0).min((length - 1) as f32);
        let lower = place.floor();
        let upper = (lower as usize + 1).min(length - 1);
        Between { lower: lower as usize, upper, part: place - lower }
    }

    /// `a·(1 − t) + b·t`.
    fn mixed(&self, a: f32, b: f32) -> f32 {
        a * (1.0 - self.part) + b * self.part
    }
}

/// The output's real values, from those of the input: along the columns first, then along the rows.
pub(crate) fn evaluate(call: &Call<'_>, resize: &Resize, values: &[f32]) -> Result<Vec<f32>, GoldenError> {
    let Places { input: [planes, h, w], axes } = Places::of(call, resize)?;
    let [rows, columns] = [(0, h), (1, w)]
        .map(|(axis, length)| axes[axis].iter().map(|&place| Between::of(place, length)).collect::<Vec<Between>>());
    let mut output = Vec::with_capacity(planes * rows.len() * columns.len());
    for plane in values.chunks_exact(h * w) {
        for row in &rows {
            let [above, below] = [row.lower, row.upper].map(|y| &plane[y * w..][..w]);
            for column in &columns {
                let [above, below] = [above, below].map(|line| column.mixed(line[column.lower], line[column.upper]));
                output.push(row.mixed(above, below));
            }
        }
    }
    Ok(output)
}
