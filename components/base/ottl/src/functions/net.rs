//! Converters of addresses.

use std::net::IpAddr;

use super::make::{Outcome, TARGET, converter, function, text};
use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Convert, Function, Param, ParamKind};
use crate::subject::Subject;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] =
    &[function("IsInCIDR", &[TARGET, Param::required("networks", ParamKind::List)], |arguments| {
        let networks = arguments.list("networks")?.into_iter().map(|network| match network.literal() {
            Some(Value::Str(text)) => Ok(Known::Network(Network::parse(text)?)),
            Some(other) => Err(format!("a network is a string, found {}", other.type_name())),
            None => Ok(Known::Computed(network)),
        });
        let networks = networks.collect::<Result<_, _>>()?;
        converter(IsInCidr { target: arguments.value("target")?, networks })
    })];

/// Addresses that share their first bits. IPv4 addresses written as IPv6 are IPv4.
struct Network {
    is_v6: bool,
    first_bits: u128,
    mask: u128,
}

enum Known {
    Network(Network),
    Computed(Expr),
}

struct IsInCidr {
    target: Expr,
    networks: Vec<Known>,
}

/// The address as a number whose highest bits come first in the address.
fn bits(address: IpAddr) -> (bool, u128) {
    match address.to_canonical() {
        IpAddr::V4(address) => (false, u128::from(address.to_bits()) << 96),
        IpAddr::V6(address) => (true, address.to_bits()),
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a network: it is written as `10.0.0.0/8` or `fe80::/10`");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_error| wrong())?;
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length: u32 = if is_number { length.parse().map_err(|_error| wrong())? } else { return Err(wrong()) };
        let length_max = if address.is_ipv4() { 32 } else { 128 };
        if length > length_max {
            return Err(wrong());
        }
        // An IPv4 address within IPv6 stands behind 96 bits.
        let (is_v6, first_bits) = bits(address);
        let (is_v6, first_bits, length) = match address {
            IpAddr::V6(whole) if !is_v6 && length < 96 => (true, whole.to_bits(), length),
            IpAddr::V6(_) if !is_v6 => (false, first_bits, length - 96),
            _ => (is_v6, first_bits, length),
        };
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        Ok(Self { is_v6, first_bits: first_bits & mask, mask })
    }

    fn contains(&self, (is_v6, bits): (bool, u128)) -> bool {
        self.is_v6 == is_v6 && bits & self.mask == self.first_bits
    }
}

impl Convert for IsInCidr {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let address = self.target.with_str(on, |text| text.map(str::parse::<IpAddr>))?;
        let address = match address {
            None => return Err(RunError::expected("a string", &Value::Nil)),
            Some(Err(_)) => return Ok(Value::Bool(false)),
            Some(Ok(address)) => bits(address),
        };
        for network in &self.networks {
            let contains = match network {
                Known::Network(network) => network.contains(address),
                Known::Computed(expr) => {
                    Network::parse(&text(expr.eval(on)?)?).map_err(RunError::new)?.contains(address)
                }
            };
            if contains {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, refused_or_fails};
    use super::*;

    fn call(address: impl Into<Value<'static>>, networks: &[&'static str]) -> Call {
        let networks = networks.iter().map(|network| Value::from(*network)).collect();
        Call::to("IsInCIDR").arg("target", address).list("networks", networks)
    }

    #[test]
    fn addresses_in_networks() {
        for (address, networks, expected) in [
            ("192.168.1.1", &["192.168.0.0/16"][..], true),
            ("192.169.1.1", &["192.168.0.0/16"], false),
            ("10.1.2.3", &["192.168.0.0/16", "10.9.9.9/8"], true),
            ("10.0.0.1", &["10.0.0.1/32"], true),
            ("10.0.0.2", &["10.0.0.1/32"], false),
            ("8.8.8.8", &["0.0.0.0/0"], true),
            ("fe80::1", &["fe80::/10"], true),
            ("2001:db8::1", &["fe80::/10"], false),
            ("::1", &["0.0.0.0/0"], false),
            ("10.0.0.1", &["::/0"], false),
            ("::ffff:10.0.0.1", &["10.0.0.0/8"], true),
            ("10.0.0.1", &["::ffff:10.0.0.0/104"], true),
            ("fe80::1%eth0", &["fe80::/10"], false),
            ("not an address", &["10.0.0.0/8"], false),
            ("", &["10.0.0.0/8"], false),
            ("10.0.0.1", &[], false),
        ] {
            gives(call(address, networks), expected);
        }
    }

    #[test]
    fn bad_networks_are_refused() {
        for network in ["10.0.0.0", "bad", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/"] {
            refused_or_fails(call("10.0.0.1", &[network]), "is not a network");
        }
        fails(call(1, &["10.0.0.0/8"]), "expected a string, found int");
        fails(call(Value::Nil, &["10.0.0.0/8"]), "expected a string, found nil");
    }
}
