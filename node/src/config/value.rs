//! Values as an operator writes them: sizes, durations, endpoints, voters.
//!
//! Leaves to others which key takes which form.

use std::fmt;
use std::time::Duration;

use highwater_model::id::NodeId;

/// An address to listen on or to advertise. The host may be a name; an empty one means every interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// UDP port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A controller and where it listens: `1@host:port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VoterEndpoint {
    /// Its `node.id`.
    pub node: NodeId,
    /// Where it listens.
    pub endpoint: Endpoint,
}

/// Parses `host:port`, with an IPv6 host in brackets.
///
/// # Errors
/// What is wrong, in words.
pub fn endpoint(text: &str) -> Result<Endpoint, String> {
    let (host, port) = text.trim().rsplit_once(':').ok_or_else(|| format!("{text:?} is not host:port"))?;
    let port = port.parse().map_err(|_| format!("{port:?} is not a port (0 to 65535)"))?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(Endpoint { host: host.to_owned(), port })
}

/// Parses `QUIC://host:port`.
///
/// # Errors
/// What is wrong, in words.
pub fn listener(text: &str) -> Result<Endpoint, String> {
    let (scheme, rest) =
        text.trim().split_once("://").ok_or_else(|| format!("{text:?} is not QUIC://host:port"))?;
    if scheme != "QUIC" {
        return Err(format!("{scheme}:// is not served; only QUIC:// is"));
    }
    endpoint(rest)
}

/// Parses `1@host:port`.
///
/// # Errors
/// What is wrong, in words.
pub fn voter(text: &str) -> Result<VoterEndpoint, String> {
    let (node, address) =
        text.trim().split_once('@').ok_or_else(|| format!("{text:?} is not ID@host:port"))?;
    let node = node.parse().map_err(|_| format!("{node:?} is not a node id"))?;
    Ok(VoterEndpoint { node: NodeId(node), endpoint: endpoint(address)? })
}

/// Splits a list at its commas; empty items are left out.
#[must_use]
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Parses a size in bytes: `4096`, `64KiB`, `1 GiB`, `10MB`; `None` for `-1`, which means no limit.
///
/// # Errors
/// What is wrong, in words.
pub fn bytes(text: &str) -> Result<Option<u64>, String> {
    let factor = |unit: &str| -> Option<u64> {
        Some(match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return None,
        })
    };
    quantity(text, factor, "a size, such as 4096, 64KiB or 1GiB")
}

/// Parses a duration in milliseconds: `600`, `200ms`, `1s`, `5m`, `2h`, `7d`; `None` for `-1`, which means no limit.
///
/// # Errors
/// What is wrong, in words.
pub fn milliseconds(text: &str) -> Result<Option<u64>, String> {
    let factor = |unit: &str| -> Option<u64> {
        Some(match unit {
            "" | "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        })
    };
    quantity(text, factor, "a duration, such as 600 (milliseconds), 200ms, 30s, 5m or 7d")
}

/// Parses a duration that a person typed on the command line: a plain number means seconds there.
///
/// # Errors
/// What is wrong, in words.
pub fn typed_duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.trim().parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let millis = milliseconds(text)?.ok_or_else(|| "there must be a limit".to_owned())?;
    Ok(Duration::from_millis(millis))
}

fn quantity(text: &str, factor: impl Fn(&str) -> Option<u64>, form: &str) -> Result<Option<u64>, String> {
    let text = text.trim();
    if text == "-1" {
        return Ok(None);
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_').len();
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("{text:?} is not {form}");
    let number: u64 = number.replace('_', "").parse().map_err(|_| wrong())?;
    let factor = factor(unit.trim()).ok_or_else(wrong)?;
    number.checked_mul(factor).map(Some).ok_or_else(|| format!("{text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_take_units() {
        assert_eq!(bytes("64KiB"), Ok(Some(65536)));
        assert_eq!(bytes("1 GiB"), Ok(Some(1 << 30)));
        assert_eq!(bytes("1_048_588"), Ok(Some(1_048_588)));
        assert_eq!(bytes("-1"), Ok(None));
        assert!(bytes("many").is_err());
        assert!(bytes("99999999999TiB").is_err());
        assert_eq!(milliseconds("600"), Ok(Some(600)));
        assert_eq!(milliseconds("7d"), Ok(Some(604_800_000)));
        assert!(milliseconds("7 fortnights").is_err());
        assert_eq!(typed_duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(typed_duration("200ms"), Ok(Duration::from_millis(200)));
    }

    #[test]
    fn endpoints_and_voters_are_taken_apart() {
        let local = Endpoint { host: "::1".to_owned(), port: 9092 };
        assert_eq!(endpoint("[::1]:9092"), Ok(local.clone()));
        assert_eq!(local.to_string(), "[::1]:9092");
        assert_eq!(listener("QUIC://:9092"), Ok(Endpoint { host: String::new(), port: 9092 }));
        assert!(listener("PLAINTEXT://:9092").is_err());
        assert!(listener("QUIC://host").is_err());
        assert_eq!(
            voter("1@broker-1:9093"),
            Ok(VoterEndpoint {
                node: NodeId(1),
                endpoint: Endpoint { host: "broker-1".to_owned(), port: 9093 }
            })
        );
        assert!(voter("x@h:1").is_err());
    }
}
