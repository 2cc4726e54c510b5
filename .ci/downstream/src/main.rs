//! Uses Synfire as an ordinary Burn program does.

use burn::prelude::*;
use synfire::neuron::{LifConfig, Neuron};
use synfire_models::StbpMlpConfig;

fn main() -> Result<(), synfire::InvalidConfig> {
    let device = Device::default().autodiff();
    let lif = LifConfig::new().init(&device)?;
    let (spikes, _state) = lif.forward(Tensor::<3>::ones([4, 2, 784], &device), None);
    let model = StbpMlpConfig::new().init(&device)?;
    println!("{}", model.forward(spikes));
    Ok(())
}
