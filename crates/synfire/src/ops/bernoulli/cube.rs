//! Random spikes in CubeCL: the same generator and counters as on the host, so the same spikes.

use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::CubeBackend;
// The macros name the crate so.
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

use super::{BernoulliOps, SpikeDraws, sequence};
use crate::random::{KEY_STEPS, MULTIPLIERS, ROUNDS};

/// 128 bits.
#[derive(CubeType, Clone, Copy)]
struct Four {
    a: u32,
    b: u32,
    c: u32,
    d: u32,
}

/// `random::Philox::block`.
#[cube]
fn philox(counter: Four, key0: u32, key1: u32) -> Four {
    let multiplier0 = comptime!(MULTIPLIERS[0]);
    let multiplier1 = comptime!(MULTIPLIERS[1]);
    let mut a = counter.a;
    let mut b = counter.b;
    let mut c = counter.c;
    let mut d = counter.d;
    let mut k0 = key0;
    let mut k1 = key1;
    #[unroll]
    for _ in 0..ROUNDS {
        let high0 = a.mul_hi(multiplier0);
        let low0 = a * multiplier0;
        let high1 = c.mul_hi(multiplier1);
        let low1 = c * multiplier1;
        a = high1 ^ b ^ k0;
        b = low1;
        c = high0 ^ d ^ k1;
        d = low0;
        k0 += comptime!(KEY_STEPS[0]);
        k1 += comptime!(KEY_STEPS[1]);
    }
    Four { a, b, c, d }
}

/// 1 if the word, as a number in `[0, 1)`, is below the intensity.
#[cube]
fn draw(word: u32, intensity: f32) -> f32 {
    let unit = f32::cast_from(word >> 8u32) * 5.960_464_5e-8f32;
    select(unit < intensity, 1.0f32, 0.0f32)
}

/// One unit per intensity, for all time steps.
#[cube(launch, address_type = "dynamic")]
fn bernoulli<F: Float, I: Int>(
    intensities: &Tensor<F>,
    samples: &Tensor<I>,
    spikes: &mut Tensor<F>,
    elements: usize,
    units: usize,
    epoch: u32,
    key0: u32,
    key1: u32,
    steps: usize,
    #[define(F, I)] _dtypes: [ElemType; 2],
) {
    let unit = ABSOLUTE_POS;
    if unit >= units {
        terminate!();
    }
    let intensity = f32::cast_from(intensities[unit]);
    let sample = u32::cast_from(samples[unit / elements]);
    let element = u32::cast_from(unit % elements);
    let blocks = steps.div_ceil(4);
    for block in 0..blocks {
        let counter = Four {
            a: element,
            b: u32::cast_from(block),
            c: sample,
            d: epoch,
        };
        let four = philox(counter, key0, key1);
        let t = block * 4;
        spikes[t * units + unit] = F::cast_from(draw(four.a, intensity));
        if t + 1 < steps {
            spikes[(t + 1) * units + unit] = F::cast_from(draw(four.b, intensity));
        }
        if t + 2 < steps {
            spikes[(t + 2) * units + unit] = F::cast_from(draw(four.c, intensity));
        }
        if t + 3 < steps {
            spikes[(t + 3) * units + unit] = F::cast_from(draw(four.d, intensity));
        }
    }
}

impl BernoulliOps for CubeBackend {
    fn bernoulli(intensities: CubeTensor, samples: CubeTensor, draws: SpikeDraws) -> CubeTensor {
        let [intensities, samples] = [intensities, samples].map(into_contiguous);
        let client = intensities.client.clone();
        let shape = sequence(&intensities.shape(), &draws);
        let device = intensities.device.clone();
        let spikes =
            empty_device_contiguous_dtype(client.clone(), device, shape, intensities.dtype);
        let units = intensities.meta.num_elements();
        if units > 0 {
            let dim = CubeDim::new(&client, units);
            let dtypes = [intensities.dtype, samples.dtype].map(dtype_to_storage_type);
            let elements = units / samples.meta.num_elements();
            bernoulli::launch(
                &client,
                calculate_cube_count_elemwise(&client, units, dim),
                dim,
                spikes.required_address_type(),
                intensities.into_tensor_arg(),
                samples.into_tensor_arg(),
                spikes.clone().into_tensor_arg(),
                elements,
                units,
                draws.epoch,
                draws.key[0],
                draws.key[1],
                draws.time_steps,
                dtypes,
            );
        }
        spikes
    }
}
