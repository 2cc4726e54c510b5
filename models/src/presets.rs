//! The published networks by name.

use crate::{
    CifarNetConfig, MsResNetConfig, NetworkConfig, NirCnnConfig, PlifNetConfig, SewResNetConfig,
    SpikingVggConfig, StbpCnnConfig, StbpMlpConfig, TdResNetConfig,
};

impl NetworkConfig {
    /// The published networks, each with a name.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use synfire_models::NetworkConfig;
    ///
    /// let presets = NetworkConfig::presets();
    /// let (_, nir) = presets.iter().find(|(name, _)| *name == "nir-cnn").unwrap();
    /// let network = nir.init(&Device::default())?;
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub fn presets() -> Vec<(&'static str, Self)> {
        vec![
            ("stbp-mlp", Self::StbpMlp(StbpMlpConfig::new())),
            ("stbp-cnn", Self::StbpCnn(StbpCnnConfig::new())),
            ("stbp-cnn-authors", Self::StbpCnn(StbpCnnConfig::authors())),
            ("cifar-net", Self::CifarNet(CifarNetConfig::new())),
            ("plif-mnist", Self::PlifNet(PlifNetConfig::mnist())),
            (
                "plif-fashion-mnist",
                Self::PlifNet(PlifNetConfig::fashion_mnist()),
            ),
            ("plif-nmnist", Self::PlifNet(PlifNetConfig::nmnist())),
            ("plif-cifar10", Self::PlifNet(PlifNetConfig::cifar10())),
            (
                "plif-cifar10-dvs",
                Self::PlifNet(PlifNetConfig::cifar10_dvs()),
            ),
            (
                "plif-dvs-gesture",
                Self::PlifNet(PlifNetConfig::dvs_gesture()),
            ),
            ("td-resnet19", Self::TdResNet(TdResNetConfig::resnet19())),
            ("vgg5", Self::SpikingVgg(SpikingVggConfig::vgg5())),
            ("vgg9", Self::SpikingVgg(SpikingVggConfig::vgg9())),
            ("vgg11", Self::SpikingVgg(SpikingVggConfig::vgg11())),
            ("vgg13", Self::SpikingVgg(SpikingVggConfig::vgg13())),
            ("vgg16", Self::SpikingVgg(SpikingVggConfig::vgg16())),
            ("vggsnn", Self::SpikingVgg(SpikingVggConfig::vggsnn())),
            ("sew-resnet18", Self::SewResNet(SewResNetConfig::resnet18())),
            ("sew-resnet34", Self::SewResNet(SewResNetConfig::resnet34())),
            ("sew-resnet50", Self::SewResNet(SewResNetConfig::resnet50())),
            (
                "sew-resnet101",
                Self::SewResNet(SewResNetConfig::resnet101()),
            ),
            (
                "sew-resnet152",
                Self::SewResNet(SewResNetConfig::resnet152()),
            ),
            ("ms-resnet18", Self::MsResNet(MsResNetConfig::resnet18())),
            ("ms-resnet34", Self::MsResNet(MsResNetConfig::resnet34())),
            ("ms-resnet104", Self::MsResNet(MsResNetConfig::resnet104())),
            ("nir-cnn", Self::NirCnn(NirCnnConfig::new())),
        ]
    }
}
