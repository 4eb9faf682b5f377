//! From flags and client properties to a client of the cluster.

use std::time::Duration;

use highwater_client::Client;
use highwater_client::settings::{ClientSettings, ConsumerSettings, ProducerSettings};
use highwater_transport::env::Env;
use highwater_transport::identity::Identity;

use super::args::Global;
use super::failure::Failure;
use super::files;
use super::output::Output;
use crate::config::file;
use crate::config::key::nearest;
use crate::config::value;

/// Client properties that are understood.
const PROPERTIES: &[&str] = &[
    "bootstrap.servers",
    "client.id",
    "security.protocol",
    "request.timeout.ms",
    "default.api.timeout.ms",
    "retry.backoff.ms",
    "retry.backoff.max.ms",
    "socket.connection.setup.timeout.ms",
    "metadata.max.age.ms",
    "linger.ms",
    "batch.size",
    "max.request.size",
    "delivery.timeout.ms",
    "max.block.ms",
    "buffer.memory",
    "enable.idempotence",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "fetch.max.bytes",
    "max.partition.fetch.bytes",
    "ssl.keystore.type",
    "ssl.keystore.location",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.truststore.type",
    "ssl.truststore.location",
    "ssl.truststore.certificates",
];

/// What a client command runs with.
#[derive(Debug)]
pub(crate) struct Session {
    /// The cluster.
    pub(crate) client: Client,
    /// Where results go.
    pub(crate) output: Output,
    properties: Properties,
}

impl Session {
    /// A client as flags, `-X` and the file say, in this order of precedence. Connects when it is first used.
    pub(crate) fn open(global: &Global, output: Output) -> Result<Self, Failure> {
        let properties = Properties::load(global)?;
        let mut settings = properties.client_settings()?;
        if let Some(servers) = &global.bootstrap_server {
            settings.bootstrap_servers = value::list(servers);
        }
        if let Some(timeout) = global.timeout {
            settings.api_timeout = timeout;
            settings.request_timeout = settings.request_timeout.min(timeout);
        }
        let identity = properties.identity()?;
        let env = Env::real();
        let client = Client::new(&env, identity, settings);
        Ok(Self { client, output, properties })
    }

    /// How a producer shall send.
    pub(crate) fn producer_settings(&self) -> Result<ProducerSettings, Failure> {
        let default = ProducerSettings::default();
        let get = &self.properties;
        Ok(ProducerSettings {
            linger: get.duration("linger.ms")?.unwrap_or(default.linger),
            batch_bytes: get.size("batch.size")?.unwrap_or(default.batch_bytes),
            record_bytes_max: get.size("max.request.size")?.unwrap_or(default.record_bytes_max),
            delivery_timeout: get.duration("delivery.timeout.ms")?.unwrap_or(default.delivery_timeout),
            block_max: get.duration("max.block.ms")?.unwrap_or(default.block_max),
            buffer_bytes: get.size("buffer.memory")?.unwrap_or(default.buffer_bytes),
            idempotent: get.text("enable.idempotence") != Some("false"),
            ..default
        })
    }

    /// How a consumer shall read.
    pub(crate) fn consumer_settings(&self) -> Result<ConsumerSettings, Failure> {
        let default = ConsumerSettings::default();
        let get = &self.properties;
        let small = |name: &str, default: u32| -> Result<u32, Failure> {
            Ok(get.size(name)?.and_then(|size| u32::try_from(size).ok()).unwrap_or(default))
        };
        Ok(ConsumerSettings {
            fetch_wait_max: get.duration("fetch.max.wait.ms")?.unwrap_or(default.fetch_wait_max),
            fetch_bytes_min: small("fetch.min.bytes", default.fetch_bytes_min)?,
            fetch_bytes_max: small("fetch.max.bytes", default.fetch_bytes_max)?,
            partition_bytes_max: small("max.partition.fetch.bytes", default.partition_bytes_max)?,
        })
    }
}

/// Client properties by name; a later one replaces an earlier one.
#[derive(Debug, Default)]
pub(crate) struct Properties(Vec<(String, String)>);

impl Properties {
    fn load(global: &Global) -> Result<Self, Failure> {
        let mut properties = Self::default();
        if let Some(path) = &global.command_config {
            let name = path.display().to_string();
            let settings =
                file::parse(&name, &files::read(path)?).map_err(|what| Failure::usage(what, "").on(&name))?;
            for (property, setting) in settings {
                properties.add(property, setting.value)?;
            }
        }
        for pair in &global.property {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Failure::usage(format!("-X {pair} is not NAME=VALUE"), "write -X name=value")
            })?;
            properties.add(name.trim().to_owned(), value.trim().to_owned())?;
        }
        Ok(properties)
    }

    fn add(&mut self, name: String, value: String) -> Result<(), Failure> {
        if !PROPERTIES.contains(&name.as_str()) {
            let hint = match nearest(&name, PROPERTIES.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("known are {}", PROPERTIES.join(", ")),
            };
            return Err(Failure::usage(format!("{name} is not a known client property"), hint));
        }
        self.0.push((name, value));
        Ok(())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    fn duration(&self, name: &str) -> Result<Option<Duration>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let millis =
            value::milliseconds(text).map_err(|what| Failure::usage(format!("{name}: {what}"), ""))?;
        Ok(millis.map(Duration::from_millis))
    }

    fn size(&self, name: &str) -> Result<Option<usize>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let bytes = value::bytes(text).map_err(|what| Failure::usage(format!("{name}: {what}"), ""))?;
        Ok(bytes.and_then(|bytes| usize::try_from(bytes).ok()))
    }

    fn client_settings(&self) -> Result<ClientSettings, Failure> {
        let default = ClientSettings::default();
        Ok(ClientSettings {
            bootstrap_servers: self.text("bootstrap.servers").map_or(default.bootstrap_servers, value::list),
            client_id: self.text("client.id").map_or(default.client_id, str::to_owned),
            request_timeout: self.duration("request.timeout.ms")?.unwrap_or(default.request_timeout),
            api_timeout: self.duration("default.api.timeout.ms")?.unwrap_or(default.api_timeout),
            retry_backoff: self.duration("retry.backoff.ms")?.unwrap_or(default.retry_backoff),
            retry_backoff_max: self.duration("retry.backoff.max.ms")?.unwrap_or(default.retry_backoff_max),
            connect_timeout: self
                .duration("socket.connection.setup.timeout.ms")?
                .unwrap_or(default.connect_timeout),
            metadata_age_max: self.duration("metadata.max.age.ms")?.unwrap_or(default.metadata_age_max),
        })
    }

    fn identity(&self) -> Result<Identity, Failure> {
        let file = |name: &str| match self.text(name) {
            Some(path) => files::read(std::path::Path::new(path)).map(Some),
            None => Ok(None),
        };
        let keystore = file("ssl.keystore.location")?;
        let inline = |name: &str| self.text(name).map(str::to_owned);
        let chain = inline("ssl.keystore.certificate.chain").or_else(|| keystore.clone());
        let key = inline("ssl.keystore.key").or(keystore);
        let roots = match inline("ssl.truststore.certificates") {
            Some(roots) => Some(roots),
            None => file("ssl.truststore.location")?,
        };
        let (Some(chain), Some(key), Some(roots)) = (chain, key, roots) else {
            let hint = "name a file of client properties with --command-config (or HIGHWATER_COMMAND_CONFIG); \
                        highwater dev and quickstart --keep write one and say where";
            return Err(Failure::usage("there is no client certificate", hint));
        };
        identity(&chain, &key, &roots)
    }
}

/// Addresses from `HOST:PORT,…`.
pub(crate) fn servers(text: &str) -> Vec<String> {
    value::list(text)
}

/// An identity from PEM text.
pub(crate) fn identity(chain: &str, key: &str, roots: &str) -> Result<Identity, Failure> {
    Identity::from_pem(chain.as_bytes(), key.as_bytes(), roots.as_bytes()).map_err(|error| {
        let mut message = error.to_string();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(next) = cause.source() {
            message = format!("{message}: {next}");
            cause = next;
        }
        Failure::usage(
            message,
            "certificate chain, PKCS#8 key and trusted roots are PEM; see docs/CONFIGURATION.md",
        )
    })
}
