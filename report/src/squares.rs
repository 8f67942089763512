//! Areas that fill a rectangle, each as near to a square as it can be.
//!
//! The method is that of Bruls, Huizing and van Wijk, "Squarified Treemaps" (2000).

/// A rectangle within another one of this width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rectangle {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Lays sizes out, which are positive and stand in descending order.
pub(crate) fn lay_out(sizes: &[f64], within: Rectangle) -> Vec<Rectangle> {
    let sum: f64 = sizes.iter().sum();
    let scale = within.width * within.height / sum;
    let areas: Vec<f64> = sizes.iter().map(|size| size * scale).collect();
    let mut laid = Vec::with_capacity(areas.len());
    let mut free = within;
    let mut rest = areas.as_slice();
    while !rest.is_empty() {
        let side = free.width.min(free.height);
        let mut row = 1;
        while row < rest.len() && worst(&rest[..=row], side) <= worst(&rest[..row], side) {
            row += 1;
        }
        let (taken, left) = rest.split_at(row);
        free = lay_row(taken, free, &mut laid);
        rest = left;
    }
    laid
}

/// How far the worst of a row is from a square.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let ratio = |area: &f64| {
        let long = side * side * area / (sum * sum);
        long.max(1.0 / long)
    };
    row.iter().map(ratio).fold(0.0, f64::max)
}

/// Lays a row along the shorter side; gives what is free then.
fn lay_row(row: &[f64], free: Rectangle, laid: &mut Vec<Rectangle>) -> Rectangle {
    let sum: f64 = row.iter().sum();
    let mut done = 0.0;
    let is_column = free.width >= free.height;
    let side = if is_column { free.height } else { free.width };
    let thick = sum / side;
    for area in row {
        let long = area / thick;
        laid.push(match is_column {
            true => Rectangle {
                x: free.x,
                y: free.y + done,
                width: thick,
                height: long,
            },
            false => Rectangle {
                x: free.x + done,
                y: free.y,
                width: long,
                height: thick,
            },
        });
        done += long;
    }
    match is_column {
        true => Rectangle {
            x: free.x + thick,
            width: free.width - thick,
            ..free
        },
        false => Rectangle {
            y: free.y + thick,
            height: free.height - thick,
            ..free
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the paper.
    #[test]
    fn the_areas_of_the_paper_are_laid_out_as_there() {
        let within = Rectangle {
            x: 0.0,
            y: 0.0,
            width: 6.0,
            height: 4.0,
        };
        let laid = lay_out(&[6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0], within);
        assert_eq!(laid.len(), 7);
        let near = |one: f64, other: f64| (one - other).abs() < 1e-9;
        assert!(near(laid[0].width, 3.0) && near(laid[0].height, 2.0));
        assert!(near(laid[1].y, 2.0) && near(laid[2].x, 3.0));
        assert!(near(laid[2].width, 12.0 / 7.0));
        let area: f64 = laid.iter().map(|one| one.width * one.height).sum();
        assert!(near(area, 24.0));
        for one in &laid {
            assert!(one.x + one.width <= 6.0 + 1e-9 && one.y + one.height <= 4.0 + 1e-9);
        }
    }
}
