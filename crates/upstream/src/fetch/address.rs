//! Which addresses are fetched from.
//!
//! Everything here is a function of its arguments. What is not known to be public is refused: an
//! IPv6 address must lie in the one block that is given out, and in none of its special parts.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weighbridge_access::Cidr;

/// What an address that is not fetched from is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// "This host on this network", the unspecified address among them.
    ThisNetwork,
    /// This machine.
    Loopback,
    /// A private network: `10.0.0.0/8` and others, unique local IPv6 addresses.
    Private,
    /// Between a carrier and its customers.
    CarrierGrade,
    /// The local link, where most clouds answer for their metadata.
    LinkLocal,
    /// A cloud's metadata and agents at an address that looks public.
    Metadata,
    /// Protocol assignments, anycast relays, blocks kept for later, the broadcast address.
    Reserved,
    /// For documentation.
    Documentation,
    /// For benchmarks of networks.
    Benchmark,
    /// To many.
    Multicast,
    /// An IPv6 address that leads to an IPv4 address through a tunnel or a translator.
    Transition,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThisNetwork => "this network",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierGrade => "carrier-grade NAT",
            Self::LinkLocal => "link-local",
            Self::Metadata => "cloud metadata",
            Self::Reserved => "reserved",
            Self::Documentation => "documentation",
            Self::Benchmark => "benchmark",
            Self::Multicast => "multicast",
            Self::Transition => "transition",
        })
    }
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>, what it calls globally reachable
/// left out, multicast and the metadata of Azure
/// (<https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16>) added.
#[rustfmt::skip]
const SPECIAL_V4: &[(Ipv4Addr, u32, Purpose)] = &[
    (Ipv4Addr::new(0, 0, 0, 0),       8,  Purpose::ThisNetwork),
    (Ipv4Addr::new(10, 0, 0, 0),      8,  Purpose::Private),
    (Ipv4Addr::new(100, 64, 0, 0),    10, Purpose::CarrierGrade),
    (Ipv4Addr::new(127, 0, 0, 0),     8,  Purpose::Loopback),
    (Ipv4Addr::new(168, 63, 129, 16), 32, Purpose::Metadata),
    (Ipv4Addr::new(169, 254, 0, 0),   16, Purpose::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0),    12, Purpose::Private),
    (Ipv4Addr::new(192, 0, 0, 0),     24, Purpose::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0),     24, Purpose::Documentation),
    (Ipv4Addr::new(192, 88, 99, 0),   24, Purpose::Transition),
    (Ipv4Addr::new(192, 168, 0, 0),   16, Purpose::Private),
    (Ipv4Addr::new(198, 18, 0, 0),    15, Purpose::Benchmark),
    (Ipv4Addr::new(198, 51, 100, 0),  24, Purpose::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0),   24, Purpose::Documentation),
    (Ipv4Addr::new(224, 0, 0, 0),     4,  Purpose::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0),     4,  Purpose::Reserved),
];

/// The only block of IPv6 that is given out to networks:
/// <https://www.iana.org/assignments/ipv6-address-space>.
const GIVEN_OUT_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What is special inside that block, and the names of what is outside of it:
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>. The first that fits counts.
#[rustfmt::skip]
const SPECIAL_V6: &[(Ipv6Addr, u32, Purpose)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),       32,  Purpose::Transition),    // Teredo
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0),       48,  Purpose::Benchmark),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),       23,  Purpose::Reserved),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),   32,  Purpose::Documentation),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0),       16,  Purpose::Transition),    // 6to4
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),       20,  Purpose::Documentation),
    (Ipv6Addr::UNSPECIFIED,                            128, Purpose::ThisNetwork),
    (Ipv6Addr::LOCALHOST,                              128, Purpose::Loopback),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0),            96,  Purpose::Transition),    // "compatible"
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0),       96,  Purpose::Transition),    // "translated"
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0),    48,  Purpose::Transition),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0),       7,   Purpose::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),       10,  Purpose::LinkLocal),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0),       10,  Purpose::Private),       // "site-local"
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0),       8,   Purpose::Multicast),
];

/// Where a translator carries IPv6 to every IPv4 address: <https://www.rfc-editor.org/rfc/rfc6052>.
/// Networks without IPv4 reach the public one so, and their resolvers make these addresses up.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// What an address is for, if it is not a public host's.
///
/// An IPv4 address inside of an IPv6 address is judged by itself where every machine takes the two
/// for the same (`::ffff:a.b.c.d`), and where a translator carries one to the other.
///
/// ```
/// use weighbridge_upstream::{Purpose, special_purpose};
///
/// assert_eq!(special_purpose("169.254.169.254".parse()?), Some(Purpose::LinkLocal));
/// assert_eq!(special_purpose("::ffff:127.0.0.1".parse()?), Some(Purpose::Loopback));
/// assert_eq!(special_purpose("93.184.215.14".parse()?), None);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn special_purpose(address: IpAddr) -> Option<Purpose> {
    match address.to_canonical() {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) if within_v6(v6, NAT64) => {
            let [.., a, b, c, d] = v6.octets();
            special_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(v6) => {
            let special = SPECIAL_V6.iter().find(|(network, prefix, _)| within_v6(v6, (*network, *prefix)));
            match special {
                Some((.., purpose)) => Some(*purpose),
                None => (!within_v6(v6, GIVEN_OUT_V6)).then_some(Purpose::Reserved),
            }
        }
    }
}

fn special_v4(address: Ipv4Addr) -> Option<Purpose> {
    let within = |network: Ipv4Addr, prefix: u32| {
        let rest = 32 - prefix;
        address.to_bits() >> rest == network.to_bits() >> rest
    };
    SPECIAL_V4.iter().find(|(network, prefix, _)| within(*network, *prefix)).map(|(.., purpose)| *purpose)
}

fn within_v6(address: Ipv6Addr, (network, prefix): (Ipv6Addr, u32)) -> bool {
    let rest = 128 - prefix;
    address.to_bits() >> rest == network.to_bits() >> rest
}

/// Which addresses are fetched from: public ones, and the networks that an operator allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    allowed: Vec<Cidr>,
}

impl AddressPolicy {
    /// Public addresses only.
    pub const fn public_only() -> Self {
        Self { allowed: Vec::new() }
    }

    /// Public addresses and those networks. An IPv4 network is allowed in its mapped IPv6 spelling
    /// too, but not through a tunnel or a translator.
    pub fn allowing(networks: impl IntoIterator<Item = Cidr>) -> Self {
        Self { allowed: networks.into_iter().collect() }
    }

    /// The address to connect to: the same one, with IPv4 out of its IPv6 spelling.
    ///
    /// # Errors
    /// What the address is for, where it is not fetched from.
    pub fn check(&self, address: IpAddr) -> Result<IpAddr, Purpose> {
        let address = address.to_canonical();
        match special_purpose(address) {
            Some(purpose) if !self.allowed.iter().any(|network| network.contains(address)) => Err(purpose),
            _ => Ok(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// First and last address of each special network, and the neighbours that are public.
    #[rustfmt::skip]
    const EDGES_V4: [(&str, &str, Purpose, &str, &str); 16] = [
        ("0.0.0.0",       "0.255.255.255",   Purpose::ThisNetwork,   "",               "1.0.0.0"),
        ("10.0.0.0",      "10.255.255.255",  Purpose::Private,       "9.255.255.255",  "11.0.0.0"),
        ("100.64.0.0",    "100.127.255.255", Purpose::CarrierGrade,  "100.63.255.255", "100.128.0.0"),
        ("127.0.0.0",     "127.255.255.255", Purpose::Loopback,      "126.255.255.255", "128.0.0.0"),
        ("168.63.129.16", "168.63.129.16",   Purpose::Metadata,      "168.63.129.15",  "168.63.129.17"),
        ("169.254.0.0",   "169.254.255.255", Purpose::LinkLocal,     "169.253.255.255", "169.255.0.0"),
        ("172.16.0.0",    "172.31.255.255",  Purpose::Private,       "172.15.255.255", "172.32.0.0"),
        ("192.0.0.0",     "192.0.0.255",     Purpose::Reserved,      "191.255.255.255", "192.0.1.0"),
        ("192.0.2.0",     "192.0.2.255",     Purpose::Documentation, "192.0.1.255",    "192.0.3.0"),
        ("192.88.99.0",   "192.88.99.255",   Purpose::Transition,    "192.88.98.255",  "192.88.100.0"),
        ("192.168.0.0",   "192.168.255.255", Purpose::Private,       "192.167.255.255", "192.169.0.0"),
        ("198.18.0.0",    "198.19.255.255",  Purpose::Benchmark,     "198.17.255.255", "198.20.0.0"),
        ("198.51.100.0",  "198.51.100.255",  Purpose::Documentation, "198.51.99.255",  "198.51.101.0"),
        ("203.0.113.0",   "203.0.113.255",   Purpose::Documentation, "203.0.112.255",  "203.0.114.0"),
        ("224.0.0.0",     "239.255.255.255", Purpose::Multicast,     "223.255.255.255", ""),
        ("240.0.0.0",     "255.255.255.255", Purpose::Reserved,      "",               ""),
    ];

    #[rustfmt::skip]
    const EDGES_V6: [(&str, &str, Option<Purpose>); 25] = [
        ("::",                 "::",                                      Some(Purpose::ThisNetwork)),
        ("::1",                "::1",                                     Some(Purpose::Loopback)),
        ("::2",                "::ffff:ffff",                             Some(Purpose::Transition)),
        ("::1:0:0",            "::fffe:ffff:ffff",                        Some(Purpose::Reserved)),
        ("::ffff:0:0:0",       "::ffff:0:ffff:ffff",                      Some(Purpose::Transition)),
        ("::ffff:1:0:0",       "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff",   Some(Purpose::Reserved)),
        ("64:ff9b:0:0:0:1::",  "64:ff9b:0:ffff:ffff:ffff:ffff:ffff",      Some(Purpose::Reserved)),
        ("64:ff9b:1::",        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",      Some(Purpose::Transition)),
        ("64:ff9b:2::",        "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Purpose::Reserved)),
        ("2000::",             "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("2001::",             "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",    Some(Purpose::Transition)),
        ("2001:1::",           "2001:1:ffff:ffff:ffff:ffff:ffff:ffff",    Some(Purpose::Reserved)),
        ("2001:2::",           "2001:2:0:ffff:ffff:ffff:ffff:ffff",       Some(Purpose::Benchmark)),
        ("2001:2:1::",         "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",  Some(Purpose::Reserved)),
        ("2001:200::",         "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",  None),
        ("2001:db8::",         "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",  Some(Purpose::Documentation)),
        ("2001:db9::",         "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("2002::",             "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Purpose::Transition)),
        ("2003::",             "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("3fff::",             "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",  Some(Purpose::Documentation)),
        ("3fff:1000::",        "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("4000::",             "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Purpose::Reserved)),
        ("fc00::",             "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Purpose::Private)),
        ("fe80::",             "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Purpose::LinkLocal)),
        ("ff00::",             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Purpose::Multicast)),
    ];

    #[test]
    fn v4_networks_end_where_they_end() {
        for (first, last, purpose, before, after) in EDGES_V4 {
            for inside in [first, last] {
                assert_eq!(special_purpose(ip(inside)), Some(purpose), "{inside}");
            }
            for outside in [before, after].into_iter().filter(|text| !text.is_empty()) {
                assert_eq!(special_purpose(ip(outside)), None, "{outside}");
            }
        }
    }

    #[test]
    fn v6_networks_end_where_they_end() {
        for (first, last, purpose) in EDGES_V6 {
            for inside in [first, last] {
                assert_eq!(special_purpose(ip(inside)), purpose, "{inside}");
            }
        }
    }

    /// Every /16 of IPv4, first and last address, judged a second time by the edges above.
    #[test]
    fn all_of_v4_is_judged() {
        let special: Vec<(u32, u32, Purpose)> = EDGES_V4
            .iter()
            .map(|(first, last, purpose, ..)| {
                let bits = |text: &str| text.parse::<Ipv4Addr>().unwrap().to_bits();
                (bits(first), bits(last), *purpose)
            })
            .collect();
        for high in 0..=u32::from(u16::MAX) {
            for bits in [high << 16, high << 16 | 0xffff] {
                let expected = special.iter().find(|(first, last, _)| (first..=last).contains(&&bits));
                let judged = special_purpose(IpAddr::V4(Ipv4Addr::from_bits(bits)));
                assert_eq!(judged, expected.map(|(.., purpose)| *purpose), "{}", Ipv4Addr::from_bits(bits));
            }
        }
    }

    #[test]
    fn what_clouds_keep_their_secrets_at_is_special() {
        for metadata in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::a9fe:a9fe",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(special_purpose(ip(metadata)).is_some(), "{metadata}");
        }
    }

    #[test]
    fn a_translated_address_is_what_it_leads_to() {
        assert_eq!(special_purpose(ip("64:ff9b::8.8.8.8")), None);
        assert_eq!(special_purpose(ip("64:ff9b::10.0.0.1")), Some(Purpose::Private));
        assert_eq!(special_purpose(ip("64:ff9b::127.0.0.1")), Some(Purpose::Loopback));
    }

    #[test]
    fn only_what_is_allowed_is_allowed() {
        let policy =
            AddressPolicy::allowing(["10.1.0.0/16", "fd00:1::/32"].map(|text| text.parse().unwrap()));
        assert_eq!(policy.check(ip("10.1.2.3")), Ok(ip("10.1.2.3")));
        assert_eq!(policy.check(ip("::ffff:10.1.2.3")), Ok(ip("10.1.2.3")));
        assert_eq!(policy.check(ip("fd00:1::7")), Ok(ip("fd00:1::7")));
        assert_eq!(policy.check(ip("8.8.8.8")), Ok(ip("8.8.8.8")));
        for (refused, purpose) in [
            ("10.2.0.1", Purpose::Private),
            ("64:ff9b::10.1.2.3", Purpose::Private),
            ("2002:0a01:0203::1", Purpose::Transition),
            ("::10.1.2.3", Purpose::Transition),
            ("fd00:2::7", Purpose::Private),
            ("127.0.0.1", Purpose::Loopback),
        ] {
            assert_eq!(policy.check(ip(refused)), Err(purpose), "{refused}");
            assert_eq!(AddressPolicy::public_only().check(ip(refused)), Err(purpose), "{refused}");
        }
    }

    fn v4() -> impl Strategy<Value = Ipv4Addr> {
        // Half of them near an edge, where mistakes are.
        let edge = prop::sample::select(&EDGES_V4[..]).prop_map(|(first, last, ..)| [first, last]);
        let near = (edge, any::<bool>(), -3_i32..=3).prop_map(|(edges, last, step)| {
            let bits = edges[usize::from(last)].parse::<Ipv4Addr>().unwrap().to_bits();
            Ipv4Addr::from_bits(bits.wrapping_add_signed(step))
        });
        prop_oneof![any::<u32>().prop_map(Ipv4Addr::from_bits), near]
    }

    proptest! {
        /// The standard library's word for what it has a word for.
        #[test]
        fn v4_agrees_with_the_standard_library(v4 in v4()) {
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
                || v4.is_documentation() || v4.is_multicast() || v4.is_unspecified();
            prop_assert!(!special || special_purpose(IpAddr::V4(v4)).is_some());
        }

        #[test]
        fn v6_agrees_with_the_standard_library(high in any::<u16>(), rest in any::<u128>()) {
            let v6 = Ipv6Addr::from_bits(u128::from(high) << 112 | rest >> 16);
            let special = v6.is_loopback() || v6.is_unspecified() || v6.is_multicast()
                || v6.is_unique_local() || v6.is_unicast_link_local();
            prop_assert!(!special || special_purpose(IpAddr::V6(v6)).is_some());
            prop_assert!((0x2000..0x4000).contains(&high) || special_purpose(IpAddr::V6(v6)).is_some());
        }

        /// No IPv6 spelling of an IPv4 address leads where the address itself must not.
        #[test]
        fn no_spelling_helps(v4 in v4()) {
            let plain = special_purpose(IpAddr::V4(v4));
            let bits = u128::from(v4.to_bits());
            let judged = |v6: u128| special_purpose(IpAddr::V6(Ipv6Addr::from_bits(v6)));
            prop_assert_eq!(judged(0xffff << 32 | bits), plain);
            prop_assert_eq!(judged(0x64_ff9b << 96 | bits), plain);
            let others = [
                bits, 0xffff << 48 | bits, 0x64_ff9b_0001 << 80 | bits,
                0x2002 << 112 | bits << 80, 0x2001_0000 << 96 | (bits ^ 0xffff_ffff),
            ];
            for other in others {
                prop_assert!(judged(other).is_some(), "{}", Ipv6Addr::from_bits(other));
            }
        }

        /// A check passes exactly what is public or allowed, and gives the address itself.
        #[test]
        fn checks_are_exact(v4 in v4(), network in v4(), prefix in 0_u8..=32) {
            let network = Cidr::new(IpAddr::V4(network), prefix).unwrap();
            let address = IpAddr::V4(v4);
            let passes = special_purpose(address).is_none() || network.contains(address);
            let checked = AddressPolicy::allowing([network]).check(address);
            prop_assert_eq!(checked.ok(), passes.then_some(address));
        }
    }
}
