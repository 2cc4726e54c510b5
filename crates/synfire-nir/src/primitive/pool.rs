//! Pooling.

use super::conv::windows;
use crate::error::Problem;
use crate::field::checked_shape;
use crate::layer::{Build, Layer};
use crate::node::{Shapes, primitive};

primitive! {
    /// The sum of each window of an image, `[channels, height, width]`. Windows at the edge that are not full are left out.
    pub struct SumPool2d {
        /// Height and width of a window.
        pub kernel_size: [usize; 2],
        /// The distance of windows.
        pub stride: [usize; 2],
        /// The zeros at all sides.
        pub padding: [usize; 2],
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        shapes(Window::new(self.kernel_size, self.stride, self.padding)?, input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        let window = Window::new(self.kernel_size, self.stride, self.padding)?;
        let pixels = window.size[0] * window.size[1];
        Ok(Layer::pool(window, pixels as f64, build))
    }
}

primitive! {
    /// The mean of each window of an image, `[channels, height, width]`, the zeros around it included. Windows at the edge that
    /// are not full are left out.
    pub struct AvgPool2d {
        /// Height and width of a window.
        pub kernel_size: [usize; 2],
        /// The distance of windows.
        pub stride: [usize; 2],
        /// The zeros at all sides.
        pub padding: [usize; 2],
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        shapes(Window::new(self.kernel_size, self.stride, self.padding)?, input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        let window = Window::new(self.kernel_size, self.stride, self.padding)?;
        Ok(Layer::pool(window, 1.0, build))
    }
}

/// The windows of a pooling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub size: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
}

impl Window {
    fn new(size: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Result<Self, Problem> {
        let window = Self {
            size,
            stride,
            padding,
        };
        checked_shape("kernel_size", &window.size)?;
        checked_shape("stride", &window.stride)?;
        // As PyTorch requires, so that no window is of zeros alone.
        match window
            .padding
            .iter()
            .zip(window.size)
            .all(|(padding, size)| *padding <= size / 2)
        {
            true => Ok(window),
            false => {
                let problem = format!("is {:?}, expected at most half of a window", window.padding);
                Err(Problem::new("padding", problem))
            }
        }
    }
}

fn shapes(window: Window, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
    let Some(input) = input else {
        return Ok(None);
    };
    let [channels, height, width] = *input else {
        let problem = format!("takes [channels, height, width], but {input:?} comes in");
        return Err(Problem::new("kernel_size", problem));
    };
    let padding = window.padding.map(|size| (size, size));
    let image = [height, width];
    let [height, width] = windows(
        "kernel_size",
        image,
        window.size,
        window.stride,
        padding,
        [1; 2],
    )?;
    Ok(Some(Shapes {
        input: input.to_vec(),
        output: vec![channels, height, width],
    }))
}
