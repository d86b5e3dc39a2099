use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::InvalidDefinition;

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
///
/// IPv4 addresses written as IPv6 (`::ffff:10.0.0.1`) are the same addresses here, in ranges as well
/// as in what is looked up. `0.0.0.0/0` holds every IPv4 address and `::/0` every IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// The range of the first `prefix` bits of an address; `None` if it has fewer bits.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        match address {
            IpAddr::V4(v4) if prefix <= 32 => {
                let network = IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask_v4(prefix)));
                Some(Self { network, prefix })
            }
            IpAddr::V6(v6) if prefix <= 128 => match (v6.to_ipv4_mapped(), prefix.checked_sub(96)) {
                (Some(v4), Some(prefix)) => Self::new(IpAddr::V4(v4), prefix),
                _ => {
                    let network = IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask_v6(prefix)));
                    Some(Self { network, prefix })
                }
            },
            _ => None,
        }
    }

    /// Whether the address lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                address.to_bits() & mask_v4(self.prefix) == network.to_bits()
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                address.to_bits() & mask_v6(self.prefix) == network.to_bits()
            }
            _ => false,
        }
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = InvalidDefinition;

    /// Reads a range or a single address; bits behind the prefix are refused, because they show that
    /// something else was meant.
    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        let invalid = || InvalidDefinition::Cidr(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            // `parse` would accept "+8" and "008".
            Some(digits) if !digits.starts_with('+') && (digits == "0" || !digits.starts_with('0')) => {
                digits.parse().map_err(|_| invalid())?
            }
            Some(_) => return Err(invalid()),
            None => whole,
        };
        let range = Self::new(address, prefix).ok_or_else(invalid)?;
        if range.network != address.to_canonical() && !range.is_wider_than_mapped(address) {
            return Err(InvalidDefinition::CidrHostBits { given: text.to_owned(), meant: range.to_string() });
        }
        Ok(range)
    }
}

impl Cidr {
    /// A mapped address with a prefix below 96 stays an IPv6 range; its network part is compared as such.
    fn is_wider_than_mapped(&self, address: IpAddr) -> bool {
        self.network == address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_hold_their_addresses() {
        assert!(range("10.0.0.0/8").contains(ip("10.255.0.1")));
        assert!(!range("10.0.0.0/8").contains(ip("11.0.0.1")));
        assert!(range("192.0.2.7").contains(ip("192.0.2.7")));
        assert!(!range("192.0.2.7").contains(ip("192.0.2.8")));
        assert!(range("2001:db8::/32").contains(ip("2001:db8:1::1")));
        assert!(!range("2001:db8::/32").contains(ip("2001:db9::1")));
        assert!(range("0.0.0.0/0").contains(ip("255.1.2.3")));
        assert!(!range("0.0.0.0/0").contains(ip("::1")));
        assert!(!range("::/0").contains(ip("10.0.0.1")));
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert!(range("10.0.0.0/8").contains(ip("::ffff:10.1.2.3")));
        assert_eq!(range("::ffff:10.0.0.0/104"), range("10.0.0.0/8"));
        assert!(!range("::/0").contains(ip("::ffff:10.1.2.3")));
    }

    #[test]
    fn what_is_not_a_range_is_refused() {
        for text in
            ["", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/08", "::/129", "10.0.0/8", "a"]
        {
            assert_eq!(text.parse::<Cidr>(), Err(InvalidDefinition::Cidr(text.to_owned())));
        }
        let error = "10.1.2.3/8".parse::<Cidr>().unwrap_err();
        assert!(error.to_string().contains("10.0.0.0/8"), "{error}");
    }

    proptest! {
        #[test]
        fn ranges_round_trip_and_agree_with_their_bits(address in any::<u32>(), other in any::<u32>(), prefix in 0_u8..=32) {
            let range = Cidr::new(IpAddr::V4(Ipv4Addr::from_bits(address)), prefix).unwrap();
            prop_assert_eq!(range.to_string().parse(), Ok(range));
            let same = (0..prefix).all(|bit| (address ^ other) >> (31 - bit) & 1 == 0);
            prop_assert_eq!(range.contains(IpAddr::V4(Ipv4Addr::from_bits(other))), same);
        }

        #[test]
        fn v6_ranges_round_trip(address in any::<u128>(), prefix in 0_u8..=128) {
            let range = Cidr::new(IpAddr::V6(Ipv6Addr::from_bits(address)), prefix).unwrap();
            prop_assert_eq!(range.to_string().parse(), Ok(range));
            prop_assert!(range.contains(IpAddr::V6(Ipv6Addr::from_bits(address))));
        }

        #[test]
        fn no_text_breaks_the_parser(text in ".{0,40}") {
            let _ = text.parse::<Cidr>();
        }
    }
}
