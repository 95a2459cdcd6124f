//! rustls: TLS 1.3 with AWS-LC, an ECDSA P-256 certificate, AES-256-GCM.

use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection};

use crate::{Talk, look};

/// What a server calls itself.
pub const NAME: &str = "localhost";

/// A certificate and both ends' configurations; also for those that use rustls inside.
#[derive(Clone)]
pub struct Configs {
    pub client: Arc<ClientConfig>,
    pub server: Arc<ServerConfig>,
}

/// Configurations that offer `alpn`, if it is not empty.
pub fn configs(alpn: &[u8]) -> Configs {
    let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).expect("a certificate");
    let certificate = CertificateDer::from(made.cert);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    // The same cipher as everybody else here.
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
            // QUIC's first packets must have it.
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    });
    let versions = [&rustls::version::TLS13];
    let mut client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate and its key");
    if !alpn.is_empty() {
        client.alpn_protocols = vec![alpn.to_vec()];
        server.alpn_protocols = vec![alpn.to_vec()];
    }
    Configs {
        client: Arc::new(client),
        server: Arc::new(server),
    }
}

/// A connection whose ends are both here.
pub struct Ends {
    pub client: ClientConnection,
    pub server: ServerConnection,
    wire: Vec<u8>,
    scratch: Vec<u8>,
}

impl Ends {
    /// After the handshake, session tickets included.
    pub fn connect(configs: &Configs) -> Ends {
        let name = ServerName::try_from(NAME).expect("a name");
        let mut ends = Ends {
            client: ClientConnection::new(configs.client.clone(), name).expect("a client"),
            server: ServerConnection::new(configs.server.clone()).expect("a server"),
            wire: Vec::new(),
            scratch: vec![0; 64 << 10],
        };
        while ends.client.is_handshaking() || ends.server.is_handshaking() {
            ends.to_server();
            ends.to_client();
        }
        ends.to_client();
        ends
    }

    pub fn was_resumed(&self) -> bool {
        self.client.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn to_server(&mut self) -> usize {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.wire).expect("a Vec takes all");
        }
        let mut wire = self.wire.as_slice();
        let mut delivered = 0;
        while !wire.is_empty() {
            self.server.read_tls(&mut wire).expect("a slice gives all");
            let state = self.server.process_new_packets().expect("honest packets");
            let mut left = state.plaintext_bytes_to_read();
            while left > 0 {
                let size = self.server.reader().read(&mut self.scratch).expect("it is there");
                delivered += look(&self.scratch[..size]);
                left -= size;
            }
        }
        self.wire.clear();
        delivered
    }

    fn to_client(&mut self) {
        while self.server.wants_write() {
            self.server.write_tls(&mut self.wire).expect("a Vec takes all");
        }
        let mut wire = self.wire.as_slice();
        while !wire.is_empty() {
            self.client.read_tls(&mut wire).expect("a slice gives all");
            self.client.process_new_packets().expect("honest packets");
        }
        self.wire.clear();
    }
}

impl Talk for Ends {
    fn carry(&mut self, message: &[u8], count: usize) -> usize {
        let mut delivered = 0;
        for _ in 0..count {
            let mut rest = black_box(message);
            while !rest.is_empty() {
                let taken = self.client.writer().write(rest).expect("a connection that stands");
                rest = &rest[taken..];
                if !rest.is_empty() {
                    // Its buffer holds 64 KiB.
                    delivered += self.to_server();
                }
            }
        }
        delivered + self.to_server()
    }
}
