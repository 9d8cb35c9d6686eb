//! The certificates that there are now.

use crate::authorities::Authorities;
use crate::certificate::Certificate;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, ServerConfig, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{ALL_VERSIONS, Error};
use std::sync::{Arc, PoisonError, RwLock};

/// What all listeners that speak TLS share. Handshakes take what is here when they begin; connections go on with what they took.
#[derive(Debug)]
pub struct Certificates {
    now: RwLock<Arc<[Certificate]>>,
    /// For viewers who come again: no signature, and nothing kept of them here.
    tickets: Arc<dyn ProducesTickets>,
}

impl Certificates {
    /// With these; the first is given to who names no host, or one that none is for.
    pub fn new(certificates: Vec<Certificate>) -> Result<Self, Error> {
        Ok(Self { now: RwLock::new(certificates.into()), tickets: Ticketer::new()? })
    }

    /// These from now on.
    pub fn replace(&self, certificates: Vec<Certificate>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = certificates.into();
    }

    /// All of them, in their order.
    pub fn all(&self) -> Arc<[Certificate]> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Which of `certificates` a client is given that names a host: the first that is for it, else the first.
    pub fn choose(certificates: &[Certificate], host: Option<&str>) -> Option<usize> {
        let fit = host.and_then(|host| certificates.iter().position(|certificate| certificate.is_for(host)));
        fit.or_else(|| (!certificates.is_empty()).then_some(0))
    }

    /// For the handshakes of a listener; `protocols` by ALPN, the favourite first.
    pub fn config(self: &Arc<Self>, protocols: &[&[u8]]) -> Result<ServerConfig, Error> {
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let mut config = builder
            .with_protocol_versions(ALL_VERSIONS)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Current(Arc::clone(self))));
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config.ticketer = Arc::clone(&self.tickets);
        Ok(config)
    }

    /// For the handshakes of encoders, each of which shows a certificate where there are `authorities` for it. Nothing is resumed: a ticket of
    /// another listener, or from before the authorities were exchanged, would let in who has none.
    pub fn ingest(self: &Arc<Self>, authorities: Option<&Authorities>) -> Result<ServerConfig, Error> {
        let provider = Arc::new(default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(ALL_VERSIONS)?;
        let builder = match authorities {
            None => builder.with_no_client_auth(),
            Some(Authorities(roots)) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| Error::General(error.to_string()))?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(Current(Arc::clone(self))));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

/// Takes what there is at the moment of a handshake.
#[derive(Debug)]
struct Current(Arc<Certificates>);

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let all = self.0.all();
        Certificates::choose(&all, hello.server_name()).map(|index| Arc::clone(&all[index].key))
    }
}
