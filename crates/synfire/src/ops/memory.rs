//! Memory that threads share in parts, and tensors of the backend as slices.

use std::cell::RefCell;
use std::mem::MaybeUninit;

use burn::backend::TensorMetadata;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

/// A pointer shared by threads, each of which writes different elements.
#[derive(Clone, Copy)]
pub struct Shared<T = f32>(*mut T);

// SAFETY: it is only an address; callers of its methods guarantee that threads use disjoint elements.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Shares a slice, which nothing else may use while its parts are in use.
    pub fn new(values: &mut [T]) -> Self {
        Self(values.as_mut_ptr())
    }

    /// The elements from `at` on.
    pub fn after(self, at: usize) -> Self {
        // Only the use of an element is unsafe.
        Self(self.0.wrapping_add(at))
    }

    /// `len` numbers from `at` on.
    ///
    /// # Safety
    ///
    /// They lie within the slice, which lives for `'a`, and nothing else reads or writes them during `'a`.
    pub unsafe fn part<'a>(self, at: usize, len: usize) -> &'a mut [T] {
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(at), len) }
    }
}

impl Shared<f32> {
    /// The same elements, as possibly uninitialised ones.
    pub fn maybe_unwritten(self) -> Shared<MaybeUninit<f32>> {
        Shared(self.0.cast())
    }
}

impl Shared<MaybeUninit<f32>> {
    /// [`part`](Self::part) of uninitialised elements, filled with zeros: for a part that stays in the cache until it is
    /// written again.
    ///
    /// # Safety
    ///
    /// As for `part`.
    pub unsafe fn zeros<'a>(self, at: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: the caller's.
        let part = unsafe { self.part(at, len) };
        part.fill(MaybeUninit::new(0.0));
        // SAFETY: they were just written.
        unsafe { part.assume_init_mut() }
    }
}

/// A new vector whose elements are all written by `write`, without a pass that zeroes them first.
///
/// # Safety
///
/// `write` writes every number.
pub unsafe fn written(len: usize, write: impl FnOnce(Shared<MaybeUninit<f32>>)) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    write(Shared::new(&mut values.spare_capacity_mut()[..len]));
    // SAFETY: the capacity is at least `len`, and the caller says that all of them were written.
    unsafe { values.set_len(len) };
    values
}

/// The number of elements of a tensor of this shape. Every operation checks it before it takes a tensor apart, so that no
/// product of some of its sizes, times the size of an element, can wrap.
///
/// # Panics
///
/// If they are more than memory can hold. Sizes of 0 do not make up for others.
pub fn elements(shape: &Shape) -> usize {
    let sizes: &[usize] = shape;
    product(sizes).unwrap_or_else(|| {
        panic!("kernel: a tensor of shape {sizes:?} has more elements than memory can hold")
    })
}

/// The product of sizes, unless that of those above 0 is more than memory can hold.
pub fn product(sizes: &[usize]) -> Option<usize> {
    const MOST: usize = isize::MAX as usize / size_of::<f32>();
    let all = sizes
        .iter()
        .try_fold(1usize, |product, size| product.checked_mul((*size).max(1)))?;
    (all <= MOST).then(|| if sizes.contains(&0) { 0 } else { all })
}

/// A contiguous tensor.
pub fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

/// The elements of a contiguous tensor.
pub fn slice(tensor: &FlexTensor) -> &[f32] {
    let contiguous = tensor.layout().is_contiguous();
    assert!(
        tensor.dtype() == DType::F32 && contiguous,
        "kernel: a tensor of {:?}, expected F32 like the input",
        tensor.dtype()
    );
    let values = tensor.as_slice::<f32>().expect("it is contiguous");
    assert_eq!(values.len(), elements(&tensor.shape()), "all elements");
    values
}

/// The elements of a contiguous tensor, in place if nothing else shares it, else of a copy.
pub fn slice_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (begin, end) = tensor
        .layout()
        .contiguous_offsets()
        .expect("the tensor was made contiguous");
    &mut tensor.storage_mut::<f32>()[begin..end]
}

/// One step, if a tensor repeats it in every step by a stride of 0.
pub fn every_step(tensor: &FlexTensor) -> Option<&[f32]> {
    let (shape, layout) = (tensor.shape(), tensor.layout());
    let (sizes, strides): (&[usize], _) = (&shape, layout.strides());
    let mut expected = 1;
    for axis in (1..sizes.len()).rev() {
        if sizes[axis] != 1 && strides[axis] != expected {
            return None;
        }
        expected *= sizes[axis] as isize;
    }
    let same = strides.first() == Some(&0);
    let values = || &tensor.storage::<f32>()[layout.start_offset()..][..expected as usize];
    same.then(values)
}

/// The axes of a tensor in storage order, the slowest first. Axis 0 stays first. Where it is not the slowest, or the tensor
/// has gaps or repeats elements, the order is that of the axes.
///
/// # Panics
///
/// As [`elements`] does: every operation that keeps the storage order begins with this.
pub fn storage_order(tensor: &FlexTensor) -> Vec<usize> {
    let (sizes, strides) = (tensor.shape(), tensor.layout().strides());
    elements(&sizes);
    let order = by_stride(strides);
    let mut expected = 1;
    for axis in order.iter().rev() {
        if sizes[*axis] != 1 {
            if strides[*axis] != expected {
                return (0..order.len()).collect();
            }
            expected *= sizes[*axis] as isize;
        }
    }
    order
}

/// The first axis, which is time, and the others from the slowest to the fastest. Axes of size 1 may come anywhere.
pub fn by_stride<S: Ord + Copy>(strides: &[S]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..strides.len()).collect();
    order[1.min(strides.len())..].sort_by_key(|axis| std::cmp::Reverse(strides[*axis]));
    order
}

/// The number of neighbouring neurons of one channel (axis 2): the product of the faster axes in this order.
pub fn inner(shape: &Shape, order: &[usize]) -> usize {
    let faster = order.iter().skip_while(|axis| **axis != 2).skip(1);
    faster.map(|axis| shape[*axis]).product::<usize>().max(1)
}

/// The inverse permutation.
pub fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    for (at, axis) in order.iter().enumerate() {
        inverse[*axis] = at;
    }
    inverse
}

/// A tensor with permuted axes, contiguous; no copy if it is already stored so.
pub fn ordered(tensor: &FlexTensor, order: &[usize]) -> FlexTensor {
    tensor.permute(order).to_contiguous()
}

/// Inverse of [`ordered`], as a strided view: a tensor of this shape from its elements in storage order.
pub fn shown(values: Vec<f32>, shape: &Shape, order: &[usize]) -> FlexTensor {
    let sizes: Vec<usize> = order.iter().map(|axis| shape[*axis]).collect();
    tensor(values, Shape::from(sizes)).permute(&inverse(order))
}

/// Elements kept for the next task, 32 MiB; larger buffers are freed.
const MOST_SCRATCH: usize = 8 << 20;

thread_local! {
    /// Scratch buffers kept for later tasks; of nested tasks, the last one is the outermost task's.
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `body` with slices of these lengths and arbitrary content.
pub fn with_scratch<const N: usize, R>(
    lengths: [usize; N],
    body: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    // Taken out, so that `body` can use scratch buffers as well.
    let mut scratch = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    let total = lengths.iter().sum();
    if scratch.len() < total {
        scratch.resize(total, 0.0);
    }
    let mut rest = scratch.as_mut_slice();
    let parts = lengths.map(|len| {
        let (part, after) = std::mem::take(&mut rest).split_at_mut(len);
        rest = after;
        part
    });
    let result = body(parts);
    if scratch.len() <= MOST_SCRATCH {
        SCRATCH.with_borrow_mut(|all| all.push(scratch));
    }
    result
}
