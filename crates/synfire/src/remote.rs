//! Devices of other machines, by Burn Remote over WebSocket.
//!
//! A server hosts its devices; a client sends operations, and only what it reads comes back. [`connect`] gives a
//! [`Device`] like any other: layers, neurons and training need no other code.
//!
//! | server | neurons and layers |
//! | --- | --- |
//! | of Synfire (`server`, `synfire serve`) on `flex` | fused neurons and event-driven products, each an operation of its own |
//! | of Synfire on a GPU | fused LIF neurons; others as graphs of Burn's operations |
//! | any server of Burn | graphs of Burn's operations |
//!
//! Neurons and surrogates of other crates are graphs of Burn's operations everywhere: a server does not know them.
//!
//! WebSocket is not encrypted. A token keeps strangers away on a trusted network, not those who read its traffic.

use burn::backend::fusion::custom::{CustomOpIr, TensorIr};
use burn::backend::{DispatchDevice, Remote};
use burn::remote::{ConnectError, CustomOpClient, RemoteHost};
use burn::tensor::{DType, Device, Shape, Tensor};

use crate::ops::remote::{Served, remember};

/// Errors of devices of other machines.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// There is no such server, or it refuses the client.
    #[error("{0}")]
    Connect(ConnectError),
    /// The server is of another version.
    #[error("the server is of Synfire {server}, and this program of {client}")]
    Version {
        /// The version of the server.
        server: String,
        /// The version of this program.
        client: String,
    },
    /// These devices cannot be served.
    #[error(
        "{0}, expected devices of this machine, all of `flex` or all of CubeCL (GPUs and `cpu`)"
    )]
    Devices(String),
    /// The token is empty.
    #[error("the token is empty")]
    EmptyToken,
}

/// The operation that says what a server is.
const HELLO: &str = "synfire";

/// Follows the token of a session that only asks what a server is.
const ASKS: &[u8] = b"\0synfire";

/// The version of this crate.
const VERSION: [&str; 3] = [
    env!("CARGO_PKG_VERSION_MAJOR"),
    env!("CARGO_PKG_VERSION_MINOR"),
    env!("CARGO_PKG_VERSION_PATCH"),
];

/// Connects to a device of a server, such as `ws://host:9000`, by its number there. An empty token is none.
///
/// ```no_run
/// use burn::tensor::{Device, Tensor};
/// use synfire::neuron::{LifConfig, Neuron};
///
/// let device = synfire::remote::connect("ws://gpu-1:9000", "secret", 0).unwrap();
/// let lif = LifConfig::new().init(&device)?;
/// let (spikes, _state) = lif.forward(Tensor::<3>::ones([10, 2, 5], &device), None);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
///
/// # Errors
///
/// If no server answers, it refuses the token, has no such device, or is of another version of Burn or Synfire.
pub fn connect(url: &str, token: &str, index: usize) -> Result<Device, RemoteError> {
    let host = RemoteHost::websocket(url);
    let init = |host: &RemoteHost| Device::remote_options(host).device_index(index).init();
    let device = init(&host.clone().with_credential(token)).map_err(RemoteError::Connect)?;
    // A session of its own: a server of Burn ends it at an operation that it does not know.
    let asks = host.with_credential([token.as_bytes(), ASKS].concat());
    match init(&asks) {
        Ok(asking) => {
            if let Some(served) = ask(&asking)? {
                remember(&device, served);
            }
        }
        // A server of Burn that wants the token alone.
        Err(ConnectError::Unauthorized) => {}
        Err(error) => return Err(RemoteError::Connect(error)),
    }
    Ok(device)
}

/// The operations of a server, if it is one of Synfire. The session may be over then.
fn ask(device: &Device) -> Result<Option<Served>, RemoteError> {
    let inner = device.clone().inner();
    let DispatchDevice::Remote(remote) = inner.as_dispatch() else {
        return Ok(None);
    };
    let client = CustomOpClient::new(remote);
    let output = TensorIr::uninit(
        client.create_empty_handle(),
        Shape::from(vec![VERSION.len() + 1]),
        DType::F32,
    );
    let answer = client
        .register(CustomOpIr::new(HELLO, &[], &[output]))
        .remove(0);
    let answer = Tensor::<1>::from_primitive::<Remote>(answer);
    let Ok(answer) = answer.try_into_data() else {
        return Ok(None);
    };
    let numbers: Vec<_> = answer
        .iter::<f32>()
        .map(|number| number.to_string())
        .collect();
    let [major, minor, patch, served] = &numbers[..] else {
        return Ok(None);
    };
    let version = [&**major, minor, patch];
    if version != VERSION {
        return Err(RemoteError::Version {
            server: version.join("."),
            client: VERSION.join("."),
        });
    }
    Ok(Some(match &**served {
        "0" => Served::Flex,
        _ => Served::CubeCl,
    }))
}

pub use serve::{authorizer, server};

mod serve {
    use burn::backend::Flex;
    use burn::backend::ops::FloatTensorOps;
    use burn::server::{
        AuthorizationRequest, Credential, PeerAuthorizer, RemoteServer, TokenAuthorizer,
    };
    use burn::tensor::TensorData;
    use burn_remote::ir::BackendIr;

    use super::*;
    use crate::ops::is_cubecl;
    use crate::ops::remote::host_all;

    /// A server of Burn for these devices, with Synfire's operations.
    ///
    /// ```no_run
    /// use burn::server::WebSocketTransport;
    /// use burn::tensor::Device;
    /// use synfire::remote;
    ///
    /// let server = remote::server([Device::flex()]).unwrap();
    /// let server = server.with_authorizer(remote::authorizer("secret").unwrap());
    /// server.serve(WebSocketTransport::new(9000)).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// If there are no devices, or they are neither all of `flex` nor all of CubeCL.
    pub fn server(devices: impl IntoIterator<Item = Device>) -> Result<RemoteServer, RemoteError> {
        let devices: Vec<_> = devices.into_iter().map(Device::inner).collect();
        let all = |is: fn(&Device) -> bool| !devices.is_empty() && devices.iter().all(is);
        let served = match () {
            () if all(|device| *device == Device::flex()) => Served::Flex,
            () if all(is_cubecl) => Served::CubeCl,
            () => return Err(RemoteError::Devices(format!("{devices:?}"))),
        };
        let server = host_all(RemoteServer::new(devices), served);
        Ok(match served {
            Served::Flex => greeting::<Flex>(server, served),
            #[cfg(feature = "cube")]
            Served::CubeCl => greeting::<burn::backend::Cube>(server, served),
            #[cfg(not(feature = "cube"))]
            Served::CubeCl => server,
        })
    }

    /// Answers clients that ask what the server is.
    fn greeting<B: BackendIr>(server: RemoteServer, served: Served) -> RemoteServer {
        server.with_custom_op::<B, _>(HELLO, move |handles, description, device| {
            let version = VERSION
                .iter()
                .map(|number| number.parse().unwrap_or_default());
            let numbers: Vec<f32> = version.chain([served as u8 as f32]).collect();
            let data = TensorData::from(&numbers[..]);
            let answer = <B as FloatTensorOps<B>>::float_from_data(data, device);
            handles.register_float_tensor::<B>(&description.outputs[0].id, answer);
        })
    }

    /// Accepts clients with this token.
    ///
    /// # Errors
    ///
    /// If it is empty.
    pub fn authorizer(token: &str) -> Result<impl PeerAuthorizer + use<>, RemoteError> {
        let authorizer = TokenAuthorizer::new(token).map_err(|_| RemoteError::EmptyToken)?;
        Ok(move |request: AuthorizationRequest<'_>| {
            let given = request.credential.as_bytes();
            let token = Credential::from(given.strip_suffix(ASKS).unwrap_or(given));
            authorizer.authorize(AuthorizationRequest {
                credential: &token,
                ..request
            })
        })
    }
}
