//! What residual networks have in common: blocks in stages, each with twice the channels of the one before.

use synfire::InvalidConfig;

/// Checks the blocks of each stage, and the channels, which are doubled from stage to stage.
pub(crate) fn validate_stages(
    owner: &'static str,
    blocks: &[usize],
    width: usize,
) -> Result<(), InvalidConfig> {
    if !(1..=8).contains(&blocks.len()) {
        let blocks = format!("{blocks:?}");
        return Err(InvalidConfig::new(
            owner,
            "blocks",
            blocks,
            "from 1 to 8 stages",
        ));
    }
    for number in blocks {
        InvalidConfig::require_size(owner, "blocks", *number)?;
    }
    // Doubled for each stage, and four times that.
    InvalidConfig::require_size(owner, "width", width)?;
    InvalidConfig::require_size(owner, "width", width << (blocks.len() + 1)).map(drop)
}

/// A block with its names.
pub(crate) struct Named<'a, B> {
    /// The path of its fields.
    pub here: String,
    /// As SpikingJelly has it, and as recorders know it.
    pub there: String,
    /// The block.
    pub block: &'a B,
}

/// The blocks of all stages, in the order in which they run.
pub(crate) fn blocks<B>(stages: &[Vec<B>]) -> impl Iterator<Item = Named<'_, B>> {
    stages.iter().enumerate().flat_map(|(s, stage)| {
        stage.iter().enumerate().map(move |(b, block)| Named {
            here: format!("stages.{s}.{b}"),
            there: format!("layer{}.{b}", s + 1),
            block,
        })
    })
}

/// A residual network in one line.
pub(crate) fn structure(kind: &str, blocks: &[usize], bottleneck: bool, width: usize) -> String {
    let stages: Vec<_> = blocks
        .iter()
        .enumerate()
        .map(|(stage, blocks)| format!("{}x{blocks}", width << stage))
        .collect();
    let block = if bottleneck { "bottlenecks" } else { "blocks" };
    format!("{kind} {block} {}", stages.join("-"))
}
