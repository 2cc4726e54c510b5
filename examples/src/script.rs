//! The main function of a training script, and its command line.

use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches, ValueEnum};
use synfire::layer::Pooling;
use synfire::neuron::{Decay, Reset, ResetGradient, TemporalGradient, Threshold};
use synfire_models::NetworkConfig;

use crate::config::RunConfig;
use crate::error::exit_code_of_run;
use crate::options::{
    InitOption, ModelOption, NormOption, Options, PoolingOption, ResetGradientOption, ResetOption,
    curve, name,
};
use crate::samples::{DatasetOption, FramesOption};
use crate::say;
use crate::train::train;

/// Trains as the command line says. What it leaves open is as in the first of the configurations, or in that of the
/// network that it names.
pub fn script(name: &'static str, about: &'static str, configs: &[RunConfig]) -> ExitCode {
    let matches = command(name, about, configs).get_matches();
    let options = Options::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let report = train(&options, configs);
    exit_code_of_run(report.map(|report| say!("\n{report}")))
}

/// The command line of a script, with the defaults in its help.
pub fn command(name: &'static str, about: &'static str, configs: &[RunConfig]) -> Command {
    tell_defaults(
        Options::augment_args(Command::new(name).about(about)),
        configs,
    )
}

/// Adds to the help of the options of a training script what they are when they are not given: the values of the first
/// configuration and, where they are others, of the other ones and of the networks of the STBP paper that are not among
/// them.
fn tell_defaults(mut command: Command, configs: &[RunConfig]) -> Command {
    let Some(first) = configs.first() else {
        return command;
    };
    let others: Vec<_> = ModelOption::value_variants()
        .iter()
        .filter(|preset| **preset != first.preset)
        .filter_map(|preset| {
            let found = configs.iter().find(|config| config.preset == *preset);
            match found {
                Some(config) => Some(config.clone()),
                // All networks of the zoo would be too much.
                None => preset
                    .is_of_the_paper()
                    .then(|| RunConfig::of(first.dataset, *preset)),
            }
        })
        .collect();
    let value_of = |config: &RunConfig, option: &str| {
        let values = values(config).into_iter();
        values
            .filter(|(name, _)| *name == option)
            .map(|(_, value)| value)
            .next()
    };
    let names: Vec<_> = command
        .get_arguments()
        .map(|argument| argument.get_id().to_string())
        .collect();
    for option in names {
        let default = value_of(first, &option);
        let mut told: Vec<String> = default.iter().cloned().collect();
        for other in &others {
            let value = value_of(other, &option);
            if option != "model" && value != default {
                told.extend(value.map(|value| format!("of {}: {value}", name(other.preset))));
            }
        }
        if !told.is_empty() {
            command = command.mut_arg(option, |argument| {
                let help = argument.get_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                argument.help(format!("{help} [default: {}]", told.join("; ")))
            });
        }
    }
    command
}

/// The values of the options that give this configuration, by the options' names.
fn values(config: &RunConfig) -> Vec<(&'static str, String)> {
    let mut model = config.model.clone();
    let neuron = config.model.neuron();
    let list = |sizes: &[usize]| {
        let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
        sizes.join(",")
    };
    let cnn = match &config.model {
        NetworkConfig::StbpCnn(cnn) => Some(cnn),
        _ => None,
    };
    let pooling = cnn.map(|cnn| match (cnn.pooling, &cnn.pool_neuron) {
        (Pooling::Average, Some(_)) => PoolingOption::Spiking,
        (Pooling::Average, None) => PoolingOption::Average,
        (Pooling::Max, _) => PoolingOption::Max,
    });
    let pool_neuron = cnn.and_then(|cnn| cnn.pool_neuron.as_ref());
    let pool_threshold = pool_neuron.map(|neuron| {
        neuron
            .get::<Threshold>("threshold")
            .unwrap_or(neuron.threshold().into())
            .to_string()
    });
    let norm = NormOption::of(*model.norm_mut());
    let hidden = list(&config.model.hidden());
    let channels = config.model.channels();
    let channels = (!channels.is_empty()).then(|| list(&channels));
    let reset = neuron.get("reset").and_then(|reset| match reset {
        Reset::Hard { .. } => Some(ResetOption::Hard),
        Reset::Soft => Some(ResetOption::Soft),
        Reset::Exponential => Some(ResetOption::Exponential),
        _ => None,
    });
    let gradient = neuron.get("temporal_gradient").unwrap_or_default();
    let reset_gradient = match gradient {
        TemporalGradient::Full(ResetGradient::Exact) => ResetGradientOption::Exact,
        TemporalGradient::Full(ResetGradient::Linear) => ResetGradientOption::Linear,
        TemporalGradient::Full(ResetGradient::Exponential) => ResetGradientOption::Exponential,
        TemporalGradient::Full(ResetGradient::Detached) => ResetGradientOption::Detached,
        TemporalGradient::Off => ResetGradientOption::Off,
    };
    let init = InitOption::of(*model.initializer_mut());
    let gain = model.initializer_mut().gain();
    let (surrogate, a) = curve(neuron);
    let mut values = vec![
        ("data", config.data.clone()),
        ("dataset", name(config.dataset)),
        ("shift", config.augmentation.shift.to_string()),
        ("flip", config.augmentation.flip.to_string()),
        ("erase", config.augmentation.erase.to_string()),
        ("model", name(config.preset)),
        ("hidden", hidden),
        ("time_steps", config.time_steps.to_string()),
        ("neuron", neuron.kind().into_owned()),
        ("init", name(init)),
        ("gain", gain.to_string()),
        ("norm", name(norm)),
        ("dropout", model.dropout_mut().to_string()),
        ("loss", name(config.loss)),
        ("surrogate", surrogate.to_owned()),
        ("surrogate_a", a.to_string()),
        ("reset_gradient", name(reset_gradient)),
        ("epochs", config.epochs.to_string()),
        ("batch_size", config.batch_size.to_string()),
        ("learning_rate", config.learning_rate.to_string()),
        ("schedule", name(config.schedule)),
        ("best_by", name(config.best_by)),
        ("optimizer", name(config.optimizer)),
        ("seed", config.seed.to_string()),
    ];
    // Where they mean something.
    values.extend(match config.dataset {
        DatasetOption::NMnist => vec![
            ("frames", name(config.frames.by)),
            ("counts", config.frames.counts.to_string()),
        ],
        _ => vec![
            ("encoder", name(config.encoder)),
            ("contrast", name(config.contrast)),
        ],
    });
    if config.dataset == DatasetOption::NMnist && config.frames.by != FramesOption::Bins {
        values.push(("frame_size", config.frames.size.to_string()));
    }
    values.extend(pooling.map(|pooling| ("pooling", name(pooling))));
    values.extend(pool_threshold.map(|threshold| ("pool_threshold", threshold)));
    values.extend(channels.map(|channels| ("channels", channels)));
    let threshold = neuron.get::<Threshold>("threshold");
    values.extend(threshold.map(|threshold| ("threshold", threshold.to_string())));
    let decay = neuron.get::<Decay>("decay");
    values.extend(decay.map(|decay| ("decay", decay.to_string())));
    values.extend(reset.map(|reset| ("reset", name(reset))));
    let weight_decay = config.weight_decay.map(|w| ("weight_decay", w.to_string()));
    values.extend(weight_decay);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cli() -> Command {
        command("test", "", &[RunConfig::default()])
    }

    fn parse(arguments: &[&str]) -> Options {
        let matches = cli().get_matches_from([&["test"], arguments].concat());
        Options::from_arg_matches(&matches).unwrap()
    }

    /// The default that the help tells of an option.
    fn told(help: &str, option: &str) -> String {
        let begin = help.find(&format!("{option} ")).unwrap();
        let text = &help[begin..];
        let begin = text.find("[default: ").unwrap() + "[default: ".len();
        text[begin..][..text[begin..].find(']').unwrap()].to_owned()
    }

    #[test]
    fn the_help_tells_the_real_defaults() {
        let help = cli().render_long_help().to_string();
        assert_eq!(told(&help, "--epochs"), "8");
        assert_eq!(told(&help, "--data"), "auto");
        assert_eq!(
            told(&help, "--time-steps"),
            "10; of stbp-cnn: 8; of stbp-cnn-authors: 20; of stbp-cnn-norm: 5"
        );
        assert_eq!(told(&help, "--gain"), "1; of stbp-cnn: 1.4");
        assert_eq!(
            told(&help, "--hidden"),
            "800; of stbp-cnn: 300; of stbp-cnn-authors: 128; of stbp-cnn-norm: 300"
        );
        assert_eq!(
            told(&help, "--surrogate"),
            "rectangular; of stbp-cnn-norm: sigmoid"
        );

        // Those of a script of one's own.
        let mine = RunConfig {
            epochs: 33,
            ..RunConfig::of(DatasetOption::NMnist, ModelOption::StbpCnn)
        };
        let help = command("test", "", &[mine]).render_long_help().to_string();
        assert_eq!(told(&help, "--dataset"), "nmnist");
        assert_eq!(
            told(&help, "--epochs"),
            "33; of stbp-mlp: 8; of stbp-cnn-authors: 8; of stbp-cnn-norm: 8"
        );
    }

    #[test]
    fn what_the_help_tells_gives_the_configuration() {
        let configs = [
            RunConfig::default(),
            RunConfig::of(DatasetOption::NMnist, ModelOption::StbpCnn),
            RunConfig::of(DatasetOption::Pedestrian, ModelOption::StbpCnnAuthors),
            RunConfig::of(DatasetOption::Mnist, ModelOption::StbpCnnNorm)
                .with_options(&parse(&["--optimizer", "adamw", "--weight-decay", "0.01"]))
                .unwrap(),
            RunConfig::of(DatasetOption::FashionMnist, ModelOption::StbpCnn)
                .with_options(&parse(&["--pooling", "max"]))
                .unwrap(),
            RunConfig::of(DatasetOption::FashionMnist, ModelOption::StbpCnn)
                .with_options(&parse(&["--pool-threshold", "0.25", "--norm", "td-batch"]))
                .unwrap(),
        ];
        for config in configs {
            let mut arguments = Vec::new();
            for (option, value) in values(&config) {
                arguments.push(format!("--{}={value}", option.replace('_', "-")));
            }
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let options = parse(&arguments);
            let again = RunConfig::default().with_options(&options).unwrap();
            assert_eq!(again.differences(&config), []);
        }
    }
}
