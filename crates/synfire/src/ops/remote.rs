//! Synfire's operations on devices of other machines: what a client sends, and what a server runs.

use std::any::TypeId;
use std::sync::{LazyLock, RwLock};

use burn::backend::fusion::custom::{OperationIr, ScalarIr, TensorSpec};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Device as _, DeviceId, DispatchDevice, Flex, TensorMetadata};
use burn::server::RemoteServer;
use burn::tensor::{DType, Device};
use burn_remote::RemoteChannel;
use burn_remote::ir::BackendIr;
use burn_router::{BackendRouter, RouterClient};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attention::Attention;
use super::dynamics::{DynamicsBackward, DynamicsForward};
use super::lif::{LifBackward, LifForward};
use super::norm::{NormBackward, NormForward};
use super::normalized::{NormalizedBackward, NormalizedForward};
use super::operation::{Runs, TensorOperation, UnaryBackward, describe};
use super::pool::Pool;
use super::synapse::{SynapseBackward, SynapseForward};

/// Burn's client of remote devices, without the lazy streams around it.
pub type Router = BackendRouter<RemoteChannel>;

/// The backend of a server with Synfire's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Burn's CPU backend, which has all of them.
    Flex,
    /// CubeCL, which has fused LIF neurons.
    CubeCl,
}

/// The devices whose servers have Synfire's operations.
static SERVED: LazyLock<RwLock<Vec<(DeviceId, Served)>>> = LazyLock::new(RwLock::default);

fn id(device: &Device) -> Option<DeviceId> {
    match device.clone().inner().as_dispatch() {
        DispatchDevice::Remote(device) => Some(device.to_id()),
        _ => None,
    }
}

/// Remembers that the server of a device has Synfire's operations.
pub fn remember(device: &Device, served: Served) {
    let Some(id) = id(device) else { return };
    let mut all = SERVED.write().expect("nothing panics while it is held");
    if !all.iter().any(|(other, _)| *other == id) {
        all.push((id, served));
    }
}

/// The backend of a device's server, if it has Synfire's operations.
pub fn served(device: &Device) -> Option<Served> {
    let id = id(device)?;
    let all = SERVED.read().expect("nothing panics while it is held");
    let found = all.iter().find(|(other, _)| *other == id);
    found.map(|(_, served)| *served)
}

/// Plain data as the numbers that an operation may have: the length of its JSON, then its bytes.
pub fn to_scalars(value: &impl Serialize) -> Vec<ScalarIr> {
    let json = serde_json::to_vec(value).expect("operations are plain data");
    let words = json.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    let all = [json.len() as u64].into_iter().chain(words);
    all.map(ScalarIr::UInt).collect()
}

/// Inverse of [`to_scalars`].
pub fn from_scalars<T: DeserializeOwned>(scalars: &[ScalarIr]) -> Result<T, String> {
    let words = scalars.iter().map(|scalar| match scalar {
        ScalarIr::UInt(word) => Ok(*word),
        other => Err(format!("{other:?}, expected an unsigned number")),
    });
    let words = words.collect::<Result<Vec<_>, _>>()?;
    let (length, words) = words.split_first().ok_or("there are no numbers")?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let json = usize::try_from(*length)
        .ok()
        .and_then(|end| bytes.get(..end));
    let json = json.ok_or_else(|| format!("{} bytes, expected {length}", bytes.len()))?;
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// The numbers that go with an operation of this backend: of the router, which sends them.
pub fn scalars_for<B: 'static>(operation: &impl Serialize) -> Vec<ScalarIr> {
    match TypeId::of::<B>() == TypeId::of::<Router>() {
        true => to_scalars(operation),
        false => Vec::new(),
    }
}

/// Sends an operation to the server of its first input, and returns its outputs, which are to come.
pub fn send<O: TensorOperation>(
    operation: O,
    inputs: Vec<FloatTensor<Router>>,
) -> Vec<FloatTensor<Router>> {
    let client = inputs[0].client.clone();
    let inputs = inputs.into_iter().map(|input| input.into_ir()).collect();
    let scalars = to_scalars(&operation);
    let description = describe(&operation, inputs, scalars, || client.create_empty_handle());
    client.register(OperationIr::Custom(description))
}

/// Hosts an operation. What a client sends is not trusted: an operation that does not fit its tensors, or that the backend has
/// not, ends the session of the client by a panic, which Burn's server catches.
fn host<B: BackendIr, O: Runs<B>>(server: RemoteServer, has: fn(&O) -> bool) -> RemoteServer {
    server.with_custom_op::<B, _>(O::ID, move |handles, description, _| {
        let wrong = |reason: String| -> ! { panic!("{}: {reason}", O::ID) };
        let operation: O =
            from_scalars(&description.scalars).unwrap_or_else(|reason| wrong(reason));
        let inputs = description.inputs.iter();
        let inputs: Vec<_> = inputs
            .map(|tensor| handles.get_float_tensor::<B>(tensor))
            .collect();
        let specs = inputs.iter();
        let specs: Vec<_> = specs
            .map(|tensor| TensorSpec::new(tensor.shape(), tensor.dtype()))
            .collect();
        if let Some(other) = specs.iter().find(|spec| spec.dtype != DType::F32) {
            wrong(format!("a tensor of {:?}, expected F32", other.dtype));
        }
        if !has(&operation) {
            wrong(format!("{operation:?}, which this backend has not"));
        }
        let expected = operation
            .outputs(&specs)
            .unwrap_or_else(|reason| wrong(reason));
        let (there, here) = (description.outputs.len(), expected.len());
        if there != here {
            wrong(format!("{there} outputs, expected {here}"));
        }
        let made = operation.run(inputs);
        for (tensor, made) in description.outputs.iter().zip(made) {
            handles.register_float_tensor::<B>(&tensor.id, made);
        }
    })
}

/// Hosts an operation of flex, which has it for all numbers.
fn on_flex<O: Runs<Flex>>(server: RemoteServer) -> RemoteServer {
    host::<Flex, O>(server, |_| true)
}

/// Hosts the operations of the backend.
pub fn host_all(server: RemoteServer, served: Served) -> RemoteServer {
    match served {
        Served::Flex => {
            let all: [fn(RemoteServer) -> RemoteServer; 14] = [
                on_flex::<LifForward>,
                on_flex::<LifBackward>,
                on_flex::<DynamicsForward>,
                on_flex::<DynamicsBackward>,
                on_flex::<SynapseForward>,
                on_flex::<SynapseBackward>,
                on_flex::<NormForward>,
                on_flex::<NormBackward>,
                on_flex::<NormalizedForward>,
                on_flex::<NormalizedBackward>,
                on_flex::<Pool>,
                on_flex::<UnaryBackward<Pool>>,
                on_flex::<Attention>,
                on_flex::<UnaryBackward<Attention>>,
            ];
            all.into_iter().fold(server, |server, host| host(server))
        }
        #[cfg(feature = "cube")]
        Served::CubeCl => {
            use burn::backend::Cube;
            let server = host::<Cube, LifForward>(server, |lif| lif.kernel().in_cubecl());
            host::<Cube, LifBackward>(server, |lif| lif.kernel().in_cubecl())
        }
        #[cfg(not(feature = "cube"))]
        Served::CubeCl => server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::NeuronConfig;

    #[test]
    fn plain_data_become_numbers_and_back() {
        for config in NeuronConfig::all() {
            let scalars = to_scalars(&config);
            assert_eq!(from_scalars::<NeuronConfig>(&scalars), Ok(config));
        }
        let mut cut = to_scalars(&"longer than eight bytes");
        cut.pop();
        assert!(from_scalars::<String>(&cut).is_err());
        assert!(from_scalars::<String>(&[]).is_err());
        assert!(from_scalars::<String>(&[ScalarIr::Float(1.0)]).is_err());
        assert!(from_scalars::<String>(&[ScalarIr::UInt(u64::MAX)]).is_err());
    }
}
