//! `synfire serve`.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use burn::server::WebSocketTransport;
use clap::Args;
use synfire::InvalidConfig;
use synfire::remote::{authorizer, server};
use synfire_train::{RunError, describe, device, read_token, say};

use crate::EXAMPLES_FIRST;

/// Let other machines use the devices of this one
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Examples:
  synfire serve --device flex --listen 127.0.0.1:9000
  synfire serve --device cuda:0,cuda:1 --listen 0.0.0.0:9000 --token-file token.txt

and on another machine

  SYNFIRE_TOKEN_FILE=token.txt synfire train --device remote:ws://HOST:9000

WebSocket is not encrypted: serve on networks that you trust.")]
pub struct Serve {
    /// Devices, comma-separated, all of flex or all of GPUs
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    device: Vec<String>,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// A file with the token that clients must have
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Let anyone in who reaches the address
    #[arg(long, conflicts_with = "token_file")]
    no_token: bool,
}

impl Serve {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        let devices = self.device.iter().map(|name| device(name));
        let devices = devices.collect::<Result<Vec<_>, _>>()?;
        let failed = |reason: String| RunError::Device {
            option: "--device",
            name: self.device.join(","),
            reason,
        };
        let mut server = server(devices.clone()).map_err(|error| failed(error.to_string()))?;
        if let Some(file) = &self.token_file {
            let token = read_token(file)?;
            let authorizer = authorizer(&token).map_err(RunError::damaged(file))?;
            server = server.with_authorizer(authorizer);
        } else if !self.listen.ip().is_loopback() && !self.no_token {
            let expected = "--token-file or --no-token for an address that other machines reach";
            return Err(InvalidConfig::new("the server", "--listen", self.listen, expected).into());
        }
        let listener = TcpListener::bind(self.listen);
        let listener = listener.map_err(RunError::io(format!("--listen {}", self.listen)))?;
        let address = listener.local_addr();
        let address = address.map_err(RunError::io(format!("--listen {}", self.listen)))?;
        for (number, device) in devices.iter().enumerate() {
            say!("Serving  {} at ws://{address}/{number}", describe(device));
        }
        let served = server.serve(WebSocketTransport::from_listener(listener));
        served.map_err(|error| failed(error.to_string()))
    }
}
