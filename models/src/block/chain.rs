//! Stages of convolutions, with pooling between them.

use synfire::InvalidConfig;
use synfire::layer::{Pool2dConfig, Pooling};

use super::{ConvBlock, Layers, conv3x3, pooled_size};

/// The convolutions of a network: 3x3, in stages, with a pooling of 2x2 after each.
pub(crate) struct Chain<'a> {
    /// The network, in errors.
    pub owner: &'static str,
    /// Channels, height and width of a sample.
    pub image: [usize; 3],
    /// The channels of the convolutions of each stage.
    pub stages: &'a [Vec<usize>],
    /// The kind of pooling.
    pub pooling: Pooling,
    /// Whether there is a pooling after the last stage.
    pub last_pooling: bool,
    /// Whether convolutions have biases.
    pub bias: bool,
}

/// The stages of VGG networks of these convolutions each: 64, 128, 256, 512 and 512 channels.
pub(crate) fn vgg_stages(convs: [usize; 5]) -> Vec<Vec<usize>> {
    let channels = [64, 128, 256, 512, 512].into_iter();
    let stages = channels.zip(convs);
    stages
        .map(|(channels, convs)| vec![channels; convs])
        .collect()
}

/// The convolutions of each stage of VGG-11, 13, 16 and 19.
pub(crate) const VGG11: [usize; 5] = [1, 1, 2, 2, 2];
pub(crate) const VGG13: [usize; 5] = [2; 5];
pub(crate) const VGG16: [usize; 5] = [2, 2, 3, 3, 3];
pub(crate) const VGG19: [usize; 5] = [2, 2, 4, 4, 4];

impl Chain<'_> {
    /// Checks the sizes.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let owner = self.owner;
        let none = self.stages.is_empty() || self.stages.iter().any(Vec::is_empty);
        if none {
            let expected = "at least one stage, each of at least one convolution";
            let stages = format!("{:?}", self.stages);
            return Err(InvalidConfig::new(owner, "stages", stages, expected));
        }
        for channels in self.stages.iter().flatten() {
            InvalidConfig::require_size(owner, "stages", *channels)?;
        }
        // Input of the first linear layer.
        let features = self.output()?.into_iter().fold(1, usize::saturating_mul);
        InvalidConfig::require_size(owner, "image", features).map(drop)
    }

    /// The channels of all convolutions.
    pub fn channels(&self) -> Vec<usize> {
        self.stages.concat()
    }

    /// Channels, height and width of the output.
    pub fn output(&self) -> Result<[usize; 3], InvalidConfig> {
        let poolings = self.stages.len() - usize::from(!self.last_pooling);
        let [height, width] = pooled_size(self.owner, self.image, poolings)?;
        let channels = self.stages.iter().flatten().last();
        Ok([channels.copied().unwrap_or(0), height, width])
    }

    /// Creates the blocks.
    pub fn init(&self, layers: &mut Layers) -> Result<Vec<ConvBlock>, InvalidConfig> {
        let pool = Pool2dConfig::new([2, 2]).with_pooling(self.pooling);
        let mut blocks = Vec::new();
        let mut inputs = self.image[0];
        for (at, stage) in self.stages.iter().enumerate() {
            for channels in stage {
                let conv = conv3x3([inputs, *channels], 1).with_bias(self.bias);
                blocks.push(layers.conv_block(&conv)?);
                inputs = *channels;
            }
            let pooled = self.last_pooling || at + 1 < self.stages.len();
            if let (Some(last), true) = (blocks.last_mut(), pooled) {
                last.pool = Some(pool.init()?);
            }
        }
        Ok(blocks)
    }

    /// The layers in one line, as papers write them, with a dash at the end.
    pub fn structure(&self) -> String {
        let pool = match self.pooling {
            Pooling::Average => "AP2-",
            Pooling::Max => "MP2-",
        };
        let stage = |stage: &Vec<usize>| -> String {
            let convs = stage.iter().map(|channels| format!("{channels}C3-"));
            convs.collect()
        };
        let stages: Vec<_> = self.stages.iter().map(stage).collect();
        let last = if self.last_pooling { pool } else { "" };
        stages.join(pool) + last
    }
}
