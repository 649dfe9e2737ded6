//! Address ranges and hardware addresses, read as Go's `net` package reads them.
//!
//! Rook and Multus are Go programs: what they accept is what counts, so the rules here are theirs, not those of a Rust
//! type. Nothing here resolves a name or asks the network.
//!
//! Addresses are counted in 128 bits, and a count that does not fit is the largest that does: it must never wrap.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The family of a range.
    #[must_use]
    pub fn of_range(range: &IpNet) -> Self {
        Self::of(range.addr())
    }

    /// Its name in a sentence.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// Reads an address with a prefix length, as Go's `net.ParseCIDR` does: host bits may be set, the prefix is a plain
/// decimal number within the family's width.
#[must_use]
pub fn parse_cidr(text: &str) -> Option<IpNet> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    IpNet::new(address, prefix.parse().ok()?).ok()
}

/// Reads an address as Go's `net.ParseIP` does. An IPv4 address that is written as IPv6 is the IPv4 address, as Go's
/// `To4` makes it wherever addresses are compared.
#[must_use]
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Reads an address as Kubernetes' `ParseIPSloppy` does, which whereabouts uses: the numbers of an IPv4 address may have
/// leading zeros, and are decimal all the same.
#[must_use]
pub fn parse_address_sloppily(text: &str) -> Option<IpAddr> {
    parse_address(text).or_else(|| {
        let mut octets = [0_u8; 4];
        let mut parts = text.split('.');
        for octet in &mut octets {
            let digits = parts.next()?;
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let significant = digits.trim_start_matches('0');
            *octet = if significant.is_empty() { 0 } else { significant.parse().ok()? };
        }
        parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
    })
}

/// Reads an address with a prefix length as Kubernetes' `ParseCIDRSloppy` does: see [`parse_address_sloppily`].
#[must_use]
pub fn parse_cidr_sloppily(text: &str) -> Option<IpNet> {
    parse_cidr(text).or_else(|| {
        let (address, prefix) = text.split_once('/')?;
        parse_cidr(&format!("{}/{prefix}", parse_address_sloppily(address)?))
    })
}

/// Whether `cidr` names an address inside its range, not the range: `10.0.0.5/24`, and not `10.0.0.0/24`.
#[must_use]
pub fn has_host_bits(cidr: &IpNet) -> bool {
    cidr.addr() != cidr.network()
}

/// Whether an address belongs to both ranges. Ranges of different families have none in common.
#[must_use]
pub fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// How many addresses lie from `first` to `last`, both included; none where `last` comes before `first`, or is of another
/// family.
#[must_use]
pub fn count(first: IpAddr, last: IpAddr) -> u128 {
    if Family::of(first) != Family::of(last) || last < first {
        return 0;
    }
    (number(last) - number(first)).saturating_add(1)
}

/// An address as a number.
#[must_use]
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address `steps` after `address`, or the last one of its family where there are not as many.
#[must_use]
pub fn after(address: IpAddr, steps: u128) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let steps = u32::try_from(steps).unwrap_or(u32::MAX);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits().saturating_add(steps)))
        }
        IpAddr::V6(address) => IpAddr::V6(address.to_bits().saturating_add(steps).into()),
    }
}

/// The address before `address`, or itself where it is the first of its family.
#[must_use]
pub fn before(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(address.to_bits().saturating_sub(1).into()),
        IpAddr::V6(address) => IpAddr::V6(address.to_bits().saturating_sub(1).into()),
    }
}

/// Whether Multus takes `text` as an element of `ips`: an address with a prefix length where there is a `/`, a plain
/// address otherwise (multus-cni `parsePodNetworkAnnotation`).
#[must_use]
pub fn is_address_request(text: &str) -> bool {
    if text.contains('/') { parse_cidr(text).is_some() } else { text.parse::<IpAddr>().is_ok() }
}

/// Whether Go's `net.ParseMAC` takes `text`: 6, 8 or 20 bytes as two hex digits each, joined by one and the same `:` or
/// `-`, or as groups of four hex digits joined by `.`.
#[must_use]
pub fn is_hardware_address(text: &str) -> bool {
    let separator = if text.contains(':') {
        ':'
    } else if text.contains('-') {
        '-'
    } else {
        '.'
    };
    let (digits, groups): (usize, &[usize]) = if separator == '.' { (4, &[3, 4, 10]) } else { (2, &[6, 8, 20]) };
    groups.contains(&text.split(separator).count())
        && text
            .split(separator)
            .all(|group| group.len() == digits && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_go_reads_them() {
        // Rook's TestAddressRangesSpec_Validate.
        for valid in [
            "123.123.123.123/24",
            "1.0.0.1/24",
            "2000::/64",
            "2000:2000:2000:2000:2000:2000:2000:2000/64",
            "2000::128.128.128.128/96",
        ] {
            assert!(parse_cidr(valid).is_some(), "{valid}");
        }
        for invalid in [
            "123.123.123/24",
            "123.123.123.123/33",
            "2000/64",
            "2000:/64",
            "2000::128.128.128.128/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0",
            "1192.168.0.0/18",
        ] {
            assert!(parse_cidr(invalid).is_none(), "{invalid}");
        }
    }

    #[test]
    fn sloppy_numbers_are_decimal() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("10.000.0.010", Some("10.0.0.10")),
            ("00192.00168.1.0", Some("192.168.1.0")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("fd00::1", Some("fd00::1")),
            ("10.0.0.256", None),
            ("10.0.0", None),
            ("10.0.0.1.2", None),
            (" 10.0.0.1", None),
            ("10.0.0.+1", None),
            ("10.0..1", None),
            ("", None),
        ] {
            assert_eq!(parse_address_sloppily(text).map(|address| address.to_string()).as_deref(), expected, "{text}");
        }
        for (text, expected) in [
            ("010.0.0.0/8", Some("10.0.0.0/8")),
            ("10.0.0.0/33", None),
            ("10.0.0.0", None),
            ("fd00::/64", Some("fd00::/64")),
        ] {
            assert_eq!(parse_cidr_sloppily(text).map(|range| range.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(parse_address("10.0.0.01"), None);
    }

    #[test]
    fn ranges_are_compared_and_counted() {
        let range = |text: &str| parse_cidr(text).unwrap();
        for (one, other, together) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", true),
            ("10.0.0.0/24", "10.0.1.0/24", false),
            ("10.0.0.0/24", "fd00::/64", false),
            ("::/0", "10.0.0.0/24", false),
            ("10.0.0.9/24", "10.0.0.200/24", true),
        ] {
            assert_eq!(overlap(&range(one), &range(other)), together, "{one} {other}");
        }
        for (text, expected) in [
            ("10.0.0.0/24", 256),
            ("0.0.0.0/0", 1 << 32),
            ("10.0.0.1/32", 1),
            ("fd00::/64", 1 << 64),
            ("::/0", u128::MAX),
        ] {
            let range = range(text);
            assert_eq!(count(range.network(), range.broadcast()), expected, "{text}");
        }
        assert!(has_host_bits(&range("10.0.0.1/24")) && !has_host_bits(&range("10.0.0.0/24")));
        assert_eq!(Family::of_range(&range("fd00::/64")).name(), "IPv6");
    }

    #[test]
    fn addresses_are_counted_without_wrapping() {
        let address = |text: &str| parse_address(text).unwrap();
        for (first, last, expected) in [
            ("10.0.0.1", "10.0.0.1", 1),
            ("10.0.0.1", "10.0.1.0", 256),
            ("10.0.0.2", "10.0.0.1", 0),
            ("10.0.0.1", "fd00::1", 0),
            ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", u128::MAX),
        ] {
            assert_eq!(count(address(first), address(last)), expected, "{first} {last}");
        }
        assert_eq!(after(address("10.0.0.255"), 1), address("10.0.1.0"));
        assert_eq!(after(address("255.255.255.255"), u128::MAX), address("255.255.255.255"));
        assert_eq!(after(address("fd00::"), 1 << 64), address("fd00:0:0:1::"));
        assert_eq!(before(address("0.0.0.0")), address("0.0.0.0"));
        assert_eq!(before(address("fd00::")), address("fcff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    }

    #[test]
    fn address_requests() {
        for valid in ["10.0.0.5", "10.0.0.5/24", "2001:db8::1", "2001:db8::1/64", "::ffff:10.0.0.5"] {
            assert!(is_address_request(valid), "{valid}");
        }
        for invalid in ["", " 10.0.0.5", "10.0.0.05", "fe80::1%eth0", "10.0.0.5/33", "net1"] {
            assert!(!is_address_request(invalid), "{invalid}");
        }
    }

    #[test]
    fn hardware_addresses() {
        for valid in
            ["02:00:00:00:00:01", "02-00-00-00-00-01", "0200.0000.0001", "02:00:00:00:00:01:02:03", "AA:bb:CC:dd:EE:ff"]
        {
            assert!(is_hardware_address(valid), "{valid}");
        }
        for invalid in ["", "2:0:0:0:0:1", "02:00:00:00:01", "02:00:00:00:00-01", "020000000001", "02:00:00:00:00:0g"] {
            assert!(!is_hardware_address(invalid), "{invalid}");
        }
    }
}
